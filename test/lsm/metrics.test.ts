import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { Timestamp } from '../../src/base/ids.js';
import { backlogBytes } from '../../src/lsm/compaction/picker.js';
import { RowCache } from '../../src/lsm/row-cache.js';
import { Tree } from '../../src/lsm/tree.js';
import { ManualClock, newDisk, put, remove, scan, settled, treeDirectory, treeResources } from './harness.js';
import { levels as levelsOf } from './tables.js';

describe('the metrics of a tree', () => {
  it('are defined for an empty one', async () => {
    await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
    expect(tree.metrics()).toMatchObject({
      memtables: { sealed: 0 },
      writes: { bytes: 0, flushes: 0, stalls: 0, stallMs: 0, delays: 0, delayMs: 0, isStalled: false },
      compactions: { count: 0, backlogBytes: 0 },
      filterUsefulness: undefined,
      blockCache: { bytes: 0, hitRate: undefined },
      openFiles: 0,
      writeAmplification: undefined,
      readAmplification: 0,
      spaceAmplification: undefined,
    });
  });

  it('count what filters, caches and disk did for reads', async () => {
    await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
    for (let i = 0; i < 200; i++) put(tree, `key-${2 * i}`, i + 1, 'value');
    await tree.flush();
    for (let i = 0; i < 200; i++) {
      expect(await tree.get(utf8(`key-${2 * i}`), Timestamp(300))).toBeDefined();
      expect(await tree.get(utf8(`key-${2 * i + 1}`), Timestamp(300))).toBeUndefined();
    }
    const { reads, filterUsefulness, blockCache, openFiles, readAmplification } = tree.metrics();
    // Keys beyond the largest are not even asked for.
    expect(reads.filterChecks).toBeGreaterThan(390);
    expect(reads.filterRejections).toBeGreaterThan(180);
    expect(reads.filterRejections + reads.filterPassesInVain).toBe(reads.filterChecks - 200);
    expect(filterUsefulness).toBeGreaterThan(0.9);
    // Filter, index and one data block.
    expect(reads.blocksRead).toBe(3);
    expect(reads.blockBytesRead).toBeGreaterThan(1000);
    expect(blockCache.hitRate).toBeGreaterThan(0.9);
    expect([openFiles, readAmplification]).toEqual([1, 1]);
  });

  it.each(['get', 'getMany'] as const)(
    'count as hits and misses of the row cache what it could answer: %s',
    async (method) => {
      await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
      const read = async (key: string): Promise<unknown> =>
        method === 'get' ? tree.get(utf8(key), Timestamp(9)) : (await tree.getMany([utf8(key)], Timestamp(9)))[0];
      put(tree, 'stored', 1, 'value');
      await tree.flush();
      put(tree, 'written', 2, 'value');
      for (let times = 0; times < 10; times++) expect(await read('written')).toBeDefined();
      expect(tree.metrics().rowCache).toEqual({ hits: 0, misses: 0, hitRate: undefined });
      // Read from disk, offered, kept, and found four times.
      for (let times = 0; times < 7; times++) expect(await read('stored')).toBeDefined();
      expect(await read('nowhere')).toBeUndefined();
      expect(tree.metrics().rowCache).toEqual({ hits: 4, misses: 4, hitRate: 0.5 });
    },
  );

  it('know no hit rate of a row cache that keeps nothing', async () => {
    await using tree = await Tree.create(treeDirectory, treeResources(newDisk(), { rowCache: new RowCache(0) }));
    put(tree, 'stored', 1, 'value');
    await tree.flush();
    for (let times = 0; times < 5; times++) expect(await tree.get(utf8('stored'), Timestamp(9))).toBeDefined();
    expect(tree.metrics().rowCache).toEqual({ hits: 0, misses: 0, hitRate: undefined });
  });

  it('count what scans had to pass over, not what they gave', async () => {
    await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
    for (const [i, key] of ['a', 'b', 'c', 'd'].entries()) put(tree, key, i + 1, 'value');
    put(tree, 'b', 7, 'newer');
    remove(tree, 'c', 8);
    await tree.flush();
    for (const reverse of [false, true]) {
      const before = tree.metrics().reads.entriesSkipped;
      expect(await scan(tree, { reverse })).toHaveLength(3);
      // The old version of b, and both entries of c: from behind, the older one is only known to be hidden by the newer.
      expect(tree.metrics().reads.entriesSkipped - before).toBe(reverse ? 2 : 3);
    }
  });

  it('count what writes cost', async () => {
    const options = { memtableBytesMax: 1000, level0TablesCompact: 2, levelBytesBase: 3000, levelBytesMultiplier: 2 };
    await using tree = await Tree.create(treeDirectory, treeResources(newDisk()), options);
    let bytes = 0;
    for (let i = 1; i <= 200; i++) {
      await tree.writeStall();
      put(tree, `key-${i % 50}`, i, 'value');
      bytes += `key-${i % 50}`.length + 5;
      if (i % 10 === 0) remove(tree, 'gone', i);
      if (i % 10 === 0) bytes += 4;
    }
    await settled(tree);
    const { levels, writes, compactions, writeAmplification, spaceAmplification } = tree.metrics();
    expect(writes.bytes).toBe(bytes);
    expect(writes.flushes).toBeGreaterThan(3);
    expect(compactions.count).toBeGreaterThan(1);
    expect(compactions.backlogBytes).toBe(0);
    expect(writeAmplification).toBe(1 + compactions.writtenBytes / writes.flushedBytes);
    expect(tree.metrics().writeAmplificationPerUserByte).toBe(
      (writes.flushedBytes + compactions.writtenBytes) / writes.bytes,
    );
    expect(spaceAmplification).toBeGreaterThanOrEqual(1);
    const { entries, tombstones } = levels.reduce(
      (sum, level) => ({ entries: sum.entries + level.entries, tombstones: sum.tombstones + level.tombstones }),
      { entries: 0, tombstones: 0 },
    );
    expect(entries).toBe(220 - compactions.droppedEntries);
    expect(tombstones).toBe(20);
  });

  it('say how long writes had to wait', async () => {
    const disk = newDisk();
    const clock = new ManualClock();
    const options = { memtableBytesMax: 1, sealedMemtablesMax: 1, noSpaceRetryMsMin: 50, noSpaceRetryMsMax: 50 };
    await using tree = await Tree.create(treeDirectory, treeResources(disk, { clock }), options);
    disk.quotaBytes = disk.usedBytes();
    put(tree, 'a', 1, 'value');
    // A look is no wait.
    expect(tree.metrics().writes).toMatchObject({ stalls: 0, isStalled: true });
    expect(tree.metrics().writes).toMatchObject({ stalls: 0, stallMs: 0 });
    const stall = tree.writeStall();
    expect(stall).toBeDefined();
    clock.advance(40);
    expect(tree.metrics().writes).toMatchObject({ stalls: 1, stallMs: 40, isStalled: true });
    while (clock.timerCount === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(tree.metrics().outOfSpace).toBe(true);
    disk.quotaBytes = Infinity;
    clock.advance(60);
    await stall;
    await tree.flush();
    expect(tree.metrics().writes).toMatchObject({ stalls: 1, stallMs: 100, isStalled: false });
    clock.advance(1000);
    expect(tree.metrics().writes.stallMs).toBe(100);
  });

  it.each([
    { tables: ['1:a-b*30'], backlog: 0 },
    { tables: ['2:a-b*30 1:a-b*30'], backlog: 60 },
    { tables: ['', '', '', '', '', '', '1:a-b*100'], backlog: 0 },
    { tables: ['', '1:a-b*20'], backlog: 20 },
    { tables: ['', '', '', '', '1:a-b*100 2:c-d*20', '3:a-z*1500', '4:a-z*10000'], backlog: 20 + 500 },
  ])('have a backlog of $backlog with $tables', ({ tables, backlog }) => {
    const options = { level0TablesCompact: 2, levelBytesBase: 100, levelBytesMultiplier: 10 };
    expect(backlogBytes(levelsOf(...tables), options)).toBe(backlog);
  });
});
