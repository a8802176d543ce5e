import { expect, test } from 'vitest';
import { NodeId } from '../../src/base/ids.js';
import { firstShardMap } from '../../src/placement/bootstrap.js';
import { preferredLeaders } from '../../src/placement/preferred-leaders.js';

test.each([
  { nodes: 1, shards: 4, most: 4 },
  { nodes: 3, shards: 8, most: 3 },
  { nodes: 3, shards: 9, most: 3 },
  { nodes: 5, shards: 20, most: 5 },
  { nodes: 7, shards: 64, most: 11 },
])('of $shards shards on $nodes nodes none leads more than $most', ({ nodes: count, shards: shardCount, most }) => {
  const nodes = Array.from({ length: count }, (_, i) => NodeId(i + 1));
  const shards = firstShardMap({ nodes, shardCount, replicationFactor: Math.min(3, count) });
  const preferred = preferredLeaders(shards);
  const counts = new Map<NodeId, number>();
  for (const { shard, replicas } of shards) {
    const leader = preferred.get(shard);
    expect(replicas.map(({ node }) => node)).toContain(leader);
    if (leader !== undefined) counts.set(leader, (counts.get(leader) ?? 0) + 1);
  }
  expect(Math.max(...counts.values())).toBeLessThanOrEqual(most);
  // The same on every node, in whatever order it has them; and a later shard changes nothing for the earlier ones.
  expect(preferredLeaders([...shards].reverse())).toEqual(preferred);
  const fewer = preferredLeaders(shards.slice(0, -1));
  for (const [shard, node] of fewer) expect(preferred.get(shard)).toBe(node);
});
