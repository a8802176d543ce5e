import { describe, expect, test } from 'vitest';
import { Chaos } from './chaos.js';
import { runSeed } from './chaos-seed.js';
import { sumOverSeeds } from './seeds.js';

describe('random faults', () => {
  test('keep what Raft promises, and end in agreement', () => {
    const sums = sumOverSeeds('test/raft/chaos.test.ts', 60, (seed) => runSeed(Chaos, seed));
    if (sums === undefined) return;
    const { seeds, total } = sums;
    // A run whose faults have no effect proves nothing.
    expect(total.leaders).toBeGreaterThan(seeds * 2);
    expect(total.committed).toBeGreaterThan(seeds * 20);
    expect(total.replacedEntries).toBeGreaterThan(seeds / 5);
    expect(total.answeredReads).toBeGreaterThan(seeds * 5);
    expect(total.lostReads).toBeGreaterThan(seeds / 10);
    expect(total.powerLosses).toBeGreaterThan(seeds);
    expect(total.logReads).toBeGreaterThan(seeds / 10);
    expect(total.transfers).toBeGreaterThan(seeds / 10);
    expect(total.changes).toBeGreaterThan(seeds);
    expect(total.jointConfigurations).toBeGreaterThan(seeds / 4);
    expect(total.replacedChanges).toBeGreaterThan(0);
    expect(total.installs).toBeGreaterThan(seeds / 4);
    expect(total.leaseReads).toBeGreaterThan(seeds / 4);
    expect(total.quiet).toBeGreaterThan(seeds);
    expect(total.lostMessages).toBeGreaterThan(seeds);
  });
});
