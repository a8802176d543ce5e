import { describe, expect, test } from 'vitest';
import { Chaos } from './chaos.js';
import type { ChaosCounts } from './chaos-draws.js';
import { runSeed } from './chaos-seed.js';

/** `RAFT_SEED` replays one seed, `RAFT_SEEDS` sets how many run. */
const onlySeed = process.env.RAFT_SEED;
const seeds = onlySeed === undefined ? Number(process.env.RAFT_SEEDS ?? 60) : 1;

describe('random faults', () => {
  test('keep what Raft promises, and end in agreement', () => {
    const total: Partial<ChaosCounts> = {};
    for (let i = 0; i < seeds; i++) {
      const seed = Number(onlySeed ?? i + 1);
      let chaos: Chaos;
      try {
        chaos = runSeed(Chaos, seed);
      } catch (error) {
        throw new Error(`seed ${seed}; replay with RAFT_SEED=${seed} npx vitest run test/raft/chaos.test.ts`, {
          cause: error,
        });
      }
      for (const name of Object.keys(chaos.counts) as (keyof ChaosCounts)[]) {
        total[name] = (total[name] ?? 0) + chaos.counts[name];
      }
    }
    // A run whose faults have no effect proves nothing.
    if (onlySeed !== undefined) return;
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
