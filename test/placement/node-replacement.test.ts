import { describe, expect, test } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';
import { NodeId, placementShardId, ReplicaId, ShardId } from '../../src/base/ids.js';
import { membershipSteps } from '../../src/placement/membership-steps.js';
import { departureOf, unknownStore } from '../../src/placement/node-departure.js';
import { isGone, nodeStage, registration, routeOf } from '../../src/placement/node-registry.js';
import { movesDone, removalBegin, removalEnd } from '../../src/placement/node-removal.js';
import { rejoined, replacementAmended, replacementBegin, vacancy } from '../../src/placement/node-replacement.js';
import { decodeReplacement, encodeReplacement, type PlacementChange } from '../../src/placement/placement-format.js';
import type { PlacementState } from '../../src/placement/placement-state.js';
import {
  after,
  facts,
  formed,
  group,
  groups,
  joined,
  joining,
  leaving,
  record,
  seated,
  thrown,
  three,
  vacant,
  withShards,
  without,
} from './registry-states.js';

describe('a node that is replaced', () => {
  test('leaves its groups, is vacant, joins them again, and is as any other', () => {
    expect(nodeStage(formed, three)).toBeUndefined();
    expect([leaving, vacant, joining].map((state) => nodeStage(state, three))).toEqual([
      'leaving',
      'vacant',
      'joining',
    ]);
    const placementBack = after(joining, rejoined(joining, three, placementShardId));
    const done = after(placementBack, rejoined(placementBack, three, ShardId(1)));
    expect(nodeStage(done, three)).toBeUndefined();
    expect(done.nodes.get(three)?.storeId).toBe('store-new');
    expect([...done.retiredStores]).toEqual([['store-3', 3]]);
  });

  test('is not vacant before no group has a replica there, and joins nothing before that', () => {
    expect(vacancy(leaving, three, [group(0, 1, 2), group(1, 1, 2, 3)])).toEqual([]);
    for (const state of [formed, vacant, joining]) expect(vacancy(state, three, without)).toEqual([]);
    for (const state of [formed, leaving, vacant]) expect(rejoined(state, three, ShardId(1))).toEqual([]);
    expect(rejoined(joining, three, ShardId(2))).toEqual([]);
  });

  test('that has no replica anywhere is vacant at once, and has nothing to join', () => {
    const begun = after(formed, replacementBegin(formed, three, facts(without)));
    expect(after(begun, vacancy(begun, three, without)).replacements.size).toBe(0);
  });

  test('learns again where it learned, and counts for no majority there', () => {
    const learns = { ...group(1, 1, 2, 3), learners: [ReplicaId(13)] };
    const state = withShards(formed, [1, 2, 3]);
    const begun = after(state, replacementBegin(state, three, facts([group(0, 1, 2, 3), learns])));
    expect(begun.replacements.get(three)).toEqual({ node: three, shards: [0, 1], learning: [1] });
    const empty = after(begun, vacancy(begun, three, [group(0, 1, 2)]));
    const back = after(empty, registration(empty, record(3, 'store-new')));
    const seatedAgain = after(back, rejoined(back, three, placementShardId));
    const common = { placement: seated([1, 2, 3]), seats: 3, left: () => new Set<ShardId>(), isReachable: () => true };
    const join = { type: 'join', node: three, shard: 1, role: 'learner', instead: [] };
    expect(membershipSteps({ state: withShards(seatedAgain, [1, 2]), ...common })).toEqual([join]);
    const done = after(seatedAgain, rejoined(seatedAgain, three, ShardId(1)));
    expect(done.replacements.size).toBe(0);
    // Voters 1 and 2 are no majority where one of them is away, whatever learns.
    const oneUp = { isReachable: (node: NodeId): boolean => node === 1 || node === 4 };
    const four = { ...group(1, 1, 2, 3, 4), learners: [ReplicaId(13), ReplicaId(14)] };
    expect(thrown(() => replacementBegin(formed, three, facts([four], oneUp)))).toMatchObject({
      code: 'SHARD_UNAVAILABLE',
    });
    const votersUp = { isReachable: (node: NodeId): boolean => node <= 2 };
    const five = { ...group(1, 1, 2, 3, 4, 5), learners: [13, 14, 15].map(ReplicaId) };
    expect(thrown(() => replacementBegin(formed, three, facts([five], votersUp)))).toBeUndefined();
  });

  test('does not come back to where it was on its way in place of a node that drains', () => {
    const four = NodeId(4);
    const state = joined(...[1, 2, 3, 4].map((node) => record(node)));
    const members = [group(0, 1, 2, 3, 4), group(1, 1, 2, 4)];
    const draining = after(state, removalBegin(state, four, facts(members, { isReachable: () => true })));
    expect(routeOf(draining, four, ShardId(1))).toEqual([three]);
    // Node 3 has begun to learn when it is replaced, and so it loses that replica.
    const learns = { ...group(1, 1, 2, 4, 3), learners: [ReplicaId(13)] };
    const map = withShards(draining, [1, 2, 4, 3]);
    const begun = after(map, replacementBegin(map, three, facts([group(0, 1, 2, 3, 4), learns])));
    expect(begun.replacements.get(three)).toEqual({ node: three, shards: [0], learning: [] });
    const common = {
      placement: seated([1, 2, 3], [4]),
      seats: 3,
      left: () => new Set<ShardId>(),
      isReachable: () => true,
    };
    expect(membershipSteps({ state: begun, ...common })).toContainEqual({ type: 'leave', node: three, shard: 1 });
    // Also when node 4 has left the shard: its plan stands until the target has a replica that lasts.
    const alone = withShards(begun, [1, 2, 3]);
    const steps = membershipSteps({ state: alone, ...common });
    expect(steps).toContainEqual({ type: 'leave', node: three, shard: 1 });
    expect(steps).toContainEqual({ type: 'join', node: three, shard: 1, role: 'voter', instead: [four] });
    const amended = after(alone, replacementAmended(alone, three, [group(0, 1, 2, 3, 4), group(1, 1, 2, 3)]));
    expect(amended.replacements.get(three)?.shards).toEqual([0]);
  });

  test('comes back from its bytes, also from those of before it was known who learned', () => {
    const replacement = { node: three, shards: [0, 300].map(ShardId), learning: [ShardId(300)] };
    expect(decodeReplacement(encodeReplacement(replacement))).toEqual(replacement);
    expect(decodeReplacement(Uint8Array.of(1, 3, 2, 0, 5))).toEqual({ node: three, shards: [0, 5], learning: [] });
    expect(() => decodeReplacement(Uint8Array.of(3, 3, 0))).toThrow(/format 3/);
  });

  test('that never registered goes as any other, if it formed the cluster and is not there', () => {
    const state = joined(record(1), record(2));
    const founder = record(3, unknownStore(three));
    const reachable = facts(groups, { isReachable: () => true });
    const replaced = departureOf(state, founder, facts(groups), (known) =>
      replacementBegin(known, three, facts(groups)),
    );
    const begun = after(state, replaced);
    expect(nodeStage(begun, three)).toBe('leaving');
    const empty = after(begun, vacancy(begun, three, without));
    const back = after(empty, registration(empty, record(3, 'store-new')));
    expect([nodeStage(empty, three), nodeStage(back, three)]).toEqual(['vacant', 'joining']);
    expect([...back.retiredStores]).toEqual([[unknownStore(three), three]]);

    const four = joined(record(1), record(2), record(4));
    const removed = departureOf(four, founder, facts(groups), (known) => removalBegin(known, three, facts(groups)));
    const draining = after(four, removed);
    expect(nodeStage(draining, three)).toBe('draining');
    const moved = withShards(draining, [1, 2, 4]);
    const done = after(moved, movesDone(moved, three));
    expect(isGone(after(done, removalEnd(done, three, without)), three)).toBe(true);

    const begin = (of: PlacementState): readonly PlacementChange[] => replacementBegin(of, three, reachable);
    expect(thrown(() => departureOf(state, founder, reachable, begin))).toMatchObject({
      message: 'there is no node 3',
    });
    expect(thrown(() => departureOf(state, undefined, facts(groups), begin))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    // What is under way stays as it is.
    expect(
      departureOf(begun, founder, facts(groups), (known) => replacementBegin(known, three, facts(groups))),
    ).toEqual([]);
    expect(
      departureOf(vacant, founder, facts(groups), (known) => replacementBegin(known, three, facts(groups))),
    ).toEqual([]);
  });

  test('may be replaced again while it joins, and keeps what it has not got back', () => {
    const again = after(joining, replacementBegin(joining, three, facts([group(0, 1, 2, 3), group(1, 1, 2)])));
    expect(nodeStage(again, three)).toBe('leaving');
    expect(again.replacements.get(three)?.shards).toEqual([0, 1]);
    expect([...again.retiredStores.keys()]).toEqual(['store-3', 'store-new']);
    for (const state of [leaving, vacant]) expect(replacementBegin(state, three, facts(groups))).toEqual([]);
  });
});

const many = [1, 2, 3, 4, 5].map(NodeId);

describe('a replacement is refused', () => {
  test.each<[string, () => unknown, string, RegExp]>([
    [
      'of a node that is up',
      () => replacementBegin(formed, three, facts(groups, { isReachable: () => true })),
      'INVALID_ARGUMENT',
      /is up/,
    ],
    [
      'of a node that has not joined',
      () => replacementBegin(formed, NodeId(4), facts(groups)),
      'INVALID_ARGUMENT',
      /there is no node 4/,
    ],
    [
      'of a node that is removed',
      () => replacementBegin(after(formed, removalBegin(formed, three, facts(without))), three, facts(groups)),
      'INVALID_ARGUMENT',
      /node 3 is being removed/,
    ],
    [
      'where a group keeps no majority',
      () => replacementBegin(formed, three, facts(groups, { isReachable: (node) => node === 1 })),
      'SHARD_UNAVAILABLE',
      /shard 0 has no majority without node 3: 1 of its replicas, on nodes 1, 2, 3, can be reached/,
    ],
    [
      'of so many that their empty directories could elect a leader',
      () => {
        const state = after(leaving, [...registration(leaving, record(4)), ...registration(leaving, record(5))]);
        const but = (node: number) => (other: NodeId) => other !== node;
        const five = facts([group(0, 1, 2, 4, 5)], { founders: many, isReachable: but(5) });
        const two = after(state, replacementBegin(state, NodeId(5), five));
        const four = facts([group(0, 1, 2, 4)], { founders: many, isReachable: but(4) });
        return replacementBegin(two, NodeId(4), four);
      },
      'INVALID_ARGUMENT',
      /wait until nodes 3, 5 have them again/,
    ],
  ])('%s', (_, act, code, message) => {
    const error = thrown(act);
    expect(error).toBeInstanceOf(QuorateError);
    expect(error).toMatchObject({ code, retryable: false });
    expect(String(error)).toMatch(message);
  });

  test('not of nodes that did not form the cluster, as many as there are', () => {
    const five = [...registration(leaving, record(4)), ...registration(leaving, record(5))];
    const state = after(leaving, five);
    expect(replacementBegin(state, NodeId(4), facts(without, { isReachable: (node) => node < 4 }))).toHaveLength(2);
  });
});

describe('a node that asks itself, as its directory is damaged,', () => {
  test('has it retired as an operator would, and hears yes again when it asks again', () => {
    expect(replacementBegin(formed, three, facts(groups), 'store-3')).toEqual(
      replacementBegin(formed, three, facts(groups)),
    );
    for (const state of [leaving, vacant]) {
      expect(replacementBegin(state, three, facts(groups), 'store-3')).toEqual([]);
    }
    // Another has its place: yes would have this one stay beside it for ever.
    expect(thrown(() => replacementBegin(joining, three, facts(groups), 'store-3'))).toMatchObject({
      code: 'NODE_REMOVED',
    });
  });

  test.each([
    ['in use', formed, 'store-old', /has not joined with the data directory store-old: it joined with store-3/],
    ['in use again', joining, 'store-old', /: it joined with store-new/],
    ['leaving', leaving, 'store-old', /: none is in use/],
    ['gone', vacant, 'store-old', /: none is in use/],
  ])('cannot have another one retired, which is %s', (_, state, storeId, message) => {
    const refused = thrown(() => replacementBegin(state, three, facts(groups), storeId));
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', retryable: false });
    expect((refused as QuorateError).message).toMatch(message);
  });

  test('waits until the connections to its process of before have broken', () => {
    const up = facts(groups, { isReachable: () => true });
    expect(thrown(() => replacementBegin(formed, three, up, 'store-3'))).toMatchObject({ retryable: true });
    expect(thrown(() => replacementBegin(formed, three, up))).toMatchObject({ retryable: false });
  });
});
