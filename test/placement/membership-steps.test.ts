import { describe, expect, test } from 'vitest';
import { NodeId, placementShardId, ReplicaId, ShardId } from '../../src/base/ids.js';
import { membershipSteps, type MembershipFacts, type MembershipStep } from '../../src/placement/membership-steps.js';
import { registration } from '../../src/placement/node-registry.js';
import { movesDone, removalBegin } from '../../src/placement/node-removal.js';
import { rejoined } from '../../src/placement/node-replacement.js';
import type { PlacementState } from '../../src/placement/placement-state.js';
import { ShardMap } from '../../src/placement/shard-map.js';
import { withLearners } from '../../src/shard/descriptor.js';
import {
  after,
  facts,
  formed,
  group,
  joining,
  joined,
  leaving,
  record,
  seated,
  three,
  vacant,
  withShards,
} from './registry-states.js';

function steps(state: PlacementState, changes: Partial<MembershipFacts> = {}): readonly MembershipStep[] {
  const defaults = { placement: seated([1, 2, 3]), seats: 3, left: () => new Set<ShardId>(), isReachable: () => true };
  return membershipSteps({ state, ...defaults, ...changes });
}

function left(...shards: readonly number[]): Partial<MembershipFacts> {
  return { left: () => new Set(shards.map(ShardId)) };
}

const [leave0, leave1, leave2] = [0, 1, 2].map((shard) => ({ type: 'leave', node: three, shard }));

describe('a node that is replaced', () => {
  const shards = [
    [1, 2, 3],
    [1, 2],
  ];
  const without = { placement: seated([1, 2]) };

  test('takes the steps of its stage, and joins the placement group first', () => {
    const at = (state: PlacementState): PlacementState => withShards(state, ...shards);
    expect(steps(at(formed))).toEqual([]);
    expect(steps(at(leaving))).toEqual([leave0, leave1, leave2]);
    expect(steps(at(leaving), left(0, 2))).toEqual([leave1]);
    // All have said that they have none; the map does not know yet.
    expect(steps(at(leaving), { ...left(0, 1, 2), ...without })).toEqual([]);
    const gone = (state: PlacementState): PlacementState => withShards(state, [1, 2], [1, 2]);
    expect(steps(gone(leaving), { ...left(0, 1, 2), ...without })).toEqual([{ type: 'vacate', node: three }]);
    expect(steps(gone(vacant), without)).toEqual([]);
    const join = { type: 'join', node: three, role: 'voter', instead: [] };
    expect(steps(gone(joining), without)).toEqual([{ ...join, shard: 0 }]);
    const rest = after(gone(joining), rejoined(joining, three, placementShardId));
    expect(steps(rest)).toEqual([{ ...join, shard: 1 }]);
    expect(steps(rest, { isReachable: (node) => node !== three })).toEqual([]);
  });

  test('is not vacant because the map says so: each group is asked', () => {
    expect(steps(withShards(leaving, [1, 2], [1, 2]), left(0, 2))).toEqual([leave1]);
  });

  test('loses what a leader made in its old directory that had not heard of the replacement', () => {
    const stray = { replica: ReplicaId(30), node: three, storeId: 'store-3' };
    const kept = { replica: ReplicaId(31), node: three, storeId: 'store-new' };
    const done = { ...joining, replacements: new Map() };
    expect(steps(withShards(done, [1, 2, stray], [1, 2, kept]))).toEqual([leave1]);
  });
});

describe('the placement group', () => {
  const six = joined(...[1, 2, 3, 4, 5, 6].map((node) => record(node)));
  const seats = 5;

  test('has a replica on every node: learners beyond its seats', () => {
    const placement = seated([1, 2, 3, 4, 5]);
    const join = { type: 'join', node: 6, shard: 0, role: 'learner', instead: [] };
    expect(steps(six, { seats, placement })).toEqual([join]);
    expect(steps(six, { seats, placement, isReachable: (node) => node !== 6 })).toEqual([]);
    expect(steps(six, { seats, placement: seated([1, 2, 3, 4, 5], [6]) })).toEqual([]);
  });

  test('has a learner vote when a seat is free', () => {
    const placement = seated([1, 2, 3, 5], [6]);
    const seated6 = { type: 'join', node: 6, shard: 0, role: 'voter', instead: [] };
    const state = after(six, []);
    const fewer = { ...state, nodes: new Map([...state.nodes].filter(([node]) => node !== 4)) };
    expect(steps(fewer, { seats, placement })).toEqual([seated6]);
    expect(steps(fewer, { seats, placement, isReachable: (node) => node !== 6 })).toEqual([]);
  });
});

describe('a node that is removed', () => {
  const five = joined(...[1, 2, 3, 4, 5].map((node) => record(node)));
  const state = withShards(joined(...[1, 2, 3, 4].map((node) => record(node))), [1, 2, 3], [1, 2]);
  const groups = [group(0, 1, 2, 3, 4), ...state.shardMap.shards];
  const draining = after(state, removalBegin(state, three, facts(groups, { isReachable: () => true })));
  const placement = seated([1, 2, 3], [4]);
  const move = { type: 'join', node: 4, role: 'voter', instead: [three] };

  test('has its replicas moved as planned, and its seat taken by a learner when it leads no shard any more', () => {
    expect(steps(draining, { placement })).toEqual([{ ...move, shard: 1 }, leave2]);
    // Also when it is done, until the map has it and the plan is struck.
    expect(steps(draining, { placement, ...left(1) })).toEqual([{ ...move, shard: 1 }, leave2]);
    const mapped = withShards(draining, [1, 2, 4], [1, 2]);
    expect(steps(mapped, { placement, ...left(1, 2) })).toEqual([{ type: 'strike', node: three }]);
    const struck = after(mapped, movesDone(mapped, three));
    expect(steps(struck, { placement, ...left(2) })).toEqual([leave1]);
    expect(steps(struck, { placement, ...left(1, 2) })).toEqual([{ ...move, shard: 0 }]);
    expect(steps(struck, { placement: seated([1, 2, 4], [3]), ...left(1, 2) })).toEqual([leave0]);
    // Its seat is taken already, by one that it let in before it handed over.
    const taken = { placement: seated([1, 2, 3, 4], [5]), ...left(1, 2) };
    expect(steps({ ...struck, nodes: five.nodes }, taken)).toEqual([leave0]);
  });

  test('has those that were to get a replica before have none', () => {
    const five = withShards(joined(...[1, 2, 3, 4, 5].map((node) => record(node))), [1, 2, 3]);
    const first = after(five, removalBegin(five, three, facts(five.shardMap.shards, { isReachable: () => true })));
    const others = { isReachable: (node: NodeId): boolean => node !== 4 };
    const again = after(first, removalBegin(first, three, facts(five.shardMap.shards, others)));
    const step = { type: 'join', node: 5, role: 'voter', instead: [3, 4], shard: 1 };
    expect(steps(again, { placement: seated([1, 2, 5]), ...left(0), ...others })).toEqual([step]);
  });

  test('is not done with a shard until the last target votes, and none that was given up has a replica', () => {
    const five = withShards(joined(...[1, 2, 3, 4, 5].map((node) => record(node))), [1, 2, 3]);
    const first = after(five, removalBegin(five, three, facts(five.shardMap.shards, { isReachable: () => true })));
    const others = { isReachable: (node: NodeId): boolean => node !== 4 };
    const again = after(first, removalBegin(first, three, facts(five.shardMap.shards, others)));
    const placement = seated([1, 2, 4], [5]);
    const done = { placement, ...left(0, 1) };
    const withMembers = (nodes: readonly number[], learners: readonly number[]): PlacementState => {
      const { shards } = withShards(again, nodes).shardMap;
      const ids = learners.map((node) => ReplicaId(10 + node));
      return { ...again, shardMap: new ShardMap(1, [withLearners(shards[0], ids)]) };
    };
    const step = { type: 'join', node: 5, instead: [3, 4], shard: 1 };
    const strike = { type: 'strike', node: three };
    for (const members of [
      [1, 2, 4, 5],
      [1, 2, 4],
      [1, 2],
    ])
      expect(steps(withMembers(members, []), done), String(members)).toEqual([{ ...step, role: 'voter' }]);
    expect(steps(withMembers([1, 2, 5], [5]), done)).toEqual([{ ...step, role: 'voter' }]);
    expect(steps(withMembers([1, 2, 5], []), done)).toEqual([strike]);
  });

  test('that had lost what it learned has it made elsewhere as it was', () => {
    const lost = { node: three, shards: [ShardId(1), ShardId(2)], learning: [ShardId(2)] };
    const state = withShards(joined(...[1, 2, 4].map((node) => record(node))), [1, 2], [1, 2]);
    const vacated = { ...state, replacements: new Map([[three, lost]]) };
    const removed = after(vacated, removalBegin(vacated, three, facts([group(0, 1, 2), ...state.shardMap.shards])));
    const roles = steps(removed, { placement: seated([1, 2, 4]), ...left(0) }).map((step) =>
      step.type === 'join' ? [step.shard, step.role] : [],
    );
    expect(roles).toEqual([
      [1, 'voter'],
      [2, 'learner'],
    ]);
  });

  test('is gone when each group has said that it has no replica there', () => {
    const mapped = withShards(draining, [1, 2, 4], [1, 2]);
    const moved = after(mapped, movesDone(mapped, three));
    const seatedElsewhere = { placement: seated([1, 2, 4]) };
    expect(steps(moved, { ...seatedElsewhere, ...left(0, 1) })).toEqual([leave2]);
    expect(steps(moved, { ...seatedElsewhere, ...left(0, 1, 2) })).toEqual([{ type: 'remove', node: three }]);
    const behind = withShards(moved, [1, 2, 3], [1, 2]);
    expect(steps(behind, { ...seatedElsewhere, ...left(0, 1, 2) })).toEqual([{ type: 'plan', node: three }]);
  });

  test('gets no replica back', () => {
    expect(steps(draining, { placement: seated([1, 2, 4]), ...left(2) })).toEqual([{ ...move, shard: 1 }]);
    expect(registration(draining, record(3))).toEqual([]);
    expect(NodeId(3)).toBe(three);
  });
});
