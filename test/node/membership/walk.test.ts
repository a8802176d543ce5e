import { expect, test } from 'vitest';
import { WalkCluster } from './walk-cluster.js';
import { membersFaults, voterOutOfUse, votersFault } from './walk-members.js';

const turns = 150;
const seeds = 400;

test('whatever happens to machines, every shard comes to the members that are wanted', async () => {
  const marks = new Map<string, number>();
  for (let seed = 0; seed < seeds; seed++) {
    const cluster = new WalkCluster(seed);
    for (let i = 0; i < turns; i++) {
      if (cluster.random.chance(0.1)) cluster.strike();
      if (cluster.random.chance(0.04)) cluster.wish();
      await cluster.turn(true);
      expect(voterOutOfUse(cluster) ?? votersFault(cluster), `seed ${seed}`).toBeUndefined();
    }
    cluster.heal();
    for (let i = 0; i < turns; i++) await cluster.turn(false);
    expect(membersFaults(cluster), `seed ${seed}`).toEqual([]);
    for (const [mark, count] of Object.entries(cluster.marks)) marks.set(mark, (marks.get(mark) ?? 0) + count);
    cluster.close();
  }
  for (const [mark, count] of marks) expect(count, mark).toBeGreaterThan(10);
}, 60_000);
