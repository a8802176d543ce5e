import { expect, test } from 'vitest';
import { sumOverSeeds } from './seeds.js';
import { Walk } from './walk.js';
import { runWalk } from './walk-seed.js';

test('random walks find no stale read, no second leader, nothing lost', () => {
  const sums = sumOverSeeds('test/raft/walk.test.ts', 300, (seed) => runWalk(Walk, seed));
  if (sums === undefined) return;
  const { seeds, total } = sums;
  // A walk that does not get anywhere proves nothing.
  expect(total.leaders).toBeGreaterThan(seeds * 3);
  expect(total.committed).toBeGreaterThan(seeds * 5);
  expect(total.answeredReads).toBeGreaterThan(seeds * 2);
  expect(total.leases).toBeGreaterThan(seeds * 20);
  expect(total.transfers).toBeGreaterThan(seeds);
  expect(total.powerLosses).toBeGreaterThan(seeds * 3);
});
