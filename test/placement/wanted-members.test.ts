import { expect, test } from 'vitest';
import { NodeId, placementShardId, ShardId } from '../../src/base/ids.js';
import { removalBegin } from '../../src/placement/node-removal.js';
import { rejoined } from '../../src/placement/node-replacement.js';
import { wantedMembers } from '../../src/placement/wanted-members.js';
import { after, facts, formed, group, joined, joining, leaving, record, three, vacant } from './registry-states.js';

const all = { isReachable: (): boolean => true };

test('a node that is replaced does not get back what an operator has moved away from it meanwhile', () => {
  for (const state of [leaving, vacant, joining]) {
    const moved = after(state, wantedMembers(state, group(1, 1, 2, 4)));
    expect(moved.replacements.get(three)).toEqual({ node: three, shards: [placementShardId], learning: [] });
    expect(wantedMembers(moved, group(1, 1, 2, 4))).toEqual([]);
    // One that still has its replica gets it back; of other shards nothing is known.
    expect(wantedMembers(state, group(1, 1, 2, 3))).toEqual([]);
    expect(wantedMembers(state, group(2, 1, 2, 4))).toEqual([]);
  }
});

test('and is as any other node when that was the last', () => {
  const seated = after(joining, rejoined(joining, three, placementShardId));
  expect(after(seated, wantedMembers(seated, group(1, 1, 2, 4))).replacements.size).toBe(0);
});

test('in place of a node that is removed nobody gets what an operator has moved away from it meanwhile', () => {
  const four = NodeId(4);
  const state = joined(record(1), record(2), record(3), record(4));
  const groups = [group(0, 1, 2, 3, 4), group(1, 1, 2, 4), group(2, 1, 2, 4)];
  const draining = after(state, removalBegin(state, four, facts(groups, all)));
  const moved = after(draining, wantedMembers(draining, group(1, 1, 2, 3)));
  expect(moved.removals.get(four)?.moves.map(({ shard }) => shard)).toEqual([ShardId(2)]);
  expect(wantedMembers(moved, group(2, 1, 2, 4))).toEqual([]);
  expect(wantedMembers(formed, group(1, 1, 2, 4))).toEqual([]);
});
