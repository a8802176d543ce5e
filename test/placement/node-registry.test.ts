import { describe, expect, test } from 'vitest';
import { fromUtf8 } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import { NodeId, placementShardId, ReplicaId, ShardId } from '../../src/base/ids.js';
import {
  isInService,
  registration,
  rejoined,
  replacementBegin,
  replacementStage,
  replacementSteps,
  storeFault,
  vacancy,
  type GroupMembers,
} from '../../src/placement/node-registry.js';
import {
  decodeNodeRecord,
  decodeReplacement,
  placementKeyType,
  type NodeRecord,
  type PlacementChange,
} from '../../src/placement/placement-format.js';
import { emptyPlacementState, type PlacementState } from '../../src/placement/placement-state.js';

const three = NodeId(3);

function record(node: number, storeId = `store-${node}`): NodeRecord {
  return { id: NodeId(node), storeId, clientAddress: `c-${node}:1`, peerAddress: `p-${node}:1` };
}

function joined(...records: readonly NodeRecord[]): PlacementState {
  return { ...emptyPlacementState, nodes: new Map(records.map((node) => [node.id, node])) };
}

function group(shard: number, ...nodes: readonly number[]): GroupMembers {
  return {
    shard: ShardId(shard),
    replicas: nodes.map((node) => ({ replica: ReplicaId(10 + node), node: NodeId(node) })),
  };
}

/** The state after the changes, as if they had been written and read. */
function after(state: PlacementState, changes: readonly PlacementChange[]): PlacementState {
  const nodes = new Map(state.nodes);
  const retiredStores = new Set(state.retiredStores);
  const replacements = new Map(state.replacements);
  for (const { key, value } of changes) {
    const id = Number(fromUtf8(key).split('/')[1]) as NodeId;
    switch (placementKeyType(key)) {
      case 'node':
        if (value === undefined) nodes.delete(id);
        else nodes.set(id, decodeNodeRecord(value));
        break;
      case 'retired':
        if (value !== undefined) retiredStores.add(decodeNodeRecord(value).storeId);
        break;
      case 'replacement':
        if (value === undefined) replacements.delete(id);
        else replacements.set(id, decodeReplacement(value));
        break;
      default:
        throw new Error(`an unexpected key ${fromUtf8(key)}`);
    }
  }
  return { ...state, nodes, retiredStores, replacements };
}

const groups = [group(0, 1, 2, 3), group(1, 1, 2, 3), group(2, 1, 2)];
const without = [group(0, 1, 2), group(1, 1, 2), group(2, 1, 2)];
const othersUp = (node: NodeId): boolean => node !== three;
const formed = joined(record(1), record(2), record(3));
const leaving = after(formed, replacementBegin(formed, three, groups, othersUp));
const vacant = after(leaving, vacancy(leaving, three, without));
const joining = after(vacant, registration(vacant, record(3, 'store-new')));

function thrown(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('a node that is replaced', () => {
  test('leaves its groups, is vacant, joins them again, and is as any other', () => {
    expect(replacementStage(formed, three)).toBeUndefined();
    expect([leaving, vacant, joining].map((state) => replacementStage(state, three))).toEqual([
      'leaving',
      'vacant',
      'joining',
    ]);
    expect([formed, leaving, vacant, joining].map((state) => isInService(state, three))).toEqual([
      true,
      false,
      false,
      true,
    ]);
    const placementBack = after(joining, rejoined(joining, three, placementShardId));
    const done = after(placementBack, rejoined(placementBack, three, ShardId(1)));
    expect(replacementStage(done, three)).toBeUndefined();
    expect(done.nodes.get(three)?.storeId).toBe('store-new');
    expect([...done.retiredStores]).toEqual(['store-3']);
  });

  test('takes the steps of its stage, and joins the placement group first', () => {
    const steps = (state: PlacementState, members = groups, left: readonly number[] = []): unknown =>
      [...state.replacements.values()].flatMap((replacement) =>
        replacementSteps(state, replacement, members, new Set(left.map(ShardId))),
      );
    expect(steps(formed)).toEqual([]);
    const leaves = [0, 1, 2].map((shard) => ({ type: 'leave', shard }));
    expect(steps(leaving)).toEqual(leaves);
    expect(steps(leaving, groups, [0, 2])).toEqual([leaves[1]]);
    expect(steps(leaving, groups, [0, 1, 2])).toEqual([]);
    expect(steps(leaving, without, [0, 1, 2])).toEqual([{ type: 'vacate' }]);
    expect(steps(vacant, without)).toEqual([]);
    expect(steps(joining, without)).toEqual([{ type: 'join', shard: 0 }]);
    expect(steps(after(joining, rejoined(joining, three, placementShardId)))).toEqual([{ type: 'join', shard: 1 }]);
  });

  test('is not vacant because the map says so: each group is asked', () => {
    const [replacement] = leaving.replacements.values();
    const steps = replacementSteps(leaving, replacement, without, new Set([placementShardId, ShardId(2)]));
    expect(steps).toEqual([{ type: 'leave', shard: 1 }]);
  });

  test('is not vacant before no group has a replica there, and joins nothing before that', () => {
    expect(vacancy(leaving, three, [group(0, 1, 2), group(1, 1, 2, 3)])).toEqual([]);
    for (const state of [formed, vacant, joining]) expect(vacancy(state, three, without)).toEqual([]);
    for (const state of [formed, leaving, vacant]) expect(rejoined(state, three, ShardId(1))).toEqual([]);
    expect(rejoined(joining, three, ShardId(2))).toEqual([]);
  });

  test('that has no replica anywhere is vacant at once, and has nothing to join', () => {
    const begun = after(formed, replacementBegin(formed, three, without, othersUp));
    expect(after(begun, vacancy(begun, three, without)).replacements.size).toBe(0);
  });

  test('may be replaced again while it joins, and keeps what it has not got back', () => {
    const again = after(joining, replacementBegin(joining, three, [group(0, 1, 2, 3), group(1, 1, 2)], othersUp));
    expect(replacementStage(again, three)).toBe('leaving');
    expect(again.replacements.get(three)?.shards).toEqual([0, 1]);
    expect([...again.retiredStores]).toEqual(['store-3', 'store-new']);
    for (const state of [leaving, vacant]) expect(replacementBegin(state, three, groups, othersUp)).toEqual([]);
  });
});

describe('a replacement is refused', () => {
  test.each<[string, () => unknown, string, RegExp]>([
    ['of a node that is up', () => replacementBegin(formed, three, groups, () => true), 'INVALID_ARGUMENT', /is up/],
    [
      'of a node that has not joined',
      () => replacementBegin(formed, NodeId(4), groups, othersUp),
      'INVALID_ARGUMENT',
      /there is no node 4/,
    ],
    [
      'where a group keeps no majority',
      () => replacementBegin(formed, three, groups, (node) => node === 1),
      'SHARD_UNAVAILABLE',
      /shard 0 has no majority without node 3: 1 of its replicas, on nodes 1, 2, 3, can be reached/,
    ],
    [
      'of so many that their empty directories could elect a leader',
      () => {
        const state = after(leaving, [...registration(leaving, record(4)), ...registration(leaving, record(5))]);
        const five = [group(0, 1, 2, 4, 5)];
        const two = after(
          state,
          replacementBegin(state, NodeId(5), five, (node) => node !== 5),
        );
        return replacementBegin(two, NodeId(4), [group(0, 1, 2, 4)], (node) => node !== 4);
      },
      'INVALID_ARGUMENT',
      /wait until nodes 3, 5 have their replicas again/,
    ],
  ])('%s', (_, act, code, message) => {
    const error = thrown(act);
    expect(error).toBeInstanceOf(QuorateError);
    expect(error).toMatchObject({ code, retryable: false });
    expect(String(error)).toMatch(message);
  });
});

describe('a data directory', () => {
  const fault = (state: PlacementState, storeId: string, met?: string): QuorateError | undefined =>
    storeFault(state, { nodeId: three, storeId }, met);

  test('speaks for its node as long as it is the one that joined', () => {
    expect(fault(formed, 'store-3')).toBeUndefined();
    expect(fault(formed, 'store-new')).toMatchObject({ retryable: false });
    expect(fault(formed, 'store-new')?.message).toMatch(/lost its disk.* run `quorate node replace 3`/);
  });

  test('that came first counts until one has joined', () => {
    expect(fault(emptyPlacementState, 'store-3')).toBeUndefined();
    expect(fault(emptyPlacementState, 'store-3', 'store-3')).toBeUndefined();
    expect(fault(emptyPlacementState, 'store-new', 'store-3')).toBeDefined();
    // Which was met before says nothing of one that takes its place.
    expect(fault(vacant, 'store-new', 'store-3')).toBeUndefined();
  });

  test('that was replaced never speaks again; another only when no group counts on the old one', () => {
    for (const state of [leaving, vacant, joining]) {
      expect(fault(state, 'store-3')?.message).toMatch(/out of use/);
      expect(fault(state, 'store-3')).toMatchObject({ retryable: false });
      expect(thrown(() => registration(state, record(3)))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect(fault(leaving, 'store-new')).toMatchObject({ retryable: true });
    expect(thrown(() => registration(leaving, record(3, 'store-new')))).toMatchObject({ retryable: true });
    expect(fault(vacant, 'store-new')).toBeUndefined();
    expect(fault(joining, 'store-new')).toBeUndefined();
    expect(fault(joining, 'store-other')).toMatchObject({ retryable: false });
  });
});
