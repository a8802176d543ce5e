/** States of the placement group in which node 3 of three is replaced or removed, for the tests of what is decided then. */
import { fromUtf8 } from '../../src/base/bytes.js';
import { emptyBytes } from '../../src/base/bytes.js';
import { NodeId, placementShardId, ReplicaId, ShardId } from '../../src/base/ids.js';
import { createConfiguration } from '../../src/raft/config.js';
import { registration, type GroupMembers } from '../../src/placement/node-registry.js';
import type { DepartureFacts } from '../../src/placement/node-departure.js';
import { replacementBegin, vacancy } from '../../src/placement/node-replacement.js';
import {
  decodeNodeRecord,
  decodeRemoval,
  decodeReplacement,
  placementKeyType,
  type NodeRecord,
  type PlacementChange,
} from '../../src/placement/placement-format.js';
import { emptyPlacementState, type PlacementState } from '../../src/placement/placement-state.js';
import { ShardMap } from '../../src/placement/shard-map.js';
import type { ReplicaDescriptor, ShardDescriptor } from '../../src/shard/descriptor.js';
import { newGroup, type GroupDescriptor } from '../../src/shard/group-descriptor.js';

export const three = NodeId(3);
const founders = [1, 2, 3].map(NodeId);

export function record(node: number, storeId = `store-${node}`): NodeRecord {
  return { id: NodeId(node), storeId, clientAddress: `c-${node}:1`, peerAddress: `p-${node}:1` };
}

export function joined(...records: readonly NodeRecord[]): PlacementState {
  return { ...emptyPlacementState, nodes: new Map(records.map((node) => [node.id, node])) };
}

export function group(shard: number, ...nodes: readonly number[]): GroupMembers {
  return {
    shard: ShardId(shard),
    replicas: nodes.map((node) => ({ replica: ReplicaId(10 + node), node: NodeId(node) })),
  };
}

/** The placement group with these voters and learners. */
export function seated(voters: readonly number[], learners: readonly number[] = []): GroupDescriptor {
  const { replicas } = group(0, ...voters, ...learners);
  const ids = (nodes: readonly number[]): ReplicaId[] => nodes.map((node) => ReplicaId(10 + node));
  const epoch = { membership: 5, range: 1 };
  const configuration = createConfiguration({ voters: ids(voters), learners: ids(learners) });
  const shard = { shard: placementShardId, start: emptyBytes, end: emptyBytes, epoch, replicas };
  return { ...newGroup(shard), configuration };
}

/** A state with these shards in its map. */
export function withShards(
  state: PlacementState,
  ...groups: readonly (readonly (number | ReplicaDescriptor)[])[]
): PlacementState {
  const bounds = groups.map((_, i) => (i === 0 ? emptyBytes : Uint8Array.of(i)));
  const shards = groups.map((members, i): ShardDescriptor => ({
    shard: ShardId(i + 1),
    start: bounds[i],
    end: bounds[i + 1] ?? emptyBytes,
    epoch: { membership: 5, range: 1 },
    replicas: members.map((of) => (typeof of === 'number' ? { replica: ReplicaId(10 + of), node: NodeId(of) } : of)),
  }));
  return { ...state, shardMap: new ShardMap(1, shards) };
}

/** The state after the changes, as if they had been written and read. */
export function after(state: PlacementState, changes: readonly PlacementChange[]): PlacementState {
  const nodes = new Map(state.nodes);
  const retiredStores = new Map(state.retiredStores);
  const replacements = new Map(state.replacements);
  const removals = new Map(state.removals);
  for (const { key, value } of changes) {
    const id = Number(fromUtf8(key).split('/')[1]) as NodeId;
    switch (placementKeyType(key)) {
      case 'node':
        if (value === undefined) nodes.delete(id);
        else nodes.set(id, decodeNodeRecord(value));
        break;
      case 'retired':
        if (value !== undefined) retiredStores.set(decodeNodeRecord(value).storeId, decodeNodeRecord(value).id);
        break;
      case 'replacement':
        if (value === undefined) replacements.delete(id);
        else replacements.set(id, decodeReplacement(value));
        break;
      case 'removal':
        if (value === undefined) removals.delete(id);
        else removals.set(id, decodeRemoval(value));
        break;
      default:
        throw new Error(`an unexpected key ${fromUtf8(key)}`);
    }
  }
  return { ...state, nodes, retiredStores, replacements, removals };
}

const othersUp = (node: NodeId): boolean => node !== three;

/** Every other node can be reached. */
export function facts(groups: readonly GroupMembers[], changes: Partial<DepartureFacts> = {}): DepartureFacts {
  return { groups, founders, isReachable: othersUp, ...changes };
}

export const groups = [group(0, 1, 2, 3), group(1, 1, 2, 3), group(2, 1, 2)];
export const without = [group(0, 1, 2), group(1, 1, 2), group(2, 1, 2)];
export const formed = joined(record(1), record(2), record(3));
export const leaving = after(formed, replacementBegin(formed, three, facts(groups)));
export const vacant = after(leaving, vacancy(leaving, three, without));
export const joining = after(vacant, registration(vacant, record(3, 'store-new')));

export function thrown(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
