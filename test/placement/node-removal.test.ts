import { describe, expect, test } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';
import { NodeId, ShardId } from '../../src/base/ids.js';
import { isGone, nodeStage } from '../../src/placement/node-registry.js';
import { destination, removalBegin, removalEnd } from '../../src/placement/node-removal.js';
import { decodeRemoval, encodeRemoval } from '../../src/placement/placement-format.js';
import type { PlacementState } from '../../src/placement/placement-state.js';
import { after, facts, formed, group, joined, record, thrown, three, vacant } from './registry-states.js';

const all = { isReachable: (): boolean => true };
const five = joined(...[1, 2, 3, 4, 5].map((node) => record(node)));
const groups = [group(0, 1, 2, 3, 4, 5), group(1, 1, 2, 3), group(2, 2, 3, 4), group(3, 2, 3, 4)];
const draining = after(five, removalBegin(five, three, facts(groups, all)));

function targets(state: PlacementState): (number | undefined)[] {
  return [1, 2, 3].map((shard) => destination(state, three, ShardId(shard)));
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
    const gone = after(draining, removalEnd(draining, three, [group(0, 1, 2, 4, 5), group(1, 1, 2, 5)]));
    expect([gone.nodes.has(three), gone.removals.size, gone.retiredStores.get('store-3')]).toEqual([false, 0, three]);
    expect(isGone(gone, three)).toBe(true);
    expect(removalBegin(gone, three, facts(groups))).toEqual([]);
  });

  test('keeps its plan when it is wished for again, but for nodes that take nothing now', () => {
    const again = (isReachable: (node: NodeId) => boolean, members = groups): PlacementState =>
      after(draining, removalBegin(draining, three, facts(members, { isReachable })));
    expect(targets(again(() => true))).toEqual([5, 1, 5]);
    expect(targets(again((node) => node !== 5))).toEqual([4, 1, 1]);
    const moved = [group(0, 1, 2, 3, 4, 5), group(1, 1, 2, 5), group(2, 1, 2, 3, 4), group(3, 2, 3, 4)];
    expect(targets(again(() => true, moved))).toEqual([undefined, 1, 5]);
  });

  test('that was vacant has its lost replicas made elsewhere', () => {
    const state: PlacementState = { ...vacant, nodes: new Map([...vacant.nodes, [NodeId(4), record(4)]]) };
    const removed = after(state, removalBegin(state, three, facts([group(0, 1, 2), group(1, 1, 2), group(2, 1, 2)])));
    expect(targets(removed)).toEqual([4, undefined, undefined]);
    const gone = after(removed, removalEnd(removed, three, [group(0, 1, 2)]));
    expect([gone.replacements.size, gone.removals.size]).toEqual([0, 0]);
  });

  test('comes back from its bytes', () => {
    const removal = { node: three, moves: [{ shard: ShardId(300), to: NodeId(5) }] };
    expect(decodeRemoval(encodeRemoval(removal))).toEqual(removal);
    expect(() => decodeRemoval(Uint8Array.of(2, ...encodeRemoval(removal).subarray(1)))).toThrow(/format 2/);
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
