/**
 * A node is removed for good: its replicas move to other nodes, by a plan that is made at the beginning and stored; then it leaves the
 * registry, and its data directory is retired. Pure ([decision](../../docs/decisions/2026-11-21-more-nodes.md)).
 */
import { equalBytes } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import { placementShardId, type NodeId, type ShardId } from '../base/ids.js';
import { noSuchNode, requireFewEmptyFounders, requireMajorities, type DepartureFacts } from './node-departure.js';
import { hasReplicaOn, isGone, isMoved, nodeStage, routeOf, votersOf, type GroupMembers } from './node-registry.js';
import {
  encodeNodeRecord,
  encodeRemoval,
  encodeReplacement,
  nodeKey,
  removalKey,
  replacementKey,
  retiredKey,
  withoutGroup,
  withoutShard,
} from './placement-format.js';
import type { Move, PlacementChange, Removal } from './placement-format.js';
import type { PlacementState } from './placement-state.js';

/**
 * The node is to go. All plans that there are are made anew where they cannot be carried out: one to which a replica was to move takes
 * none any more, or cannot be reached. No effect where the node is gone, also where it has come again since. Throws INVALID_ARGUMENT for a node that there is not, and
 * where no other node could take a replica, of it or of another that goes; UNAVAILABLE where one could a little later. Where it begins also
 * SHARD_UNAVAILABLE, if a group would stand without it, and INVALID_ARGUMENT, if too many founders would be empty.
 *
 * @param storeId the data directory that it had as far as was known where this was wished for
 */
export function removalBegin(
  state: PlacementState,
  node: NodeId,
  facts: DepartureFacts,
  storeId?: string,
): readonly PlacementChange[] {
  if (isGone(state, node)) return [];
  // A wish that comes late, of a process that stood still, is of the node before this one.
  const inUse = state.nodes.get(node)?.storeId;
  if (storeId !== undefined && inUse !== undefined && inUse !== storeId) return [];
  if (!state.nodes.has(node) && nodeStage(state, node) === undefined) throw noSuchNode(node);
  // Once it has begun it must be able to turn to other targets, whatever has happened since.
  if (nodeStage(state, node) !== 'draining') {
    // A shard gets another replica before this one goes; the placement group gets none where it has no learner.
    requireMajorities(node, facts, (shard) => shard !== placementShardId);
    requireFewEmptyFounders(state, node, facts.founders);
  }
  const others = [...state.removals.values()].filter((removal) => removal.node !== node);
  const itself = state.removals.get(node) ?? { node, moves: [], learning: [] };
  // The last is this one: what was to move to it has another target by then, and is that plan's.
  let planned = withRemoval(state, itself);
  for (const removal of [...others, itself]) planned = withRemoval(planned, replanned(planned, removal, facts));
  return [...planned.removals.values()]
    .filter((removal) => removal.node === node || !isSame(removal, state.removals.get(removal.node)))
    .map((removal) => ({ key: removalKey(removal.node), value: encodeRemoval(removal) }));
}

function withRemoval(state: PlacementState, removal: Removal): PlacementState {
  return { ...state, removals: new Map(state.removals).set(removal.node, removal) };
}

function isSame(a: Removal, b: Removal | undefined): boolean {
  return b !== undefined && equalBytes(encodeRemoval(a), encodeRemoval(b));
}

/**
 * Where each replica of the node goes: to the node that has the fewest, of those that have none of that shard and that no other plan
 * names for it: also what one has given up goes again.
 */
function replanned(state: PlacementState, removal: Removal, { groups, isReachable }: DepartureFacts): Removal {
  const { node } = removal;
  const shards = groups.filter(({ shard }) => shard !== placementShardId);
  const lost = state.replacements.get(node)?.shards ?? [];
  const others = [...state.removals.keys()].filter((other) => other !== node);
  const awaited = ({ shard }: GroupMembers): NodeId[] =>
    others.flatMap((other) => routeOf(state, other, shard).slice(0, 1));
  const isNamed = (host: NodeId, { shard }: GroupMembers): boolean =>
    others.some((other) => routeOf(state, other, shard).includes(host));
  const counts = new Map<NodeId, number>();
  const count = (on: NodeId): unknown => counts.set(on, (counts.get(on) ?? 0) + 1);
  for (const group of shards) {
    for (const replica of group.replicas) count(replica.node);
    for (const to of awaited(group)) if (!hasReplicaOn(group, to)) count(to);
  }
  const hosts = [...state.nodes.keys()].filter(
    (other) => other !== node && nodeStage(state, other) === undefined && isReachable(other),
  );
  const moves: Move[] = [];
  const learning: ShardId[] = [];
  for (const group of shards) {
    const { shard } = group;
    const route = routeOf(state, node, shard);
    const isOwn = route.length > 0 || (hasReplicaOn(group, node) && !isNamed(node, group)) || lost.includes(shard);
    if (!isOwn) continue;
    if (learns(state, removal, group)) learning.push(shard);
    // One that was given up may have a replica still.
    const able = hosts.filter((host) => !hasReplicaOn(group, host) || route.includes(host));
    const free = able.filter((host) => !isNamed(host, group));
    const planned = isMoved(state, node, group) ? route[0] : targetOf(route, hosts);
    const to = planned ?? leastOf(free, counts) ?? laterTarget(state, route);
    if (to === undefined) throw able.length > 0 ? noRoomYet(node, group, others) : noRoom(node, group);
    count(to);
    for (const on of [...route.filter((earlier) => earlier !== to).reverse(), to]) moves.push({ shard, to: on });
  }
  return { node, moves, learning };
}

/** What the replica is that moves. On the way it learns in any case: what it was is in the plan then. */
function learns(state: PlacementState, { node, moves, learning }: Removal, group: GroupMembers): boolean {
  const { shard } = group;
  if (moves.some((move) => move.shard === shard)) return learning.includes(shard);
  const lost = state.replacements.get(node);
  if (lost?.shards.includes(shard) === true) return lost.learning.includes(shard);
  return votersOf(group).every((voter) => voter.node !== node);
}

/** The target as planned, if it can take the replica now. */
function targetOf([planned]: readonly NodeId[], hosts: readonly NodeId[]): NodeId | undefined {
  return planned !== undefined && hosts.includes(planned) ? planned : undefined;
}

/** The target as planned, if it may be able to later. */
function laterTarget(state: PlacementState, [planned]: readonly NodeId[]): NodeId | undefined {
  const goes = planned === undefined || nodeStage(state, planned) === 'draining' || isGone(state, planned);
  return goes ? undefined : planned;
}

function leastOf(nodes: readonly NodeId[], counts: ReadonlyMap<NodeId, number>): NodeId | undefined {
  let best: NodeId | undefined;
  for (const node of nodes) {
    if (best === undefined || (counts.get(node) ?? 0) < (counts.get(best) ?? 0)) best = node;
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

/** Another plan names those that could take it, and is done before long. */
function noRoomYet(node: NodeId, { shard }: GroupMembers, others: readonly NodeId[]): QuorateError {
  const message = `no node can take the replica of shard ${shard} on node ${node} until node ${others.join(' and ')} is removed`;
  return new QuorateError('UNAVAILABLE', message, { shard });
}

/** Replicas are where the plan of the node has them: it is done with these. No effect where the map does not say so of any. */
export function movesDone(state: PlacementState, node: NodeId): readonly PlacementChange[] {
  const removal = state.removals.get(node);
  const moved = state.shardMap.shards.filter((group) => isMoved(state, node, group)).map(({ shard }) => shard);
  if (removal === undefined || moved.length === 0) return [];
  const changes = [{ key: removalKey(node), value: encodeRemoval(moved.reduce(withoutShard, removal)) }];
  const lost = state.replacements.get(node);
  if (lost?.shards.some((shard) => moved.includes(shard)) === true)
    changes.push({ key: replacementKey(node), value: encodeReplacement(moved.reduce(withoutGroup, lost)) });
  return changes;
}

/** The node, which drains, has no replica any more, and all is moved that was planned: it is gone. No effect where that is not so. */
export function removalEnd(
  state: PlacementState,
  node: NodeId,
  groups: readonly GroupMembers[],
): readonly PlacementChange[] {
  const removal = state.removals.get(node);
  if (removal === undefined || removal.moves.length > 0) return [];
  if (groups.some((group) => hasReplicaOn(group, node))) return [];
  const record = state.nodes.get(node);
  const ended = [nodeKey(node), removalKey(node), replacementKey(node)].map((key) => ({ key, value: undefined }));
  return record === undefined
    ? ended
    : [{ key: retiredKey(record.storeId), value: encodeNodeRecord(record) }, ...ended];
}
