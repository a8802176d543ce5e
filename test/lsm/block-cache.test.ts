import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp, timestampMax } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { BlockCache, type BlockCachePartition } from '../../src/lsm/block-cache.js';
import { RowCache } from '../../src/lsm/row-cache.js';
import { OpenFiles } from '../../src/lsm/sstable/open-files.js';
import { Tree } from '../../src/lsm/tree.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { newDisk, put, treeDirectory, treeResources } from './harness.js';

/** What a block of 600 bytes takes in the cache. */
const unit = 1000;
const block = (bytes = 600): Uint8Array => new Uint8Array(bytes);

/** As a reader of tables does; whether the block was there. */
function read(partition: BlockCachePartition, offset: number, bytes = block()): boolean {
  if (partition.get(offset) !== undefined) return true;
  if (partition.wants(offset, bytes.length)) partition.insert(offset, bytes);
  return false;
}

describe('BlockCache', () => {
  it('keeps what was used again, and lets nothing in that was read once', () => {
    const cache = new BlockCache(10 * unit);
    const [a, b] = [cache.partition(), cache.partition()];
    for (let offset = 0; offset < 10; offset++) read(a, offset);
    // A scan of twenty times the cache.
    for (let offset = 0; offset < 200; offset++) {
      expect(read(b, offset)).toBe(false);
      expect(cache.bytes).toBeLessThanOrEqual(10 * unit);
    }
    for (let offset = 5; offset < 10; offset++) expect(a.get(offset), `block ${offset}`).toBeDefined();
    expect(b.get(0)).toBeUndefined();
    expect([cache.hits, cache.misses]).toEqual([5, 211]);
  });

  it('keeps what is read a second time soon after the first, and not much later', () => {
    const cache = new BlockCache(10 * unit);
    const partition = cache.partition();
    for (let offset = 0; offset < 10; offset++) read(partition, offset);
    expect(read(partition, 100)).toBe(false);
    expect(read(partition, 101)).toBe(false);
    expect(read(partition, 100)).toBe(false);
    expect(read(partition, 100)).toBe(true);
    for (let offset = 200; offset < 220; offset++) read(partition, offset);
    expect(read(partition, 101)).toBe(false);
    expect(read(partition, 100)).toBe(true);
    expect(partition.get(101)).toBeUndefined();
  });

  it('lets go of what is not used any more, however often it was', () => {
    const cache = new BlockCache(10 * unit);
    const partition = cache.partition();
    read(partition, 0);
    for (let use = 0; use < 1000; use++) partition.get(0);
    for (let round = 0; round < 20; round++) for (let offset = 1; offset < 15; offset++) read(partition, offset);
    expect(partition.get(0)).toBeUndefined();
  });

  it('counts what a block takes besides its bytes, and the memory that a view keeps alive', () => {
    const cache = new BlockCache(10 * unit);
    const partition = cache.partition();
    partition.insert(0, block());
    expect(cache.bytes).toBe(unit);
    partition.insert(1, new Uint8Array(1600).subarray(0, 10));
    expect(cache.bytes).toBe(3 * unit);
    partition.insert(2, block(9700));
    expect(partition.get(2)).toBeUndefined();
    expect(cache.bytes).toBe(3 * unit);
  });

  it('replaces a block of the same place', () => {
    const cache = new BlockCache(10 * unit);
    const partition = cache.partition();
    partition.insert(0, block(600));
    partition.insert(0, block(500));
    expect(cache.bytes).toBe(900);
    expect(partition.get(0)?.length).toBe(500);
  });

  it('forgets a table as a whole, and what it remembered of it', () => {
    const cache = new BlockCache(10 * unit);
    const [a, b] = [cache.partition(), cache.partition()];
    for (let offset = 0; offset < 30; offset++) a.insert(offset, block());
    b.insert(0, block());
    a.clear();
    expect(cache.bytes).toBe(unit);
    expect(a.get(29)).toBeUndefined();
    expect(b.get(0)).toBeDefined();
  });

  it('leaves less for blocks where something is charged, and nothing where all is, until the table is forgotten', () => {
    const cache = new BlockCache(10 * unit);
    const [a, b] = [cache.partition(), cache.partition()];
    for (let offset = 0; offset < 10; offset++) read(a, offset);
    read(a, 100);
    b.charge(4 * unit);
    b.charge(2 * unit);
    expect(cache.bytes).toBeGreaterThan(9 * unit);
    expect(cache.bytes).toBeLessThanOrEqual(10 * unit);
    const cached = Array.from({ length: 10 }, (_, offset) => offset).filter((offset) => a.get(offset) !== undefined);
    // What is remembered takes room, too.
    expect(cached).toEqual([7, 8, 9]);
    b.charge(5 * unit);
    expect(cache.bytes).toBe(11 * unit);
    expect([a.wants(1, 600), a.wants(1, 600)]).toEqual([false, false]);
    a.insert(1, block());
    expect([cache.bytes, a.get(1)]).toEqual([11 * unit, undefined]);
    b.clear();
    b.clear();
    expect(cache.bytes).toBe(0);
    for (let offset = 0; offset < 10; offset++) read(a, offset);
    expect(cache.bytes).toBe(10 * unit);
  });

  it('is charged for the range tombstones of tables that were read, while these are open', async () => {
    const blockCache = new BlockCache(1 << 20);
    const resources = treeResources(newDisk(), { blockCache, rowCache: new RowCache(0) });
    await using tree = await Tree.create(treeDirectory, resources);
    const batch = new TreeBatch();
    for (let i = 100; i < 200; i++) batch.deleteRange(utf8(`key ${i}`), utf8(`key ${i}!`), Timestamp(2));
    tree.write(batch, LogIndex(1));
    await tree.flush();
    expect(blockCache.bytes).toBeLessThan(20_000);
    await tree.get(utf8('key 150'), timestampMax);
    expect(blockCache.bytes).toBeGreaterThan(44_000);
    expect(blockCache.bytes).toBeLessThan(60_000);
    await tree.close();
    expect(blockCache.bytes).toBe(0);
  });

  it('can be without room', () => {
    const cache = new BlockCache(0);
    const partition = cache.partition();
    expect(partition.wants(0, 1)).toBe(false);
    partition.insert(0, block(1));
    expect(partition.get(0)).toBeUndefined();
    expect(cache.bytes).toBe(0);
  });

  it('holds the small blocks of many tables at their size', async () => {
    const blockCache = new BlockCache(200_000);
    const disk = newDisk();
    const shape = { level0TablesCompact: 1000, level0TablesStall: 1000 };
    const resources = treeResources(disk, { blockCache, rowCache: new RowCache(0), openFiles: new OpenFiles(100) });
    await using tree = await Tree.create(treeDirectory, resources, shape);
    const keys = Array.from({ length: 60 }, (_, i) => `key ${i}`);
    for (const [i, key] of keys.entries()) {
      put(tree, key, i + 1, `${key} `.padEnd(200, 'value'));
      await tree.flush();
    }
    const readAll = async (): Promise<void> => {
      for (const key of keys) expect((await tree.get(utf8(key), timestampMax))?.value.length).toBe(200);
    };
    await readAll();
    const missesOnce = blockCache.misses;
    await readAll();
    expect([blockCache.misses, blockCache.bytes < 150_000]).toEqual([missesOnce, true]);
  });

  it.each([1, 2, 3, 4, 5])('gives back what was put there or nothing, within its bytes, seed %i', (seed) => {
    const random = new Prng(seed);
    const bytesMax = random.int(0, 20_000);
    const cache = new BlockCache(bytesMax);
    const tables = Array.from({ length: 4 }, () => ({
      partition: cache.partition(),
      inserted: new Map<number, Uint8Array>(),
    }));
    let hits = 0;
    for (let step = 0; step < 5000; step++) {
      const { partition, inserted } = random.pick(tables);
      const offset = random.chance(0.5) ? random.int(0, 5) : random.int(0, 60);
      if (random.chance(0.002)) {
        partition.clear();
        inserted.clear();
      } else if (random.chance(0.2)) {
        partition.wants(offset, random.int(1, 3000));
      } else if (random.chance(0.3)) {
        const bytes = block(random.int(1, 3000));
        partition.insert(offset, bytes);
        // What is too large leaves an older block where it is; the same place never has another one in a table.
        if (bytes.length + 400 <= bytesMax) inserted.set(offset, bytes);
      } else {
        const found = partition.get(offset);
        if (found !== undefined) {
          hits++;
          expect(found).toBe(inserted.get(offset));
        }
      }
      expect(cache.bytes).toBeLessThanOrEqual(bytesMax);
    }
    expect(cache.hits).toBe(hits);
  });
});
