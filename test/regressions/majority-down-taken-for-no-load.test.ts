import { expect, test } from 'vitest';
import { runTurns } from '../../src/platform/turns.js';
import { simulate } from '../../src/sim/run.js';

test('a run that refuses most of what is asked, because a majority is down, is no run without load', async () => {
  // Power fails and links are slow for up to 10 of 12 s.
  const { failure, operations } = await simulate({
    seed: 600108,
    runTurns,
    nowMs: () => performance.now(),
    faultMs: 12_000,
    plan: {
      nodes: 3,
      replicas: 3,
      shards: 7,
      limits: {},
      workload: {
        clients: 3,
        keys: 8,
        thinkMsMax: 100,
        valueBytes: 300,
        actions: { one: 10, batch: 3, scan: 3, staleRead: 1, staleScan: 3, atomicBatch: 0 },
        bursts: { lastsMsMax: 600, gapMsMax: 8000, callsMax: 1000 },
      },
      faults: {
        types: ['powerLoss', 'pause', 'slowNetwork', 'hold', 'reset'],
        gapMsMax: 800,
        lastsMsMax: 10_000,
      },
    },
  });
  expect(failure).toBeUndefined();
  expect(operations.done).toBeLessThan(12);
  expect(operations.notApplied).toBeGreaterThan(12);
}, 60_000);
