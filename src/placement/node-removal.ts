/**
 * A node is removed for good: its replicas move to other nodes, by a plan that is made at the beginning and stored; then it leaves the
 * registry, and its data directory is retired. Pure ([decision](../../docs/decisions/2026-11-21-more-nodes.md)).
 */
import { QuorateError } from '../base/errors.js';
import { placementShardId, type NodeId, type ShardId } from '../base/ids.js';
import { noSuchNode, requireFewEmptyFounders, requireMajorities } from './node-departure.js';
import { hasReplicaOn, isGone, nodeStage, type GroupMembers } from './node-registry.js';
import type { DepartureFacts } from './node-replacement.js';
import {
  encodeNodeRecord,
  encodeRemoval,
  nodeKey,
  removalKey,
  replacementKey,
  retiredKey,
} from './placement-format.js';
import type { Move, PlacementChange } from './placement-format.js';
import type { PlacementState } from './placement-state.js';

/**
 * The node is to go. Where that is under way, the plan is made anew for what cannot be carried out as planned; no effect where it is
 * gone. Throws INVALID_ARGUMENT for a node that there is not, and where no other node could take a replica of its; SHARD_UNAVAILABLE
 * where a group would stand without it.
 */
export function removalBegin(state: PlacementState, node: NodeId, facts: DepartureFacts): readonly PlacementChange[] {
  const { groups, founders, isReachable } = facts;
  if (isGone(state, node)) return [];
  if (!state.nodes.has(node) && nodeStage(state, node) === undefined) throw noSuchNode(node);
  requireMajorities(node, groups, isReachable);
  requireFewEmptyFounders(state, node, founders);
  return [{ key: removalKey(node), value: encodeRemoval({ node, moves: movesOf(state, node, facts) }) }];
}

/** Where each replica of the node goes: to the node that has the fewest, of those that have none of that shard. */
function movesOf(state: PlacementState, node: NodeId, { groups, isReachable }: DepartureFacts): readonly Move[] {
  const shards = groups.filter(({ shard }) => shard !== placementShardId);
  const planned = new Map(state.removals.get(node)?.moves.map(({ shard, to }) => [shard, to]));
  const lost = state.replacements.get(node)?.shards ?? [];
  const counts = new Map<NodeId, number>();
  for (const { replicas } of shards) for (const { node: on } of replicas) counts.set(on, (counts.get(on) ?? 0) + 1);
  const hosts = [...state.nodes.keys()].filter(
    (other) => other !== node && nodeStage(state, other) === undefined && isReachable(other),
  );
  const moves: Move[] = [];
  for (const group of shards) {
    const { shard } = group;
    const earlier = planned.get(shard);
    if (!hasReplicaOn(group, node) && !lost.includes(shard)) continue;
    const isAsPlanned = earlier !== undefined && (hasReplicaOn(group, earlier) || hosts.includes(earlier));
    const to = isAsPlanned ? earlier : leastOf(hosts, group, counts);
    if (to === undefined) throw noRoom(node, group);
    counts.set(to, (counts.get(to) ?? 0) + 1);
    moves.push({ shard, to });
  }
  return moves;
}

function leastOf(
  hosts: readonly NodeId[],
  group: GroupMembers,
  counts: ReadonlyMap<NodeId, number>,
): NodeId | undefined {
  let best: NodeId | undefined;
  for (const host of hosts) {
    if (hasReplicaOn(group, host)) continue;
    if (best === undefined || (counts.get(host) ?? 0) < (counts.get(best) ?? 0)) best = host;
  }
  return best;
}

function noRoom(node: NodeId, { shard, replicas }: GroupMembers): QuorateError {
  const nodes = replicas.map((replica) => replica.node).join(', ');
  const message =
    `shard ${shard} has replicas on nodes ${nodes}, and no other node that is up could take that of node ${node}: ` +
    'add a node, or give the shard fewer replicas (`quorate shard replicas`)';
  return new QuorateError('INVALID_ARGUMENT', message, { shard });
}

/** The node, which drains, has no replica any more: it is gone. No effect where that is not so. */
export function removalEnd(
  state: PlacementState,
  node: NodeId,
  groups: readonly GroupMembers[],
): readonly PlacementChange[] {
  if (nodeStage(state, node) !== 'draining' || groups.some((group) => hasReplicaOn(group, node))) return [];
  const record = state.nodes.get(node);
  const ended = [nodeKey(node), removalKey(node), replacementKey(node)].map((key) => ({ key, value: undefined }));
  return record === undefined
    ? ended
    : [{ key: retiredKey(record.storeId), value: encodeNodeRecord(record) }, ...ended];
}

/** Where the node's replica of the group goes; undefined where that is not planned. */
export function destination(state: PlacementState, node: NodeId, shard: ShardId): NodeId | undefined {
  return state.removals.get(node)?.moves.find((move) => move.shard === shard)?.to;
}
