import { describe, expect, test } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId } from '../../src/base/ids.js';
import { isGone, nodeStage, routeOf } from '../../src/placement/node-registry.js';
import { movesDone, removalBegin, removalEnd } from '../../src/placement/node-removal.js';
import { replacementBegin } from '../../src/placement/node-replacement.js';
import { decodeRemoval, encodeRemoval } from '../../src/placement/placement-format.js';
import type { PlacementState } from '../../src/placement/placement-state.js';
import {
  after,
  facts,
  formed,
  group,
  joined,
  record,
  seated,
  thrown,
  three,
  vacant,
  withShards,
} from './registry-states.js';

const all = { isReachable: (): boolean => true };
const five = joined(...[1, 2, 3, 4, 5].map((node) => record(node)));
const groups = [group(0, 1, 2, 3, 4, 5), group(1, 1, 2, 3), group(2, 2, 3, 4), group(3, 2, 3, 4)];
const draining = after(five, removalBegin(five, three, facts(groups, all)));

function targets(state: PlacementState): (number | undefined)[] {
  return [1, 2, 3].map((shard) => routeOf(state, three, ShardId(shard)).at(0));
}

/** Of each shard that has one. */
function routes(state: PlacementState, node: number): (readonly number[])[] {
  return [1, 2, 3].map((shard) => routeOf(state, NodeId(node), ShardId(shard))).filter((route) => route.length > 0);
}

describe('a node that is removed', () => {
  test('gives each replica to the node that has the fewest, of those that have none of the shard', () => {
    // Nodes 1, 2, 4 and 5 have 1, 3, 2 and 0 replicas of shards, and each gets more on the way.
    expect(targets(draining)).toEqual([5, 1, 5]);
    expect(nodeStage(draining, three)).toBe('draining');
  });

  test('is gone when no group has a replica on it, and its directory is out of use', () => {
    expect(removalEnd(draining, three, groups)).toEqual([]);
    expect(removalEnd(five, three, [group(0, 1, 2)])).toEqual([]);
    const members = [group(0, 1, 2, 4, 5), group(1, 1, 2, 5), group(2, 1, 2, 4), group(3, 2, 4, 5)];
    // What is planned has to be done, also where the node has gone.
    expect(removalEnd(draining, three, members)).toEqual([]);
    const moved = withShards(draining, [1, 2, 5], [1, 2, 4], [2, 4, 5]);
    const done = after(moved, movesDone(moved, three));
    expect(done.removals.get(three)).toEqual({ node: three, moves: [], learning: [] });
    expect(removalEnd(done, three, groups)).toEqual([]);
    const gone = after(done, removalEnd(done, three, members));
    expect([gone.nodes.has(three), gone.removals.size, gone.retiredStores.get('store-3')]).toEqual([false, 0, three]);
    expect(isGone(gone, three)).toBe(true);
    expect(removalBegin(gone, three, facts(groups))).toEqual([]);
  });

  test('is not the one that has come again under its id, when the wish comes late', () => {
    const again = joined(record(1), record(2), record(3, 'store-new'), record(4), record(5));
    expect(removalBegin(again, three, facts(groups, all), 'store-3')).toEqual([]);
    for (const meant of ['store-new', undefined]) {
      expect(nodeStage(after(again, removalBegin(again, three, facts(groups, all), meant)), three)).toBe('draining');
    }
    // Where the directory is known no more, it is the node that is meant.
    expect(nodeStage(after(vacant, removalBegin(vacant, three, facts([], all), 'store-3')), three)).toBe('draining');
  });

  test('keeps its plan when it is wished for again, but for nodes that take nothing now', () => {
    const again = (isReachable: (node: NodeId) => boolean, members = groups): PlacementState =>
      after(draining, removalBegin(draining, three, facts(members, { isReachable })));
    expect(targets(again(() => true))).toEqual([5, 1, 5]);
    expect(targets(again((node) => node !== 5))).toEqual([4, 1, 1]);
    const moved = [group(0, 1, 2, 3, 4, 5), group(1, 1, 2, 5), group(2, 1, 2, 3, 4), group(3, 2, 3, 4)];
    expect(targets(again(() => true, moved))).toEqual([5, 1, 5]);
    // Where it is done the target is no longer exchanged.
    expect(targets(again((node) => node !== 5, moved))).toEqual([5, 1, 1]);
  });

  test('gives no replica to where another one of the shard goes', () => {
    const state = joined(...[1, 2, 3, 4, 5].map((node) => record(node)));
    const members = [group(0, 1, 2, 3, 4, 5), group(1, 2, 3, 4), group(2, 2, 3, 4)];
    const first = after(state, removalBegin(state, three, facts(members, all)));
    expect(routes(first, 3)).toEqual([[1], [5]]);
    const both = after(first, removalBegin(first, NodeId(4), facts(members, all)));
    expect([routes(both, 3), routes(both, 4)]).toEqual([
      [[1], [5]],
      [[5], [1]],
    ]);
  });

  test('gives up a target that is down, though it may have begun to learn, for another one, if there is one', () => {
    const with5 = { learners: [ReplicaId(15)] };
    const [first, third] = [group(1, 1, 2, 3, 5), group(3, 2, 3, 4, 5)].map((of) => ({ ...of, ...with5 }));
    const begun = [group(0, 1, 2, 3, 4, 5), first, group(2, 2, 3, 4), third];
    const isReachable = (node: NodeId): boolean => node !== 5;
    const again = after(draining, removalBegin(draining, three, facts(begun, { isReachable })));
    expect(routes(again, 3)).toEqual([[4, 5], [1], [1, 5]]);
    const onlyFive = [group(0, 1, 2, 3, 4, 5), group(1, 1, 2, 3, 4, 5)];
    expect(routes(after(draining, removalBegin(draining, three, facts(onlyFive, { isReachable }))), 3)[0]).toEqual([5]);
    // Back to the first, when the second is down.
    const second = { ...group(1, 1, 2, 3, 4), learners: [ReplicaId(14)] };
    const back = removalBegin(again, three, facts([groups[0], second], { isReachable: (node) => node !== 4 }));
    expect(routes(after(again, back), 3)[0]).toEqual([5, 4]);
  });

  test('is not gone, and its plan is kept, while a target that was given up has a replica', () => {
    const down = (node: number) => ({ isReachable: (other: NodeId): boolean => other !== node });
    const again = after(draining, removalBegin(draining, three, facts(groups, down(5))));
    expect(routes(again, 3)[0]).toEqual([4, 5]);
    const given = [group(0, 1, 2, 4, 5), group(1, 1, 2, 4, 5)];
    const struck = (...members: readonly number[]): number => {
      const map = withShards(again, members);
      return movesDone(map, three).length;
    };
    expect([struck(1, 2, 3), struck(1, 2), struck(1, 2, 5), struck(1, 2, 4, 5), struck(1, 2, 4)]).toEqual([
      0, 0, 0, 0, 1,
    ]);
    const kept = after(again, removalBegin(again, three, facts(given, all)));
    expect(routes(kept, 3)).toEqual([[4, 5]]);
    // Who was given up is only there in place of another, also when that one has left: it does not come back when it is replaced.
    const replaced = after(kept, replacementBegin(kept, NodeId(5), facts(given, down(5))));
    expect(replaced.replacements.get(NodeId(5))?.shards).toEqual([0]);
    // Nor does another plan choose it, which would have it come and go in turns.
    const seven = joined(...[1, 2, 3, 4, 5, 6, 7].map((node) => record(node)));
    const both = { ...seven, removals: kept.removals };
    const other = removalBegin(both, NodeId(6), facts([given[0], group(1, 1, 2, 3, 6)], all));
    expect(routes(after(both, other), 6)).toEqual([[7]]);
  });

  test('gets none where it is to go itself: the other has a further target, and what it has got goes by that plan', () => {
    const six = joined(...[1, 2, 3, 4, 5, 6].map((node) => record(node)));
    const members = [group(0, 1, 2, 3), group(1, 1, 2, 3)];
    const first = after(six, removalBegin(six, three, facts(members, all)));
    expect(routes(first, 3)).toEqual([[4]]);
    const learning = [group(0, 1, 2, 3), group(1, 1, 2, 3, 4)];
    const both = after(first, removalBegin(first, NodeId(4), facts(learning, all)));
    expect([routes(both, 3), routes(both, 4)]).toEqual([[[5, 4]], []]);
    const full = joined(...[1, 2, 3, 4].map((node) => record(node)));
    const going = after(full, removalBegin(full, three, facts(members, all)));
    expect(() => removalBegin(going, NodeId(4), facts(members, all))).toThrow(/shard 1 .* could take that of node 3/);
  });

  test('that was vacant has its lost replicas made elsewhere', () => {
    const state: PlacementState = { ...vacant, nodes: new Map([...vacant.nodes, [NodeId(4), record(4)]]) };
    const removed = after(state, removalBegin(state, three, facts([group(0, 1, 2), group(1, 1, 2), group(2, 1, 2)])));
    expect(targets(removed)).toEqual([4, undefined, undefined]);
    const moved = withShards(removed, [1, 2, 4], [1, 2]);
    const done = after(moved, movesDone(moved, three));
    expect(done.replacements.get(three)?.shards).not.toContain(1);
    const gone = after(done, removalEnd(done, three, [group(0, 1, 2)]));
    expect([gone.replacements.size, gone.removals.size]).toEqual([0, 0]);
  });

  test('comes back from its bytes, also from those of before it was known who learns', () => {
    const removal = { node: three, moves: [{ shard: ShardId(300), to: NodeId(5) }], learning: [ShardId(300)] };
    expect(decodeRemoval(encodeRemoval(removal))).toEqual(removal);
    // Of before it was known who learns.
    expect(decodeRemoval(Uint8Array.of(1, 3, 1, 7, 5))).toEqual({
      node: three,
      moves: [{ shard: 7, to: 5 }],
      learning: [],
    });
    expect(() => decodeRemoval(Uint8Array.of(3, ...encodeRemoval(removal).subarray(1)))).toThrow(/format 3/);
  });
});

test('learners of the placement group count for no majority', () => {
  const nine = joined(...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((node) => record(node)));
  const begin = (node: number, isUp: (node: number) => boolean): unknown =>
    removalBegin(nine, NodeId(node), facts([seated([1, 2, 3], [4, 5, 6, 7, 8, 9])], { isReachable: isUp }));
  expect(thrown(() => begin(9, (node) => node <= 3))).toBeUndefined();
  expect(thrown(() => begin(3, (node) => node > 1))).toMatchObject({ code: 'SHARD_UNAVAILABLE' });
});

describe('a node with the only replica of a shard, or one of two,', () => {
  const few = [group(0, 1, 2, 4, 5), group(1, 3), group(2, 2, 3)];

  test('is removed while it is up, and hands them over', () => {
    const planned = after(five, removalBegin(five, three, facts(few, all)));
    expect(
      targets(planned)
        .slice(0, 2)
        .every((to) => to !== undefined),
    ).toBe(true);
  });

  test.each([
    [
      'while it is down, since nobody else has what is in it',
      3,
      /shard 1 has no majority without node 3: 0 of its replicas, on nodes 3,/,
    ],
    [
      'while the other one is down, since both have to agree',
      2,
      /shard 2 has no majority without node 3: 0 of its replicas, on nodes 2, 3,/,
    ],
  ])('is not removed %s', (_, down, message) => {
    const isReachable = (node: NodeId): boolean => node !== down;
    const error = thrown(() => removalBegin(five, three, facts(few, { isReachable })));
    expect(error).toMatchObject({ code: 'SHARD_UNAVAILABLE', retryable: false });
    expect(String(error)).toMatch(message);
  });
});

describe('a removal is refused', () => {
  test.each<[string, () => unknown, string, RegExp]>([
    [
      'of a node that there is not',
      () => removalBegin(five, NodeId(9), facts(groups)),
      'INVALID_ARGUMENT',
      /no node 9/,
    ],
    [
      'where no other node could take a replica',
      () => removalBegin(formed, three, facts([group(1, 1, 2, 3)], all)),
      'INVALID_ARGUMENT',
      /shard 1 has replicas on nodes 1, 2, 3, and no other node that is up could take that of node 3: add a node/,
    ],
    [
      'where a group keeps no majority',
      () => removalBegin(five, three, facts(groups, { isReachable: (node) => node > 2 })),
      'SHARD_UNAVAILABLE',
      /shard 0 has no majority without node 3/,
    ],
    [
      'of more of those that formed the cluster than may come back empty',
      () => removalBegin(draining, NodeId(2), facts(groups, all)),
      'INVALID_ARGUMENT',
      /of the nodes that formed the cluster \(1, 2, 3\) so many cannot be without their replicas/,
    ],
  ])('%s', (_, act, code, message) => {
    const error = thrown(act);
    expect(error).toBeInstanceOf(QuorateError);
    expect(error).toMatchObject({ code, retryable: false });
    expect(String(error)).toMatch(message);
  });
});
