/** Runs of whole clusters would be worth little if they did not find what can go wrong: so things go wrong here. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runTurns } from '../../src/platform/turns.js';
import { simulate } from '../../src/sim/run.js';
import { bugPlan, bugs, type Bug } from './bugs.js';

const root = join(import.meta.dirname, '../..');

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-bug-zoo-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** The simulator as it would be if nodes had this bug. */
async function withBug({ file, line, broken }: Bug, name: string): Promise<typeof simulate> {
  const copy = join(folder, name);
  for (const part of ['src', 'jepsen-lite']) cpSync(join(root, part), join(copy, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  const path = join(copy, 'src', file);
  const source = readFileSync(path, 'utf8');
  expect(source.split(line), `the line that the bug breaks stands in ${file} once`).toHaveLength(2);
  writeFileSync(
    path,
    source.replace(line, () => broken),
  );
  const { simulate: brokenSimulate } = (await import(join(copy, 'src/sim/run.ts'))) as { simulate: typeof simulate };
  return brokenSimulate;
}

/** What was wrong in the first run that failed; undefined when none did. */
async function firstFailure(run: typeof simulate, { seedsMax }: Bug): Promise<string | undefined> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    const options = { seed, runTurns, nowMs: () => performance.now(), faultMs: 8000, plan: bugPlan };
    const { failure } = await run(options);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

describe('a node that', () => {
  test.each(bugs.map((bug, i) => [bug.name, bug, `bug-${i}`] as const))(
    '%s is found out',
    async (_name, bug, copy) => {
      const failure = await firstFailure(await withBug(bug, copy), bug);
      expect(failure, `a seed up to ${bug.seedsMax} fails`).toMatch(bug.found);
    },
    120_000,
  );

  test('has none of these bugs is not', async () => {
    const result = await simulate({ seed: 1, runTurns, nowMs: () => performance.now(), faultMs: 8000, plan: bugPlan });
    expect(result.failure).toBeUndefined();
  }, 120_000);
});
