import { describe, expect, test } from 'vitest';
import { NodeId, ShardId } from '../../src/base/ids.js';
import { assignShards } from '../../src/placement/ring.js';
import type { RingNode } from '../../src/placement/ring.js';

function nodes(count: number, weight = 1): RingNode[] {
  return Array.from({ length: count }, (_, i) => ({ id: NodeId(i + 1), weight }));
}

const shards = Array.from({ length: 600 }, (_, i) => ShardId(i + 1));

function load(assignment: ReadonlyMap<ShardId, readonly NodeId[]>): Map<NodeId, number> {
  const loads = new Map<NodeId, number>();
  for (const chosen of assignment.values()) for (const node of chosen) loads.set(node, (loads.get(node) ?? 0) + 1);
  return loads;
}

describe('assignShards', () => {
  test('gives each shard distinct nodes', () => {
    for (const chosen of assignShards(shards, nodes(5), 3).values()) {
      expect(new Set(chosen).size).toBe(3);
    }
  });

  test('with as many replicas as nodes, every node has every shard', () => {
    for (const chosen of assignShards(shards, nodes(3), 3).values()) {
      expect([...chosen].sort()).toEqual([1, 2, 3]);
    }
  });

  test('no node gets more than the load factor allows', () => {
    const fair = (shards.length * 3) / 7;
    for (const count of load(assignShards(shards, nodes(7), 3, { loadFactorMax: 1.1 })).values()) {
      expect(count).toBeLessThanOrEqual(Math.ceil(fair * 1.1));
    }
  });

  test('a node of twice the weight gets about twice the shards', () => {
    const ring = [...nodes(4), { id: NodeId(5), weight: 2 }];
    const loads = load(assignShards(shards, ring, 1, { pointsPerWeight: 256 }));
    const small = (loads.get(NodeId(1)) ?? 0) + (loads.get(NodeId(2)) ?? 0);
    expect(loads.get(NodeId(5))).toBeGreaterThan(small * 0.7);
    expect(loads.get(NodeId(5))).toBeLessThan(small * 1.4);
  });

  test('a fifth node takes about a fifth and moves little else', () => {
    const before = assignShards(shards, nodes(4), 1, { pointsPerWeight: 256, loadFactorMax: 1.5 });
    const after = assignShards(shards, nodes(5), 1, { pointsPerWeight: 256, loadFactorMax: 1.5 });
    const moved = shards.filter((shard) => before.get(shard)?.[0] !== after.get(shard)?.[0]);
    expect(moved.length).toBeGreaterThan(shards.length / 10);
    expect(moved.length).toBeLessThan(shards.length / 3.5);
    const between = moved.filter((shard) => after.get(shard)?.[0] !== NodeId(5));
    expect(between.length).toBeLessThan(shards.length / 50);
  });

  test('refuses more replicas than nodes', () => {
    expect(() => assignShards(shards, nodes(2), 3)).toThrow('3 replicas on 2 nodes');
  });
});
