/** Which node had better lead each shard: a pure function of the shard map. */
import type { NodeId, ShardId } from '../base/ids.js';
import type { ShardDescriptor } from '../shard/descriptor.js';

/**
 * For each shard, in the order of their ids, the node of its replicas that is preferred for the fewest so far; of equals
 * the first on the ring. So every node leads about as many, and a new shard changes nothing for the others.
 */
export function preferredLeaders(shards: readonly ShardDescriptor[]): Map<ShardId, NodeId> {
  const preferred = new Map<ShardId, NodeId>();
  const counts = new Map<NodeId, number>();
  const countOf = (node: NodeId): number => counts.get(node) ?? 0;
  for (const { shard, replicas } of [...shards].sort((a, b) => a.shard - b.shard)) {
    // Replicas are numbered in the order of the ring.
    let best = replicas[0].node;
    for (const { node } of replicas) if (countOf(node) < countOf(best)) best = node;
    preferred.set(shard, best);
    counts.set(best, countOf(best) + 1);
  }
  return preferred;
}
