import { describe, expect, test } from 'vitest';
import { checkLimits, defaultLimits } from '../../src/base/limits.js';
import { faultTypes } from '../../src/sim/fault-types.js';
import { drawPlan } from '../../src/sim/swarm.js';

const plans = Array.from({ length: 500 }, (_, seed) => drawPlan(seed));

describe('what seeds draw', () => {
  test('is the same for the same seed, and can be shown as JSON', () => {
    expect(drawPlan(7)).toEqual(drawPlan(7));
    expect(drawPlan(7)).not.toEqual(drawPlan(8));
    expect(JSON.parse(JSON.stringify(plans))).toEqual(plans);
  });

  test('is always a cluster that could be configured', () => {
    for (const { nodes, replicas, shards, limits, workload } of plans) {
      expect(replicas).toBeLessThanOrEqual(nodes);
      expect(shards).toBeGreaterThanOrEqual(1);
      const all = { ...defaultLimits, ...limits };
      checkLimits(all);
      expect(workload.valueBytes).toBeLessThanOrEqual(all.valueBytesMax);
    }
  });

  test('keeps request ids for longer than monotonic clocks jump', () => {
    const jumping = plans.filter(({ faults }) => faults.types.includes('monotonicJump'));
    expect(jumping.length).toBeGreaterThan(0);
    for (const { limits } of jumping) expect(limits.requestIdRetentionMs).toBeGreaterThan(3600_000);
  });

  test('comes in all shapes', () => {
    const drawn = (of: (plan: (typeof plans)[number]) => unknown): Set<unknown> => new Set(plans.map(of));
    expect(drawn(({ nodes }) => nodes)).toEqual(new Set([3, 5]));
    expect(drawn(({ repair }) => repair)).toEqual(new Set(['manual', 'fromPeers']));
    expect(drawn(({ replicas }) => replicas)).toEqual(new Set([1, 3, 5]));
    expect([...drawn(({ shards }) => shards)]).toEqual(expect.arrayContaining([1, 16]));
    expect([...drawn(({ limits }) => limits.segmentBytesMax)]).toHaveLength(2);
    expect(drawn(({ limits }) => limits.spareSegmentsMax)).toEqual(new Set([undefined, 0, 1, 8]));
    expect(new Set(plans.flatMap(({ faults }) => faults.types))).toEqual(new Set(faultTypes));
    expect(plans.some(({ faults }) => faults.types.length === 1)).toBe(true);
    expect(plans.some(({ limits }) => Object.keys(limits).length === 0)).toBe(true);
  });
});
