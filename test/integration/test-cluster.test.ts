/** What `startCluster` leaves behind when its process ends without disposing it: nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { defined } from '../../src/base/assert.js';

const program = `
  import { startCluster } from 'quorate/testing';
  await startCluster({ nodes: 1, shards: 1 });
  process.stdout.write('up');
  process.on('message', () => process.exit(0));
`;

test.each([
  ['SIGINT', { code: null, signal: 'SIGINT' }],
  ['SIGTERM', { code: null, signal: 'SIGTERM' }],
  ['exit', { code: 0, signal: null }],
] as const)(
  'after %s its data is gone',
  async (how, expected) => {
    const folder = mkdtempSync(join(tmpdir(), 'quorate-test-cluster-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    await once(defined(child.stdout, 'its standard output is a pipe'), 'data');
    expect(readdirSync(folder)).toHaveLength(1);
    const ended = once(child, 'exit');
    if (how === 'exit') child.send('exit');
    else child.kill(how);
    const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null];
    expect({ code, signal }).toEqual(expected);
    expect(readdirSync(folder)).toEqual([]);
  },
  30_000,
);
