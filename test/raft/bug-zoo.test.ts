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
import type { Walk } from './walk.js';
import { runWalk } from './walk-seed.js';

const root = join(import.meta.dirname, '../..');
const testdata = join(import.meta.dirname, 'testdata');
const support = [
  'bench.ts',
  'chaos.ts',
  'chaos-checks.ts',
  'chaos-clocks.ts',
  'chaos-draws.ts',
  'chaos-reads.ts',
  'configuration-text.ts',
  'naive-quorum.ts',
  'replica.ts',
];
support.push('script.ts', 'show.ts', 'walk.ts');

interface Broken {
  readonly Chaos: typeof Chaos;
  readonly Walk: typeof Walk;
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
  const { Walk: brokenWalk } = (await load('walk.ts')) as Pick<Broken, 'Walk'>;
  const { runScript: brokenRunScript } = (await load('script.ts')) as Pick<Broken, 'runScript'>;
  const { stableAfterLateSyncs: brokenSyncs } = (await load('bench.ts')) as Pick<Broken, 'stableAfterLateSyncs'>;
  return { Chaos: brokenChaos, Walk: brokenWalk, runScript: brokenRunScript, stableAfterLateSyncs: brokenSyncs };
}

/** Whether a seed fails by `violation`. Others may fail by what a broken core does besides. */
function finds(run: (seed: number) => void, seedsMax: number, violation: RegExp): boolean {
  for (let seed = 1; seed <= seedsMax; seed++) {
    try {
      run(seed);
    } catch (error) {
      if (violation.test(String(error))) return true;
    }
  }
  return false;
}

/** Whether the script, as far as that, has the answer still; it must have it where nothing is broken. */
function answers(run: typeof runScript, name: string, answer: string): boolean {
  const lines = readFileSync(join(testdata, `${name}.txt`), 'utf8').split('\n');
  const [command, ...more] = answer.split('\n');
  const script = lines.slice(0, lines.indexOf(command.replace('> ', '')) + 1 + more.length).join('\n');
  expect(runScript(script)).toContain(answer);
  return run(script).includes(answer);
}

describe('a core that', () => {
  test.each(bugs.map((bug, i) => [bug.name, bug, `bug-${i}`] as const))(
    '%s is found out',
    async (_name, bug, copy) => {
      const broken = await withBug(bug, copy);
      const { foundBy } = bug;
      switch (foundBy.type) {
        case 'lateSyncs':
          expect(broken.stableAfterLateSyncs()).not.toEqual(stableAfterLateSyncs());
          break;
        case 'script':
          expect(answers(broken.runScript, foundBy.name, foundBy.answer)).toBe(false);
          break;
        case 'chaos':
        case 'walk': {
          const run = (seed: number): unknown =>
            foundBy.type === 'chaos' ? runSeed(broken.Chaos, seed) : runWalk(broken.Walk, seed, foundBy.plan);
          const isFound = finds(run, foundBy.seedsMax, foundBy.violation);
          expect(isFound, `a seed up to ${foundBy.seedsMax} fails with ${foundBy.violation.source}`).toBe(true);
        }
      }
    },
    120_000,
  );
});
