import { expect, test } from 'vitest';
import { emptyBytes, fromUtf8 } from '../../src/base/bytes.js';
import { NodeId, placementShardId, ReplicaId, ShardId } from '../../src/base/ids.js';
import { decodeReplacement } from '../../src/placement/placement-format.js';
import { removalBegin } from '../../src/placement/node-removal.js';
import { rejoined } from '../../src/placement/node-replacement.js';
import type { PlacementChange } from '../../src/placement/placement-format.js';
import type { PlacementState } from '../../src/placement/placement-state.js';
import { membersReported } from '../../src/placement/member-report.js';
import { decodeDescriptor, withLearners, type ShardDescriptor } from '../../src/shard/descriptor.js';
import {
  after,
  facts,
  formed,
  group,
  joined,
  joining,
  leaving,
  record,
  thrown,
  three,
  vacant,
  withShards,
} from './registry-states.js';

const all = { isReachable: (): boolean => true };

/** What an operator had a shard of the map come to, which the map says already. */
function wanted(state: PlacementState, shard: number, ...nodes: readonly number[]): readonly PlacementChange[] {
  const known = withShards(state, ...(shard === 1 ? [nodes, []] : [[], nodes]));
  return membersReported(known, shardOf(known, shard), true);
}

function shardOf({ shardMap }: PlacementState, shard: number): ShardDescriptor {
  const known = shardMap.byId(ShardId(shard));
  if (known === undefined) throw new Error(`no shard ${shard}`);
  return known;
}

function at(descriptor: ShardDescriptor, membership: number): ShardDescriptor {
  return { ...descriptor, epoch: { ...descriptor.epoch, membership } };
}

const four = NodeId(4);
const mapped = withShards(formed, [1, 2], [1, 2, 3]);
const [first, second] = [shardOf(mapped, 1), shardOf(mapped, 2)];
const moved = withShards(formed, [1, 2, 4], [1, 2, 3]);

test('a node that is replaced does not get back what an operator has moved away from it meanwhile', () => {
  for (const state of [leaving, vacant, joining]) {
    const moved = after(state, wanted(state, 1, 1, 2, 4));
    expect(moved.replacements.get(three)).toEqual({ node: three, shards: [placementShardId], learning: [] });
    expect(wanted(moved, 1, 1, 2, 4)).toEqual([]);
    // One that still has its replica gets it back; of other shards nothing is known.
    expect(wanted(state, 1, 1, 2, 3)).toEqual([]);
    expect(wanted(state, 2, 1, 2, 4)).toEqual([]);
  }
});

test('and is as any other node when that was the last', () => {
  const seated = after(joining, rejoined(joining, three, placementShardId));
  expect(after(seated, wanted(seated, 1, 1, 2, 4)).replacements.size).toBe(0);
});

test('in place of a node that is removed nobody gets what an operator has moved away from it meanwhile', () => {
  const state = joined(record(1), record(2), record(3), record(4));
  const groups = [group(0, 1, 2, 3, 4), group(1, 1, 2, 4), group(2, 1, 2, 4)];
  const draining = after(state, removalBegin(state, four, facts(groups, all)));
  const moved = after(draining, wanted(draining, 1, 1, 2, 3));
  expect(moved.removals.get(four)?.moves.map(({ shard }) => shard)).toEqual([ShardId(2)]);
  // Where it is a member itself its plan is made anew: the target may be one, too.
  const again = after(moved, wanted(moved, 2, 1, 2, 4));
  expect(again.removals.get(four)?.moves).toEqual([]);
  expect(wanted(formed, 1, 1, 2, 4)).toEqual([]);
});

test('a node that is replaced comes back as what an operator wants of it', () => {
  const state = withShards(leaving, [1, 2, 3], [1, 2]);
  const report = (membership: number, learners: readonly number[]): ReturnType<typeof membersReported> =>
    membersReported(state, withLearners(at(shardOf(state, 1), membership), learners.map(ReplicaId)), true);
  const [, replaced] = report(6, [13]);
  expect(decodeReplacement(replaced?.value ?? emptyBytes)).toEqual({ node: three, shards: [0, 1], learning: [1] });
  expect(report(6, []).map(({ key }) => fromUtf8(key))).toEqual(['shard/1']);
});

test('the map takes what is newer, and says who only learns', () => {
  const report = withLearners(at(shardOf(moved, 1), 6), [ReplicaId(14)]);
  for (const isWanted of [false, true]) {
    const changes = membersReported(mapped, report, isWanted);
    expect(changes.map(({ key }) => fromUtf8(key))).toEqual(['shard/1']);
    expect(decodeDescriptor(changes[0]?.value ?? emptyBytes)).toEqual(report);
  }
});

test('what the map has already changes nothing, and what is older neither', () => {
  for (const membership of [5, 4, 1]) expect(membersReported(mapped, at(second, membership), false)).toEqual([]);
  expect(membersReported(mapped, second, true)).toEqual([]);
});

test('an operator is not told that what he wanted stands when the members have changed since', () => {
  expect(thrown(() => membersReported(mapped, at(second, 4), true))).toMatchObject({
    code: 'UNAVAILABLE',
    retryable: true,
    message: 'the replicas of shard 2 have changed meanwhile',
  });
});

test('nor when one of the nodes was removed meanwhile', () => {
  const gone = {
    ...mapped,
    retiredStores: new Map([['store-2', NodeId(2)]]),
    nodes: new Map([...mapped.nodes].filter(([id]) => id !== 2)),
  };
  expect(thrown(() => membersReported(gone, second, true))).toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringMatching(/^node 2, .* was removed/) as unknown,
  });
  expect(thrown(() => membersReported(gone, second, false))).toBeUndefined();
});

test('a report of a shard that there is not, or of another range, is refused', () => {
  const other = { ...first, shard: ShardId(9), epoch: { membership: 6, range: 1 } };
  const split = { ...first, epoch: { membership: 6, range: 2 } };
  for (const report of [other, split]) {
    expect(thrown(() => membersReported(mapped, report, false))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
});

test('what is wanted and newer is written with the plans that it strikes', () => {
  const state = withShards(leaving, [1, 2, 3], [1, 2]);
  const changes = membersReported(state, at(shardOf(moved, 1), 6), true);
  expect(changes.map(({ key }) => fromUtf8(key))).toEqual(['shard/1', 'replacement/3']);
  // Without a wish the plan stays.
  expect(membersReported(state, at(shardOf(moved, 1), 6), false)).toHaveLength(1);
});
