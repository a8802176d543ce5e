import { beforeAll, expect, test } from 'vitest';
import { runTurns } from '../../src/platform/turns.js';
import { marks } from '../../src/sim/coverage.js';
import { faultTypes } from '../../src/sim/fault-types.js';
import { simulate } from '../../src/sim/run.js';
import type { SimRunResult } from '../../src/sim/run.js';
import { coverageSeedsMin, Summary } from '../../src/sim/summary.js';

let run: SimRunResult;

beforeAll(async () => {
  run = await simulate({ seed: 8, runTurns, nowMs: () => performance.now(), faultMs: 2000 });
});

const each = (names: readonly string[]): Record<string, number> => Object.fromEntries(names.map((name) => [name, 1]));

/** As if every fault and every rare path had been met. */
function whole(): SimRunResult {
  return {
    ...run,
    faults: each(faultTypes) as SimRunResult['faults'],
    coverage: each(marks) as SimRunResult['coverage'],
  };
}

test('a run that failed makes the batch fail', () => {
  const summary = new Summary();
  summary.add(run);
  expect(summary.isGood).toBe(true);
  summary.add({ ...run, seed: 9, failure: 'something' });
  expect(summary).toMatchObject({ seeds: 2, failed: [9], isGood: false, virtualMs: 2 * run.virtualMs });
  expect(summary.operationsChecked).toBe(2 * run.operationsChecked);
});

test('a run without a result makes the batch fail', () => {
  const summary = new Summary();
  summary.broken(5);
  expect(summary).toMatchObject({ seeds: 1, failed: [5], isGood: false });
});

test('a large batch fails when it never met a fault or a rare path, and says which', () => {
  const summary = new Summary();
  const { coverage, faults } = whole();
  const lame = { ...run, coverage: { ...coverage, tornTailCut: 0 }, faults: { ...faults, crash: 0 } };
  for (let i = 0; i < coverageSeedsMin; i++) {
    expect(summary.isGood).toBe(true);
    summary.add(lame);
  }
  expect(summary.neverMet).toEqual(['crash', 'tornTailCut']);
  expect(summary.isGood).toBe(false);
  summary.add(whole());
  expect(summary.neverMet).toEqual([]);
  expect(summary.isGood).toBe(true);
});
