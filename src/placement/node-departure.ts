/** When a node may lose its replicas for good, because it is replaced or removed. Pure; all of it throws QuorateErrors. */
import { QuorateError } from '../base/errors.js';
import { placementShardId, type NodeId, type ShardId } from '../base/ids.js';
import { hasReplicaOn, isGone, nodeStage, votersOf, type GroupMembers } from './node-registry.js';
import { encodeNodeRecord, nodeKey, type NodeRecord, type PlacementChange } from './placement-format.js';
import type { PlacementState } from './placement-state.js';

export function noSuchNode(node: NodeId): QuorateError {
  return new QuorateError('INVALID_ARGUMENT', `there is no node ${node}`);
}

/** What the decision to let a node lose its replicas rests on. */
export interface DepartureFacts {
  /** All there are. */
  readonly groups: readonly GroupMembers[];
  /** Nodes of the placement group as it was formed. */
  readonly founders: readonly NodeId[];
  readonly isReachable: (node: NodeId) => boolean;
}

/** Of no data directory: where nobody knows which one a node had. */
export function unknownStore(node: NodeId): string {
  return String(node).padStart(32, '0');
}

/**
 * What is begun with a node that formed the cluster and cannot be reached, also where it never registered: it lost its disk before, or
 * was never started, but groups have replicas on it. It registers with what it begins.
 *
 * @param founder as it would have registered; undefined where it is none
 */
export function departureOf(
  state: PlacementState,
  founder: NodeRecord | undefined,
  { isReachable }: DepartureFacts,
  begin: (state: PlacementState) => readonly PlacementChange[],
): readonly PlacementChange[] {
  if (founder === undefined) return begin(state);
  const { id } = founder;
  if (state.nodes.has(id) || nodeStage(state, id) !== undefined || isGone(state, id) || isReachable(id))
    return begin(state);
  const changes = begin({ ...state, nodes: new Map(state.nodes).set(id, founder) });
  return changes.length === 0 ? [] : [{ key: nodeKey(id), value: encodeNodeRecord(founder) }, ...changes];
}

/**
 * Throws SHARD_UNAVAILABLE where one of its groups would stand without a majority.
 *
 * @param hands shards whose replica on the node goes when another is there instead: where all voters are up, also the node, it can be the
 *   only one, or one of two
 */
export function requireMajorities(
  node: NodeId,
  { groups, isReachable }: DepartureFacts,
  hands: (shard: ShardId) => boolean = () => false,
): void {
  for (const group of groups.filter((members) => hasReplicaOn(members, node))) {
    const { shard } = group;
    const voters = votersOf(group);
    const live = voters.filter((replica) => replica.node !== node && isReachable(replica.node));
    if (2 * live.length > voters.length) continue;
    if (hands(shard) && voters.every((replica) => isReachable(replica.node))) continue;
    const nodes = voters.map((replica) => replica.node).join(', ');
    const message = `shard ${shard} has no majority without node ${node}: ${live.length} of its replicas, on nodes ${nodes}, can be reached`;
    throw new QuorateError('SHARD_UNAVAILABLE', message, { shard, retryable: false });
  }
}

/**
 * A founder's empty directory begins with a replica of the placement group as it was formed, until it is told better. So the founders
 * that are empty, or gone and might come back empty, must be no majority of them: they would form another cluster. Throws
 * INVALID_ARGUMENT.
 *
 * @param founders nodes of the placement group as it was formed
 */
export function requireFewEmptyFounders(state: PlacementState, node: NodeId, founders: readonly NodeId[]): void {
  if (!founders.includes(node)) return;
  const others = founders.filter((founder) => founder !== node && mayBeEmpty(state, founder));
  if (2 * (others.length + 1) < founders.length) return;
  const message =
    `of the nodes that formed the cluster (${founders.join(', ')}) so many cannot be without their replicas at a time` +
    (others.length === 0
      ? ''
      : `: wait until nodes ${others.join(', ')} have them again (one that was removed, when it has joined anew)`);
  throw new QuorateError('INVALID_ARGUMENT', message);
}

function mayBeEmpty(state: PlacementState, founder: NodeId): boolean {
  if (isGone(state, founder) || nodeStage(state, founder) === 'draining') return true;
  return state.replacements.get(founder)?.shards.includes(placementShardId) === true;
}
