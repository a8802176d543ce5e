/**
 * Which nodes there are, and which data directory may speak for each. All pure: what is decided on a state is given back as changes
 * of it.
 *
 * A node that is to get another directory (node-replacement.ts), or is to go (node-removal.ts), passes through stages:
 * - `leaving`: its directory is retired; the replicas in it are removed from all groups;
 * - `vacant`: no group has a replica on the node, as each of them has said, and that is committed. Now another directory may come;
 * - `joining`: one has come, and gets new replicas of the groups that the old one had replicas of;
 * - `draining`: it is to go; its replicas move to other nodes, and it has part in everything until the last has moved.
 *
 * Invariant: whoever has applied that a directory may come under an id has applied before that the replica of the placement group in
 * the directory before it is gone, so it hears nothing of that replica any more; and nobody else talks to the new directory.
 */
import { equalBytes } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import type { NodeId, ReplicaId, ShardId } from '../base/ids.js';
import type { ReplicaDescriptor } from '../shard/descriptor.js';
import type { GroupDescriptor } from '../shard/group-descriptor.js';
import { encodeNodeRecord, nodeKey } from './placement-format.js';
import type { NodeRecord, PlacementChange } from './placement-format.js';
import type { PlacementState } from './placement-state.js';

/** A node with its data directory. */
interface NodeStore {
  readonly nodeId: NodeId;
  readonly storeId: string;
}

/** A group as far as it matters here: one of the shard map's, or the placement group. */
export interface GroupMembers {
  readonly shard: ShardId;
  readonly replicas: readonly ReplicaDescriptor[];
  /** Which of them vote: of the placement group. */
  readonly configuration?: GroupDescriptor['configuration'];
  /** Which of them do not: of the map's. */
  readonly learners?: readonly ReplicaId[];
}

/** As far as is known. */
export function votersOf({ replicas, configuration, learners = [] }: GroupMembers): readonly ReplicaDescriptor[] {
  const votes = (replica: ReplicaId): boolean => configuration?.voters.includes(replica) ?? !learners.includes(replica);
  return replicas.filter(({ replica }) => votes(replica));
}

/** All groups there are, the placement group first. */
export function groupsOf({ shardMap }: PlacementState, placement: GroupMembers): readonly GroupMembers[] {
  return [placement, ...shardMap.shards];
}

export function hasReplicaOn({ replicas }: GroupMembers, node: NodeId): boolean {
  return replicas.some((replica) => replica.node === node);
}

export type NodeStage = 'leaving' | 'vacant' | 'joining' | 'draining';

/** Undefined where the node is as any other, or there is none. */
export function nodeStage(state: PlacementState, node: NodeId): NodeStage | undefined {
  if (state.removals.has(node)) return 'draining';
  if (!state.replacements.has(node)) return undefined;
  const record = state.nodes.get(node);
  if (record === undefined) return 'vacant';
  return state.retiredStores.has(record.storeId) ? 'leaving' : 'joining';
}

/** Whether the node has to lose all replicas that it has. */
export function isLeaving(state: PlacementState, node: NodeId): boolean {
  const stage = nodeStage(state, node);
  return stage === 'leaving' || stage === 'draining';
}

/** The data directory in which new replicas on the node may be; undefined where none may. */
export function storeInUse(state: PlacementState, node: NodeId): string | undefined {
  return isLeaving(state, node) ? undefined : state.nodes.get(node)?.storeId;
}

/** A node that is replaced or removed, and of which it is stored that a replica of the shard is to come back or to move. */
export function plannedFor({ replacements, removals }: PlacementState, shard: ShardId): NodeId | undefined {
  for (const { node, shards } of replacements.values()) if (shards.includes(shard)) return node;
  for (const { node, moves } of removals.values()) if (moves.some((move) => move.shard === shard)) return node;
  return undefined;
}

/**
 * Where the replica of the shard goes that the node, which drains, has or has lost; after that those that were to get it before, the last
 * first. Empty where that is not planned.
 */
export function routeOf({ removals }: PlacementState, node: NodeId, shard: ShardId): readonly NodeId[] {
  const moves = removals.get(node)?.moves.filter((move) => move.shard === shard) ?? [];
  return moves.map(({ to }) => to).reverse();
}

/**
 * Whether the shard has, as far as the map tells, what the plan of the node, which drains, wants of it: it votes, or learns, on the last
 * target, and is neither on the node nor on a target that was given up.
 */
export function isMoved(state: PlacementState, node: NodeId, group: GroupMembers): boolean {
  const [to, ...givenUp] = routeOf(state, node, group.shard);
  if (to === undefined || [node, ...givenUp].some((from) => hasReplicaOn(group, from))) return false;
  const isInUse = ({ storeId }: ReplicaDescriptor): boolean =>
    storeInUse(state, to) !== undefined && (storeId === undefined || storeId === storeInUse(state, to));
  const learns = state.removals.get(node)?.learning.includes(group.shard) === true;
  const able = learns ? group.replicas : votersOf(group);
  return able.some((replica) => replica.node === to && isInUse(replica));
}

/**
 * Whether the plan of another node, which drains, names this one for the shard: what becomes of that replica is in that plan, which may have
 * turned to yet another node.
 */
export function isTakingOver({ removals }: PlacementState, node: NodeId, { shard }: GroupMembers): boolean {
  const others = [...removals.values()].filter((removal) => removal.node !== node);
  return others.some(({ moves }) => moves.some((move) => move.shard === shard && move.to === node));
}

/** Whether the node was removed, and did not come again. */
export function isGone({ nodes, replacements, removals, retiredStores }: PlacementState, node: NodeId): boolean {
  const isKnown = nodes.has(node) || replacements.has(node) || removals.has(node);
  return !isKnown && [...retiredStores.values()].includes(node);
}

/**
 * Why this directory may not speak for the node; undefined where it may. Retryable where that is over soon.
 *
 * @param met the directory that first came under this id, which counts as long as none is registered
 */
export function storeFault(
  state: PlacementState,
  { nodeId: node, storeId }: NodeStore,
  met: string | undefined,
): QuorateError | undefined {
  if (state.retiredStores.has(storeId)) {
    const successor = state.nodes.get(node)?.storeId;
    const isSucceeded = successor !== undefined && successor !== storeId;
    const [code, what, wayOut] = isGone(state, node)
      ? (['NODE_REMOVED', 'was removed from the cluster', 'with an empty one it joins anew'] as const)
      : isSucceeded
        ? (['NODE_REMOVED', 'was replaced', `it has the data directory ${successor} now`] as const)
        : (['NODE_RETIRED', 'was replaced', 'start it with an empty one'] as const);
    return new QuorateError(code, `node ${node} ${what}: the data directory ${storeId} is out of use; ${wayOut}`);
  }
  const stage = nodeStage(state, node);
  const record = state.nodes.get(node);
  if (stage === 'leaving' || (stage === 'draining' && record === undefined)) {
    const message =
      stage === 'leaving'
        ? `node ${node} is being replaced, and its old replicas are not removed yet`
        : `node ${node} is being removed`;
    return new QuorateError('INVALID_ARGUMENT', message, { retryable: true });
  }
  const isMetInUse = stage !== 'vacant' && met !== undefined && !state.retiredStores.has(met);
  const expected = record?.storeId ?? (isMetInUse ? met : undefined);
  if (expected === undefined || expected === storeId) return undefined;
  const message =
    `node ${node} joined with the data directory ${expected}, this is ${storeId}: a node that lost its disk cannot come back ` +
    `by itself; give it its disk back, or run \`quorate node replace ${node}\` and start it again`;
  return new QuorateError('INVALID_ARGUMENT', message);
}

/** A node enters the registry, or changes its addresses. Throws its {@link storeFault}. */
export function registration(state: PlacementState, record: NodeRecord): readonly PlacementChange[] {
  const fault = storeFault(state, { nodeId: record.id, storeId: record.storeId }, undefined);
  if (fault !== undefined) throw fault;
  const known = state.nodes.get(record.id);
  const value = encodeNodeRecord(record);
  const isSame = known !== undefined && equalBytes(encodeNodeRecord(known), value);
  return isSame ? [] : [{ key: nodeKey(record.id), value }];
}
