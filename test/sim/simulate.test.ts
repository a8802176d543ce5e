import { describe, expect, test } from 'vitest';
import { runTurns } from '../../src/platform/turns.js';
import { simulate } from '../../src/sim/run.js';
import type { SimRunResult } from '../../src/sim/run.js';

const faultMs = 8000;

function run(seed: number): Promise<SimRunResult> {
  return simulate({ seed, runTurns, nowMs: () => performance.now(), faultMs });
}

function explain(result: SimRunResult): string {
  return `${result.failure}\nreplay: npm run sim -- --seeds 1 --seed ${result.seed} --minutes ${faultMs / 60_000}`;
}

describe('simulated clusters under faults', () => {
  const seeds = [1, 2, 3, 4, 5, 6, 7, 8, 13];

  const faultsSeen: Record<string, number> = {};

  test.each(seeds)('seed %i', async (seed) => {
    const result = await run(seed);
    for (const [type, count] of Object.entries(result.faults)) faultsSeen[type] = (faultsSeen[type] ?? 0) + count;
    expect(result.failure, explain(result)).toBeUndefined();
  });

  test('over these seeds every kind of fault happened', () => {
    expect(Object.keys(faultsSeen).filter((type) => faultsSeen[type] === 0)).toEqual([]);
    expect(Object.keys(faultsSeen).length).toBeGreaterThan(5);
  });

  test('a seed gives the same trace twice, another seed another one', async () => {
    const [first, again, other] = [await run(11), await run(11), await run(12)];
    expect(again.traceHash).toBe(first.traceHash);
    expect(again.operations).toEqual(first.operations);
    expect(other.traceHash).not.toBe(first.traceHash);
  });
});
