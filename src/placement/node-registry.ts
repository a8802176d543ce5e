/**
 * Which data directory may speak for a node, and how another takes its place. All pure: what is decided on a state is given back
 * as changes of it.
 *
 * A node is replaced in stages, so that no group ever counts on what the old directory has lost (pitfall 17):
 * - `leaving`: the old directory is retired; its replicas are removed from all groups;
 * - `vacant`: no group has a replica on the node, as each of them has said, and that is committed. Now another directory may come;
 * - `joining`: one has come, and is made a voter, under new replica ids, of each group that the old one had a replica of.
 *
 * Invariant: whoever has applied that the node is vacant has applied before that its replica of this group is gone, so it hears
 * nothing of that replica any more; and nobody else talks to the new directory.
 */
import { equalBytes } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import { placementShardId, type NodeId, type ShardId } from '../base/ids.js';
import type { ReplicaDescriptor } from '../shard/descriptor.js';
import { encodeNodeRecord, encodeReplacement, nodeKey, replacementKey, retiredKey } from './placement-format.js';
import type { NodeRecord, PlacementChange, Replacement } from './placement-format.js';
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
}

export type ReplacementStage = 'leaving' | 'vacant' | 'joining';

/** Undefined where the node is not being replaced. */
export function replacementStage(state: PlacementState, node: NodeId): ReplacementStage | undefined {
  if (!state.replacements.has(node)) return undefined;
  const record = state.nodes.get(node);
  if (record === undefined) return 'vacant';
  return state.retiredStores.has(record.storeId) ? 'leaving' : 'joining';
}

/** Whether replicas may be on the node, if there is such a node. */
export function isInService(state: PlacementState, node: NodeId): boolean {
  const stage = replacementStage(state, node);
  return stage !== 'leaving' && stage !== 'vacant';
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
    const message = `node ${node} was replaced: the data directory ${storeId} is out of use; start it with an empty one`;
    return new QuorateError('INVALID_ARGUMENT', message);
  }
  const stage = replacementStage(state, node);
  if (stage === 'leaving') {
    const message = `node ${node} is being replaced, and its old replicas are not removed yet`;
    return new QuorateError('INVALID_ARGUMENT', message, { retryable: true });
  }
  const expected = state.nodes.get(node)?.storeId ?? (stage === 'vacant' ? undefined : met);
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

/**
 * The node is to be replaced: its directory is retired. No effect where that is under way and no new one has come.
 * Throws INVALID_ARGUMENT where it is reachable or has not joined, SHARD_UNAVAILABLE where a group would stand without it.
 *
 * @param groups all there are
 */
export function replacementBegin(
  state: PlacementState,
  node: NodeId,
  groups: readonly GroupMembers[],
  isReachable: (node: NodeId) => boolean,
): readonly PlacementChange[] {
  const stage = replacementStage(state, node);
  if (stage === 'leaving' || stage === 'vacant') return [];
  const record = state.nodes.get(node);
  if (record === undefined) throw new QuorateError('INVALID_ARGUMENT', `there is no node ${node}`);
  if (isReachable(node)) {
    throw new QuorateError('INVALID_ARGUMENT', `node ${node} is up: stop it first, if it is to be replaced`);
  }
  const concerned = groups.filter((group) => hasReplicaOn(group, node));
  for (const { shard, replicas } of concerned) {
    const live = replicas.filter((replica) => replica.node !== node && isReachable(replica.node));
    if (2 * live.length > replicas.length) continue;
    const nodes = replicas.map((replica) => replica.node).join(', ');
    const message = `shard ${shard} has no majority without node ${node}: ${live.length} of its replicas, on nodes ${nodes}, can be reached`;
    throw new QuorateError('SHARD_UNAVAILABLE', message, { shard, retryable: false });
  }
  requireFewAtATime(state, node);
  const pending = state.replacements.get(node)?.shards ?? [];
  const shards = [...new Set([...pending, ...concerned.map(({ shard }) => shard)])].sort((a, b) => a - b);
  return [
    { key: retiredKey(record.storeId), value: encodeNodeRecord(record) },
    { key: replacementKey(node), value: encodeReplacement({ node, shards }) },
  ];
}

/**
 * An empty directory begins with a replica of the placement group as it was formed, until it is told better. So those that are empty
 * at a time must be no majority of that group: they would form another cluster. Throws INVALID_ARGUMENT.
 */
function requireFewAtATime({ nodes, replacements }: PlacementState, node: NodeId): void {
  const empty = [...replacements.values()].filter(({ shards }) => shards.includes(placementShardId));
  const others = empty.map((replacement) => replacement.node).filter((other) => other !== node);
  const known = new Set([...nodes.keys(), ...replacements.keys()]);
  if (2 * (others.length + 1) < known.size) return;
  const message = `so many nodes cannot be replaced at a time: wait until nodes ${others.join(', ')} have their replicas again`;
  throw new QuorateError('INVALID_ARGUMENT', message);
}

/** The node, which leaves, has no replica any more: another directory may come. No effect where that is not so. */
export function vacancy(
  state: PlacementState,
  node: NodeId,
  groups: readonly GroupMembers[],
): readonly PlacementChange[] {
  const isOver = replacementStage(state, node) === 'leaving' && !groups.some((group) => hasReplicaOn(group, node));
  if (!isOver) return [];
  const hadNone = state.replacements.get(node)?.shards.length === 0;
  const keys = hadNone ? [nodeKey(node), replacementKey(node)] : [nodeKey(node)];
  return keys.map((key) => ({ key, value: undefined }));
}

/** The node, which joins, is a voter of the group again. */
export function rejoined(state: PlacementState, node: NodeId, shard: ShardId): readonly PlacementChange[] {
  const replacement = state.replacements.get(node);
  if (replacement?.shards.includes(shard) !== true || replacementStage(state, node) !== 'joining') return [];
  const shards = replacement.shards.filter((other) => other !== shard);
  const value = shards.length === 0 ? undefined : encodeReplacement({ node, shards });
  return [{ key: replacementKey(node), value }];
}

export type ReplacementStep =
  /** The node's replica of the group is to go. */
  | { readonly type: 'leave'; readonly shard: ShardId }
  /** The node is to have a replica of the group that votes. */
  | { readonly type: 'join'; readonly shard: ShardId }
  | { readonly type: 'vacate' };

/**
 * What may be done next, all of it at a time.
 *
 * @param groups all there are, as the shard map has them, which may be behind
 * @param left those whose leader has said since the replacement began that the node has no replica of them
 */
export function replacementSteps(
  state: PlacementState,
  { node, shards }: Replacement,
  groups: readonly GroupMembers[],
  left: ReadonlySet<ShardId>,
): readonly ReplacementStep[] {
  switch (replacementStage(state, node)) {
    case 'leaving': {
      const others = groups.filter(({ shard }) => !left.has(shard));
      if (others.length > 0) return others.map(({ shard }) => ({ type: 'leave', shard }));
      return groups.some((group) => hasReplicaOn(group, node)) ? [] : [{ type: 'vacate' }];
    }
    case 'joining': {
      // Without a replica of the placement group the node does not know of any shard.
      const first = shards.includes(placementShardId) ? [placementShardId] : shards;
      return first.map((shard) => ({ type: 'join', shard }));
    }
    case 'vacant':
    case undefined:
      return [];
  }
}

export function hasReplicaOn({ replicas }: GroupMembers, node: NodeId): boolean {
  return replicas.some((replica) => replica.node === node);
}
