/**
 * A node gets another data directory, in the stages of node-registry.ts: so no group ever counts on what the old one has lost
 * (pitfall 17). Pure ([decision](../../docs/decisions/2026-11-21-node-replacement.md)).
 */
import { QuorateError } from '../base/errors.js';
import type { NodeId, ShardId } from '../base/ids.js';
import { noSuchNode, requireFewEmptyFounders, requireMajorities, type DepartureFacts } from './node-departure.js';
import { hasReplicaOn, isTakingOver, nodeStage, storeFault, votersOf, type GroupMembers } from './node-registry.js';
import {
  encodeNodeRecord,
  encodeReplacement,
  nodeKey,
  replacementKey,
  retiredKey,
  withoutGroup,
} from './placement-format.js';
import type { PlacementChange, Replacement } from './placement-format.js';
import type { PlacementState } from './placement-state.js';

/**
 * The node is to be replaced: its directory is retired. No effect where that is under way and no new one has come.
 * Throws INVALID_ARGUMENT where it is reachable, being removed or has not joined, SHARD_UNAVAILABLE where a group would stand without it.
 *
 * @param damaged the directory, where it is the node that asks: no effect where that one is retired, NODE_REMOVED where another has taken
 *   its place or none may, INVALID_ARGUMENT where another is in use
 */
export function replacementBegin(
  state: PlacementState,
  node: NodeId,
  facts: DepartureFacts,
  damaged?: string,
): readonly PlacementChange[] {
  if (damaged !== undefined && state.retiredStores.has(damaged)) {
    const fault = storeFault(state, { nodeId: node, storeId: damaged }, undefined);
    if (fault?.code === 'NODE_REMOVED') throw fault;
    return [];
  }
  const stage = nodeStage(state, node);
  if (stage === 'leaving' || stage === 'vacant') {
    if (damaged !== undefined) throw otherStore(node, undefined, damaged);
    return [];
  }
  if (stage === 'draining') throw new QuorateError('INVALID_ARGUMENT', `node ${node} is being removed`);
  const record = state.nodes.get(node);
  if (record === undefined) throw noSuchNode(node);
  if (damaged !== undefined && damaged !== record.storeId) throw otherStore(node, record.storeId, damaged);
  if (facts.isReachable(node)) {
    // Of one that asks itself the connections are of the process before, and will break.
    const retryable = damaged !== undefined;
    throw new QuorateError('INVALID_ARGUMENT', `node ${node} is up: stop it first, if it is to be replaced`, {
      retryable,
    });
  }
  requireMajorities(node, facts);
  requireFewEmptyFounders(state, node, facts.founders);
  return [
    { key: retiredKey(record.storeId), value: encodeNodeRecord(record) },
    { key: replacementKey(node), value: encodeReplacement(comesBack(state, node, facts.groups)) },
  ];
}

function otherStore(node: NodeId, joined: string | undefined, damaged: string): QuorateError {
  const inUse = joined === undefined ? 'none is in use' : `it joined with ${joined}`;
  return new QuorateError(
    'INVALID_ARGUMENT',
    `node ${node} has not joined with the data directory ${damaged}: ${inUse}`,
  );
}

/** The node, which leaves, gets a replica back of each group that it has one of, also where that was not known at the beginning. */
export function replacementAmended(
  state: PlacementState,
  node: NodeId,
  groups: readonly GroupMembers[],
): readonly PlacementChange[] {
  if (nodeStage(state, node) !== 'leaving') return [];
  return [{ key: replacementKey(node), value: encodeReplacement(comesBack(state, node, groups)) }];
}

/** The node is to be again what it is, and was to be; but not where it was only to be in place of another. */
function comesBack(state: PlacementState, node: NodeId, groups: readonly GroupMembers[]): Replacement {
  const { shards = [], learning = [] } = state.replacements.get(node) ?? {};
  const isNew = (group: GroupMembers): boolean => !shards.includes(group.shard) && !isTakingOver(state, node, group);
  const news = groups.filter((group) => hasReplicaOn(group, node) && isNew(group));
  const learns = news.filter((group) => votersOf(group).every((voter) => voter.node !== node));
  return { node, shards: withGroups(shards, news), learning: withGroups(learning, learns) };
}

function withGroups(shards: readonly ShardId[], groups: readonly GroupMembers[]): readonly ShardId[] {
  return [...shards, ...groups.map(({ shard }) => shard)].sort((a, b) => a - b);
}

/** The node, which leaves, has no replica any more: another directory may come. No effect where that is not so. */
export function vacancy(
  state: PlacementState,
  node: NodeId,
  groups: readonly GroupMembers[],
): readonly PlacementChange[] {
  const isOver = nodeStage(state, node) === 'leaving' && !groups.some((group) => hasReplicaOn(group, node));
  if (!isOver) return [];
  const hadNone = state.replacements.get(node)?.shards.length === 0;
  const keys = hadNone ? [nodeKey(node), replacementKey(node)] : [nodeKey(node)];
  return keys.map((key) => ({ key, value: undefined }));
}

/** The node, which joins, has its replica of the group again. */
export function rejoined(state: PlacementState, node: NodeId, shard: ShardId): readonly PlacementChange[] {
  const replacement = state.replacements.get(node);
  if (replacement?.shards.includes(shard) !== true || nodeStage(state, node) !== 'joining') return [];
  const rest = withoutGroup(replacement, shard);
  const value = rest.shards.length === 0 ? undefined : encodeReplacement(rest);
  return [{ key: replacementKey(node), value }];
}
