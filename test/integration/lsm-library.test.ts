/** The engine as somebody else's project has it: the example of its README, run by Node on the built package. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { defined } from '../../src/base/assert.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(join(root, 'src/lsm/README.md'), 'utf8');
const example = defined(/```js\n([\s\S]*?)```/.exec(readme)?.[1], 'the example of the README');

interface Outcome {
  readonly output: string;
  readonly code: number | null;
}

/** Runs a program in `folder`; that it ends by itself shows that nothing is left running. */
async function run(folder: string, program: string): Promise<Outcome> {
  writeFileSync(join(folder, 'program.mjs'), program);
  const child = spawn(process.execPath, ['program.mjs'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (bytes: Uint8Array) => (output += Buffer.from(bytes).toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { output, code };
}

function newProject(): string {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-lsm-library-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'package.json'), '{"name":"project","private":true}');
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules/quorate'));
  return folder;
}

test('the example says what the README says, and ends', async () => {
  const folder = newProject();
  expect(await run(folder, example)).toEqual({ output: 'red\nno apple\nbanana yellow\n', code: 0 });
  expect(existsSync(join(folder, 'data/CURRENT'))).toBe(true);
});

test('a tree is there again with what was flushed, and for one process at a time', async () => {
  const folder = newProject();
  await run(folder, example);
  const again = `
    import { openTree, Timestamp } from 'quorate/lsm';
    const tree = await openTree('data', { blockCacheBytesMax: 1 << 20, blockBytes: 4096 });
    const found = await tree.get(new TextEncoder().encode('banana'), Timestamp(2));
    console.log(tree.durableAppliedIndex, new TextDecoder().decode(found.value));
    await openTree('data').catch((error) => console.log(error.name));
    await tree.close();
    await (await openTree('data')).close();
  `;
  expect(await run(folder, again)).toEqual({ output: '2 yellow\nDirectoryLockedError\n', code: 0 });
});

test('what it throws can be told apart by its class', async () => {
  const program = `
    import * as lsm from 'quorate/lsm';
    const names = ['AssertionError', 'CorruptionError', 'DirectoryLockedError', 'DiskError', 'IngestError', 'QuorateError', 'TreeClosedError'];
    console.log(names.filter((name) => !(lsm[name]?.prototype instanceof Error)).length);
    const tree = await lsm.openTree('data');
    await lsm.openTree('data').catch((error) => console.log(error instanceof lsm.DirectoryLockedError));
    await tree.close();
  `;
  expect(await run(newProject(), program)).toEqual({ output: '0\ntrue\n', code: 0 });
});
