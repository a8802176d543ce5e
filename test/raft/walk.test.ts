import { expect, test } from 'vitest';
import { Walk, type WalkCounts } from './walk.js';
import { runWalk } from './walk-seed.js';

/** `RAFT_SEED` replays one seed, `RAFT_SEEDS` sets how many run. */
const onlySeed = process.env.RAFT_SEED;
const seeds = onlySeed === undefined ? Number(process.env.RAFT_SEEDS ?? 300) : 1;

test('random walks find no stale read, no second leader, nothing lost', () => {
  const total: Partial<WalkCounts> = {};
  for (let i = 0; i < seeds; i++) {
    const seed = Number(onlySeed ?? i + 1);
    let walk: Walk;
    try {
      walk = runWalk(Walk, seed);
    } catch (error) {
      throw new Error(`seed ${seed}; replay with RAFT_SEED=${seed} npx vitest run test/raft/walk.test.ts`, {
        cause: error,
      });
    }
    for (const name of Object.keys(walk.counts) as (keyof WalkCounts)[]) {
      total[name] = (total[name] ?? 0) + walk.counts[name];
    }
  }
  // A walk that does not get anywhere proves nothing.
  if (onlySeed !== undefined) return;
  expect(total.leaders).toBeGreaterThan(seeds * 3);
  expect(total.committed).toBeGreaterThan(seeds * 5);
  expect(total.answeredReads).toBeGreaterThan(seeds * 2);
  expect(total.leases).toBeGreaterThan(seeds * 20);
  expect(total.transfers).toBeGreaterThan(seeds);
  expect(total.powerLosses).toBeGreaterThan(seeds * 3);
});
