/** Runs of whole clusters would be worth little if they did not find what can go wrong: so things go wrong here. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runTurns } from '../../src/platform/turns.js';
import { simulate } from '../../src/sim/run.js';
import type { SimPlan } from '../../src/sim/swarm.js';
import { bugPlan, bugs, type Bug } from './bugs.js';
import { replacedSeed, type replaceDisk } from './lost-disk.js';

const root = join(import.meta.dirname, '../..');

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-bug-zoo-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

interface Broken {
  readonly simulate: typeof simulate;
  readonly replaceDisk: typeof replaceDisk;
}

/** Runs and scenarios as they would be if nodes had this bug. */
async function withBug({ also, ...bug }: Bug, name: string): Promise<Broken> {
  const copy = join(folder, name);
  for (const part of ['src', 'jepsen-lite', 'test/sim/scenario.ts', 'test/sim/lost-disk.ts'])
    cpSync(join(root, part), join(copy, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  for (const { file, line, broken } of also === undefined ? [bug] : [bug, also]) {
    const path = join(copy, 'src', file);
    const source = readFileSync(path, 'utf8');
    expect(source.split(line), `what the bug breaks stands in ${file} once`).toHaveLength(2);
    writeFileSync(
      path,
      source.replace(line, () => broken),
    );
  }
  const load = (module: string): Promise<unknown> => import(join(copy, module));
  const runs = (await load('src/sim/run.ts')) as Pick<Broken, 'simulate'>;
  const scenarios = (await load('test/sim/lost-disk.ts')) as Omit<Broken, 'simulate'>;
  return { simulate: runs.simulate, replaceDisk: scenarios.replaceDisk };
}

/** What was wrong in the first run that failed; undefined when none did. */
async function firstFailure(
  run: typeof simulate,
  { seedsMax, plan }: { readonly seedsMax: number; readonly plan?: Partial<SimPlan> },
): Promise<string | undefined> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    const options = { seed, runTurns, nowMs: () => performance.now(), faultMs: 8000, plan: { ...bugPlan, ...plan } };
    const { failure } = await run(options);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

describe('a node that', () => {
  test.each(bugs.map((bug, i) => [bug.name, bug, `bug-${i}`] as const))(
    '%s is found out',
    async (_name, bug, copy) => {
      const broken = await withBug(bug, copy);
      const { foundBy } = bug;
      if (foundBy.type !== 'runs') {
        const { scenario } = await broken.replaceDisk(replacedSeed);
        expect(scenario.cluster.raftChecks.violations[0]).toMatch(foundBy.violation);
      } else {
        const failure = await firstFailure(broken.simulate, foundBy);
        expect(failure, `a seed up to ${foundBy.seedsMax} fails`).toMatch(foundBy.failure);
      }
    },
    120_000,
  );

  test('has none of these bugs is not', async () => {
    const result = await simulate({ seed: 1, runTurns, nowMs: () => performance.now(), faultMs: 8000, plan: bugPlan });
    expect(result.failure).toBeUndefined();
  }, 120_000);
});
