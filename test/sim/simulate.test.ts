import { describe, expect, test } from 'vitest';
import { runTurns } from '../../src/platform/turns.js';
import { faultTypes } from '../../src/sim/fault-types.js';
import type { FaultType } from '../../src/sim/fault-types.js';
import { simulate } from '../../src/sim/run.js';
import type { SimRunResult } from '../../src/sim/run.js';

const faultMs = 6000;

function run(seed: number): Promise<SimRunResult> {
  return simulate({ seed, runTurns, nowMs: () => performance.now(), faultMs });
}

function explain({ failure, seed, plan }: SimRunResult): string {
  const replay = `npm run sim -- --seeds 1 --seed ${seed} --minutes ${faultMs / 60_000}`;
  return `${failure}\nplan: ${JSON.stringify(plan)}\nreplay: ${replay}`;
}

describe('simulated clusters under faults', () => {
  // Cheap ones that meet every fault between them, each in several, in clusters of three and five, with limits of all sizes.
  const seeds = [
    3, 50, 56, 165, 183, 187, 188, 243, 249, 250, 268, 269, 278, 279, 290, 310, 315, 379, 397, 443, 477, 494, 497, 501,
    510, 511, 515, 522, 530, 545, 549, 558, 562, 567, 568, 570, 576, 579, 583, 616, 644, 651, 655, 679, 699,
  ];

  const faultsSeen = new Set<FaultType>();

  test.each(seeds)('seed %i', async (seed) => {
    const result = await run(seed);
    for (const type of faultTypes) if (result.faults[type] > 0) faultsSeen.add(type);
    expect(result.failure, explain(result)).toBeUndefined();
  });

  test('over these seeds every kind of fault happened', () => {
    expect(faultTypes.filter((type) => !faultsSeen.has(type))).toEqual([]);
  });

  test('a seed gives the same trace twice, another seed another one', async () => {
    const [first, again, other] = [await run(32), await run(32), await run(42)];
    expect(again).toEqual(first);
    expect(other.traceHash).not.toBe(first.traceHash);
  });

  test('a run may be given parts of its plan', async () => {
    const given = { nodes: 3, replicas: 1, shards: 2, faults: { types: [], gapMsMax: 1000, lastsMsMax: 1000 } };
    const { plan, failure, faults } = await simulate({
      seed: 103,
      runTurns,
      nowMs: () => performance.now(),
      faultMs: 2000,
      plan: given,
    });
    expect(failure).toBeUndefined();
    expect(plan).toMatchObject(given);
    expect(Object.values(faults).every((count) => count === 0)).toBe(true);
  });
});
