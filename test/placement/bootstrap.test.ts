import { describe, expect, test } from 'vitest';
import { compareBytes, fromUtf8, utf8 } from '../../src/base/bytes.js';
import { NodeId } from '../../src/base/ids.js';
import { firstShardMap, placementDescriptor, splitKeys } from '../../src/placement/bootstrap.js';
import { ShardMap } from '../../src/placement/shard-map.js';

const nodes = [1, 2, 3].map(NodeId);

describe('splitKeys', () => {
  test.each([
    [1, []],
    [2, ['V00']],
    [4, ['FV0', 'V00', 'kV0']],
  ])('%i parts', (count, keys) => {
    expect(splitKeys(count).map(fromUtf8)).toEqual(keys);
  });

  test('keys ascend for every count', () => {
    for (let count = 2; count <= 300; count++) {
      const keys = splitKeys(count);
      for (let i = 1; i < keys.length; i++) expect(compareBytes(keys[i - 1], keys[i])).toBeLessThan(0);
    }
  });

  test('more parts than it can tell apart are refused', () => {
    expect(() => splitKeys(62 ** 3 + 1)).toThrow('at most 238328 shards');
  });
});

describe('the first shard map', () => {
  test.each([1, 2, 8, 100])('%i shards tile the key space, each on three nodes', (shardCount) => {
    const shards = firstShardMap({ nodes, shardCount, replicationFactor: 3 });
    const map = new ShardMap(1, shards); // asserts that they tile
    expect(map.shards).toHaveLength(shardCount);
    for (const shard of shards) expect(shard.replicas.map(({ node }) => node).sort()).toEqual([1, 2, 3]);
  });

  test('replica ids are unique over all shards', () => {
    const ids = firstShardMap({ nodes, shardCount: 20, replicationFactor: 3 }).flatMap(({ replicas }) =>
      replicas.map(({ replica }) => replica),
    );
    expect(new Set(ids).size).toBe(60);
  });

  test('every node makes the same', () => {
    const options = { nodes, shardCount: 8, replicationFactor: 3 };
    expect(firstShardMap(options)).toEqual(firstShardMap(options));
  });
});

test('the placement group has at most five voters, the lowest ids, in whatever order they are given', () => {
  const descriptor = placementDescriptor([7, 3, 1, 2, 6, 5].map(NodeId));
  expect(descriptor.replicas).toEqual([1, 2, 3, 5, 6].map((id) => ({ replica: id, node: id })));
});

describe('ShardMap', () => {
  const map = new ShardMap(1, firstShardMap({ nodes, shardCount: 4, replicationFactor: 3 }));

  test.each([
    ['', 1],
    ['0', 1],
    ['FUz', 1],
    ['FV0', 2],
    ['V', 2],
    ['V00', 3],
    ['kV0', 4],
    ['zzzz', 4],
    ['~', 4],
  ])('finds the shard of %j', (key, shard) => {
    expect(map.find(utf8(key))?.shard).toBe(shard);
  });

  test.each([
    ['', 4],
    ['~', 4],
    ['kV0', 3],
    ['kV00', 4],
    ['V00', 2],
    ['0', 1],
  ])('finds the shard with the last keys below %j', (bound, shard) => {
    expect(map.findBelow(utf8(bound))?.shard).toBe(shard);
  });

  test('an empty map has no shard for any key', () => {
    const empty = new ShardMap(0, []);
    expect(empty.find(utf8('a'))).toBeUndefined();
    expect(empty.findBelow(utf8(''))).toBeUndefined();
  });

  test('a gap is refused', () => {
    const [first, , ...rest] = map.shards;
    expect(() => new ShardMap(1, [first, ...rest])).toThrow('a gap or an overlap after shard 1');
  });
});
