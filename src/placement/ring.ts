/**
 * Consistent hashing of shards over nodes (Karger et al. 1997; bounded loads: Mirrokni, Thorup, Zadimoghaddam 2018).
 * Keys stay in ranges; the ring only chooses nodes for shards, so that a node that comes or goes moves about its share.
 */
import { assert } from '../base/assert.js';
import { crc32 } from '../base/checksum.js';
import { utf8 } from '../base/bytes.js';
import type { NodeId, ShardId } from '../base/ids.js';

export interface RingNode {
  readonly id: NodeId;
  /** Capacity relative to the others; a node of weight 2 gets about twice the shards of one with 1. */
  readonly weight: number;
}

export interface RingOptions {
  /** Points on the ring for a node of weight 1. More spread better and take longer to build. Default 64. */
  readonly pointsPerWeight?: number;
  /** No node gets more than this times its fair share of the replicas. Default 1.1. */
  readonly loadFactorMax?: number;
}

interface Point {
  readonly hash: number;
  readonly node: NodeId;
}

/** Spreads the bits of a checksum, whose neighbours would otherwise lie close together (murmur3's finalizer). */
function hash(text: string): number {
  let mixed = crc32(utf8(text));
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/**
 * Nodes for each shard, `replicas` distinct ones in the order of the ring. Deterministic: the same input gives the
 * same answer on every node.
 */
export function assignShards(
  shards: readonly ShardId[],
  nodes: readonly RingNode[],
  replicas: number,
  options: RingOptions = {},
): Map<ShardId, NodeId[]> {
  assert(replicas >= 1 && replicas <= nodes.length, `${replicas} replicas on ${nodes.length} nodes`);
  const { pointsPerWeight = 64, loadFactorMax = 1.1 } = options;
  const points = buildRing(nodes, pointsPerWeight);
  const weightTotal = nodes.reduce((sum, node) => sum + node.weight, 0);
  const room = new Map<NodeId, number>();
  for (const node of nodes) {
    const share = (shards.length * replicas * node.weight) / weightTotal;
    room.set(node.id, Math.max(1, Math.ceil(share * loadFactorMax)));
  }
  const assignment = new Map<ShardId, NodeId[]>();
  for (const shard of shards) {
    const chosen = walk(points, hash(`shard ${shard}`), replicas, (node) => (room.get(node) ?? 0) > 0);
    // Where bounded load leaves too few distinct nodes, the ring decides alone: placement matters more than balance.
    if (chosen.length < replicas) {
      for (const node of walk(points, hash(`shard ${shard}`), nodes.length, () => true)) {
        if (chosen.length < replicas && !chosen.includes(node)) chosen.push(node);
      }
    }
    for (const node of chosen) room.set(node, (room.get(node) ?? 0) - 1);
    assignment.set(shard, chosen);
  }
  return assignment;
}

function buildRing(nodes: readonly RingNode[], pointsPerWeight: number): Point[] {
  const points: Point[] = [];
  for (const node of nodes) {
    assert(node.weight > 0, `node ${node.id} has the weight ${node.weight}`);
    const count = Math.max(1, Math.round(pointsPerWeight * node.weight));
    for (let i = 0; i < count; i++) points.push({ hash: hash(`node ${node.id} point ${i}`), node: node.id });
  }
  return points.sort((a, b) => a.hash - b.hash || a.node - b.node);
}

/** Clockwise from `from`: the first `count` distinct nodes that `accepts` takes. */
function walk(points: readonly Point[], from: number, count: number, accepts: (node: NodeId) => boolean): NodeId[] {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (points[middle].hash < from) low = middle + 1;
    else high = middle;
  }
  const chosen: NodeId[] = [];
  for (let i = 0; i < points.length && chosen.length < count; i++) {
    const { node } = points[(low + i) % points.length];
    if (!chosen.includes(node) && accepts(node)) chosen.push(node);
  }
  return chosen;
}
