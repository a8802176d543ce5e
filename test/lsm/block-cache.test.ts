import { describe, expect, it } from 'vitest';
import { BlockCache } from '../../src/lsm/block-cache.js';

const block = (bytes: number): Uint8Array => new Uint8Array(bytes);

describe('BlockCache', () => {
  it('drops what was used the longest ago, and never has too many bytes', () => {
    const cache = new BlockCache(100);
    const [a, b] = [cache.partition(), cache.partition()];
    a.insert(0, block(40));
    b.insert(0, block(40));
    expect(a.get(0)?.length).toBe(40);
    a.insert(40, block(30));
    expect(cache.bytes).toBe(70);
    expect(b.get(0)).toBeUndefined();
    expect(a.get(0)).toBeDefined();
    expect(a.get(40)).toBeDefined();
    expect([cache.hits, cache.misses]).toEqual([3, 1]);
  });

  it('replaces a block of the same place, and keeps none that is too large', () => {
    const cache = new BlockCache(100);
    const partition = cache.partition();
    partition.insert(0, block(60));
    partition.insert(0, block(50));
    partition.insert(60, block(101));
    expect(cache.bytes).toBe(50);
    expect(partition.get(60)).toBeUndefined();
    expect(partition.get(0)?.length).toBe(50);
  });

  it('forgets a table as a whole', () => {
    const cache = new BlockCache(100);
    const [a, b] = [cache.partition(), cache.partition()];
    for (let offset = 0; offset < 30; offset += 10) a.insert(offset, block(10));
    b.insert(0, block(10));
    a.clear();
    expect(cache.bytes).toBe(10);
    expect(a.get(10)).toBeUndefined();
    expect(b.get(0)).toBeDefined();
  });

  it('can be without room', () => {
    const cache = new BlockCache(0);
    const partition = cache.partition();
    partition.insert(0, block(1));
    expect(partition.get(0)).toBeUndefined();
    expect(cache.bytes).toBe(0);
  });
});
