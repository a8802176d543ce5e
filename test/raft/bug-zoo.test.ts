/** Chaos would be worth little if it did not find what can go wrong: so things go wrong here, one at a time. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stableAfterLateSyncs } from './bench.js';
import { type Bug, bugs } from './bugs.js';
import type { Chaos } from './chaos.js';
import { runSeed } from './chaos-seed.js';
import { runScript } from './script.js';

const root = join(import.meta.dirname, '../..');
const testdata = join(import.meta.dirname, 'testdata');
const support = [
  'bench.ts',
  'chaos.ts',
  'chaos-checks.ts',
  'chaos-draws.ts',
  'configuration-text.ts',
  'naive-quorum.ts',
  'replica.ts',
];
support.push('script.ts', 'show.ts');

interface Broken {
  readonly Chaos: typeof Chaos;
  readonly runScript: typeof runScript;
  readonly stableAfterLateSyncs: typeof stableAfterLateSyncs;
}

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-bug-zoo-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Chaos and scripts as they would be if the core had this bug. */
async function withBug({ file, line, broken }: Bug, name: string): Promise<Broken> {
  const copy = join(folder, name);
  for (const part of ['src/base', 'src/raft']) cpSync(join(root, part), join(copy, part), { recursive: true });
  mkdirSync(join(copy, 'test/raft'), { recursive: true });
  for (const each of support) cpSync(join(root, 'test/raft', each), join(copy, 'test/raft', each));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  const path = join(copy, 'src/raft', file);
  const source = readFileSync(path, 'utf8');
  expect(source.split(line), `the line that the bug breaks stands in ${file} once`).toHaveLength(2);
  writeFileSync(
    path,
    source.replace(line, () => broken),
  );
  const load = (module: string): Promise<unknown> => import(join(copy, 'test/raft', module));
  const { Chaos: brokenChaos } = (await load('chaos.ts')) as Pick<Broken, 'Chaos'>;
  const { runScript: brokenRunScript } = (await load('script.ts')) as Pick<Broken, 'runScript'>;
  const { stableAfterLateSyncs: brokenSyncs } = (await load('bench.ts')) as Pick<Broken, 'stableAfterLateSyncs'>;
  return { Chaos: brokenChaos, runScript: brokenRunScript, stableAfterLateSyncs: brokenSyncs };
}

/** The first seed that fails; undefined when none does. */
function firstFailure(chaos: typeof Chaos, seedsMax: number): number | undefined {
  for (let seed = 1; seed <= seedsMax; seed++) {
    try {
      runSeed(chaos, seed);
    } catch {
      return seed;
    }
  }
  return undefined;
}

/** Whether the trace of a script is not the golden one. */
function deviates(run: typeof runScript, name: string): boolean {
  const script = readFileSync(join(testdata, `${name}.txt`), 'utf8');
  const golden = readFileSync(join(testdata, `${name}.trace`), 'utf8');
  expect(runScript(script)).toBe(golden);
  try {
    return run(script) !== golden;
  } catch {
    return true;
  }
}

describe('a core that', () => {
  test.each(bugs.map((bug, i) => [bug.name, bug, `bug-${i}`] as const))(
    '%s is found out',
    async (_name, bug, copy) => {
      const broken = await withBug(bug, copy);
      const { foundBy } = bug;
      if (foundBy.type === 'lateSyncs') {
        expect(broken.stableAfterLateSyncs()).not.toEqual(stableAfterLateSyncs());
      } else if (foundBy.type === 'script') {
        expect(deviates(broken.runScript, foundBy.name), `script ${foundBy.name} has another trace`).toBe(true);
      } else {
        const seed = firstFailure(broken.Chaos, foundBy.seedsMax);
        expect(seed, `a seed up to ${foundBy.seedsMax} fails`).toBeDefined();
      }
    },
    120_000,
  );
});
