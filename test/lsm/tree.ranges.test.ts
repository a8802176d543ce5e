/** Deleted ranges through a whole tree. Random ones are in tree.model.test.ts. */
import { describe, expect, it } from 'vitest';
import { keySuccessor, utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp, timestampMax } from '../../src/base/ids.js';
import { IngestError } from '../../src/lsm/ingest.js';
import { SstableWriter } from '../../src/lsm/sstable/sstable-writer.js';
import { batchRangeDeletionsMax, TreeBatch } from '../../src/lsm/tree-batch.js';
import type { TreeOptions } from '../../src/lsm/tree-options.js';
import { Tree } from '../../src/lsm/tree.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { newDisk, put, scan, settled, text, treeDirectory, treeResources } from './harness.js';

/** Nothing is compacted. */
const lazy: Partial<TreeOptions> = { level0TablesCompact: 50, level0TablesStall: 50, blockBytes: 200 };
const eager: Partial<TreeOptions> = {
  level0TablesCompact: 1,
  sstableBytesTarget: 1000,
  levelBytesBase: 2000,
  levelBytesMultiplier: 2,
  blockBytes: 200,
};

function deleteRange(tree: Tree, lower: string, upper: string, version: number): void {
  const batch = new TreeBatch().deleteRange(utf8(lower), utf8(upper), Timestamp(version));
  tree.write(batch, LogIndex(tree.appliedIndex + 1));
}

async function get(tree: Tree, key: string, at: number = timestampMax): Promise<string | undefined> {
  const found = await tree.get(utf8(key), Timestamp(at));
  return found && `${found.kind} ${found.version} ${text(found.value)}`.trim();
}

async function keysOf(tree: Tree, options: Parameters<typeof scan>[1] = {}): Promise<string> {
  return (await scan(tree, options)).map(({ key }) => key).join(' ');
}

function create(disk: SimDisk, options: Partial<TreeOptions>): Promise<Tree> {
  return Tree.create(treeDirectory, treeResources(disk), options);
}

/** `key-000` and so on, all of version 1. */
function putMany(tree: Tree, count: number, valueBytes = 20): void {
  for (let i = 0; i < count; i++) put(tree, keyOf(i), 1, 'v'.repeat(valueBytes));
}

function keyOf(i: number): string {
  return `key-${String(i).padStart(5, '0')}`;
}

describe('a deleted range', () => {
  it.each([
    ['in a memtable', 'none'],
    ['in a table', 'after'],
    ['in another table than what it hides', 'both'],
    ['in a memtable, and what it hides in a table', 'before'],
  ])('%s hides what is older, from its version on', async (_, flush) => {
    await using tree = await create(newDisk(), lazy);
    for (const key of ['a', 'b', 'c', 'd']) put(tree, key, 3, key);
    if (flush === 'before' || flush === 'both') await tree.flush();
    deleteRange(tree, 'b', 'd', 5);
    put(tree, 'c', 7, 'again');
    if (flush === 'after' || flush === 'both') await tree.flush();

    expect(await keysOf(tree)).toBe('a c d');
    expect(await keysOf(tree, { reverse: true })).toBe('d c a');
    expect(await keysOf(tree, { at: 6 })).toBe('a d');
    expect(await keysOf(tree, { at: 6, reverse: true })).toBe('d a');
    expect(await keysOf(tree, { at: 4 })).toBe('a b c d');
    expect(await keysOf(tree, { lower: 'bb', upper: 'd' })).toBe('c');
    expect(await get(tree, 'b')).toBe('delete 5');
    expect(await get(tree, 'b', 4)).toBe('put 3 b');
    expect(await get(tree, 'c')).toBe('put 7 again');
    expect(await get(tree, 'c', 6)).toBe('delete 5');
    expect(await get(tree, 'd')).toBe('put 3 d');
    // A key that was never there: no filter knows it.
    expect(await get(tree, 'bzz')).toBe('delete 5');
    expect(await get(tree, 'bzz', 4)).toBeUndefined();
    const many = await tree.getMany(['a', 'b', 'c'].map(utf8), timestampMax);
    expect(many.map((found) => found?.kind)).toEqual(['put', 'delete', 'put']);
  });

  it.each(['same batch', 'before', 'after', 'older table', 'newer table'])(
    'does not hide what is written at its own version, in whatever order: %s',
    async (order) => {
      await using tree = await create(newDisk(), lazy);
      const flush = order.endsWith('table');
      if (order === 'same batch') {
        const batch = new TreeBatch().deleteRange(utf8('a'), utf8('z'), Timestamp(5));
        tree.write(batch.put(utf8('k'), Timestamp(5), utf8('v')), LogIndex(1));
      } else {
        const putFirst = order === 'before' || order === 'older table';
        if (putFirst) put(tree, 'k', 5, 'v');
        if (putFirst && flush) await tree.flush();
        deleteRange(tree, 'a', 'z', 5);
        if (!putFirst && flush) await tree.flush();
        if (!putFirst) put(tree, 'k', 5, 'v');
      }
      expect(await get(tree, 'k')).toBe('put 5 v');
      expect(await keysOf(tree)).toBe('k');
      await tree.flush();
      tree.setSafePoint(Timestamp(9));
      expect(await get(tree, 'k')).toBe('put 5 v');
      expect(await keysOf(tree, { reverse: true })).toBe('k');
    },
  );

  it('hides what is written later with an older version', async () => {
    await using tree = await create(newDisk(), lazy);
    deleteRange(tree, 'a', 'z', 5);
    await tree.flush();
    put(tree, 'k', 3, 'late');
    expect(await get(tree, 'k')).toBe('delete 5');
    await tree.flush();
    expect(await get(tree, 'k')).toBe('delete 5');
    expect(await get(tree, 'k', 4)).toBe('put 3 late');
    expect(await keysOf(tree)).toBe('');
  });

  it('is flushed though nothing else was written, and is there after a restart', async () => {
    const disk = newDisk();
    const tree = await create(disk, lazy);
    put(tree, 'b', 1, 'old');
    await tree.flush();
    deleteRange(tree, 'a', 'c', 2);
    await tree.flush();
    expect(tree.stats().levels[0].tables).toBe(2);
    expect(tree.metrics().levels[0]).toMatchObject({ entries: 1, rangeTombstones: 1 });
    await tree.verify();
    await tree.close();
    await using opened = await Tree.open(treeDirectory, treeResources(disk), lazy);
    expect(opened.durableAppliedIndex).toBe(2);
    expect(await get(opened, 'b')).toBe('delete 2');
    expect(await keysOf(opened)).toBe('');
    expect(await keysOf(opened, { at: 1 })).toBe('b');
  });

  it('is seen by no iterator that was open before', async () => {
    await using tree = await create(newDisk(), lazy);
    for (const key of ['a', 'b', 'c']) put(tree, key, 1, key);
    deleteRange(tree, 'a', 'b', 2);
    const iterator = tree.openIterator({ lower: utf8(''), upper: undefined, at: timestampMax, reverse: false });
    deleteRange(tree, 'a', 'z', 3);
    await tree.flush();
    const keys: string[] = [];
    for (let next = await iterator.next(); next !== undefined; next = await iterator.next()) keys.push(text(next.key));
    iterator.close();
    expect(keys).toEqual(['b', 'c']);
    expect(await keysOf(tree)).toBe('');
  });

  it('takes rows out of the row cache', async () => {
    await using tree = await create(newDisk(), lazy);
    put(tree, 'k', 1, 'v');
    await tree.flush();
    for (let i = 0; i < 4; i++) expect(await get(tree, 'k')).toBe('put 1 v');
    expect(tree.metrics().rowCache.hits).toBeGreaterThan(0);
    deleteRange(tree, 'a', 'z', 2);
    for (let i = 0; i < 4; i++) expect(await get(tree, 'k')).toBe('delete 2');
    put(tree, 'k', 3, 'new');
    expect(await get(tree, 'k')).toBe('put 3 new');
  });

  it('must not be empty', () => {
    const batch = new TreeBatch();
    expect(() => batch.deleteRange(utf8('a'), utf8('a'), Timestamp(1))).toThrow('must not be empty');
    expect(() => batch.deleteRange(utf8('b'), utf8('a'), Timestamp(1))).toThrow('must not be empty');
    expect(batch.deleteRange(utf8('a'), utf8('b'), Timestamp(1))).toMatchObject({ count: 1, bytes: 2 });
  });

  it('is one of a limited number in a batch, which may all overlap', async () => {
    await using tree = await create(newDisk(), lazy);
    put(tree, keyOf(300), 1, 'v');
    const batch = new TreeBatch();
    for (let i = 0; i < batchRangeDeletionsMax; i++) {
      batch.deleteRange(utf8(keyOf(i)), utf8(keyOf(1000 - i)), Timestamp(i + 2));
    }
    expect(() => batch.deleteRange(utf8('a'), utf8('b'), Timestamp(9))).toThrow('at most 256 ranges');
    expect(batch.count).toBe(batchRangeDeletionsMax);
    tree.write(batch, LogIndex(2));
    expect(await get(tree, keyOf(300))).toBe('delete 257');
    expect(await get(tree, keyOf(10))).toBe('delete 12');
    // Nobody reads what is older: of all that cover a key one is kept.
    tree.setSafePoint(Timestamp(300));
    await tree.flush();
    expect(tree.metrics().levels[0].rangeTombstones).toBe(2 * batchRangeDeletionsMax - 1);
    expect(await get(tree, keyOf(300))).toBe('delete 257');
  });

  it('shows the versions that it hides to those who ask for all', async () => {
    await using tree = await create(newDisk(), lazy);
    put(tree, 'k', 1, 'v');
    deleteRange(tree, 'a', 'z', 2);
    const versions = tree.openVersionIterator({ lower: utf8(''), upper: undefined });
    expect(await versions.next()).toMatchObject({ version: 1, kind: 'put' });
    expect(await versions.next()).toBeUndefined();
    versions.close();
  });
});

describe('compactions of deleted ranges', () => {
  it('make room without being asked, once nobody reads below', async () => {
    await using tree = await create(newDisk(), { blockBytes: 200, sstableBytesTarget: 1000 });
    for (let round = 0; round < 4; round++) {
      for (let i = round; i < 400; i += 4) put(tree, keyOf(i), 1, 'v'.repeat(20));
      await tree.flush();
    }
    await settled(tree);
    const before = tree.stats().bytes;
    deleteRange(tree, keyOf(10), keyOf(400), 5);
    await settled(tree);
    expect(tree.stats().bytes).toBeGreaterThanOrEqual(before);
    tree.setSafePoint(Timestamp(5));
    // The safe point is looked at when something is written.
    put(tree, keyOf(400), 6, 'v');
    await settled(tree);
    expect(tree.stats().bytes).toBeLessThan(before / 4);
    expect((await scan(tree)).length).toBe(11);
    expect(tree.metrics().levels.reduce((sum, level) => sum + level.rangeTombstones, 0)).toBe(0);
  });

  it('leave nothing at the bottom once nobody reads below', async () => {
    await using tree = await create(newDisk(), eager);
    putMany(tree, 100);
    await settled(tree);
    deleteRange(tree, keyOf(0), keyOf(1000), 5);
    tree.setSafePoint(Timestamp(9));
    await settled(tree);
    put(tree, keyOf(50), 10, 'new');
    // All that overlaps is merged, level by level.
    for (let i = 0; i < 30; i++) {
      put(tree, 'a', 11 + i, 'x'.repeat(1000));
      put(tree, 'z', 11 + i, 'x'.repeat(1000));
      await settled(tree);
    }
    const { levels } = tree.metrics();
    expect(levels.reduce((sum, level) => sum + level.rangeTombstones, 0)).toBe(0);
    expect(await keysOf(tree)).toBe(`a ${keyOf(50)} z`);
    expect(tree.metrics().compactions.droppedEntries).toBeGreaterThanOrEqual(99);
    await tree.verify();
  });

  it('keep what somebody may still read', async () => {
    await using tree = await create(newDisk(), eager);
    putMany(tree, 100);
    await settled(tree);
    deleteRange(tree, keyOf(20), keyOf(80), 5);
    tree.setSafePoint(Timestamp(4));
    await settled(tree);
    await tree.verify();
    expect((await scan(tree, { at: 4 })).length).toBe(100);
    expect((await scan(tree, { at: 5 })).length).toBe(40);
  });

  it('cut them where tables end, so that tables of a level do not overlap and nothing comes back', async () => {
    const disk = newDisk();
    await using tree = await create(disk, { ...eager, levelBytesBase: 1 << 20 });
    putMany(tree, 300, 40);
    await settled(tree);
    // One that reaches over all tables, and many between them; entries between, so that there are many outputs.
    deleteRange(tree, keyOf(10), keyOf(290), 3);
    for (let i = 0; i < 300; i += 7) deleteRange(tree, keyOf(i), keyOf(i + 2), 4);
    for (let i = 0; i < 300; i += 5) put(tree, keyOf(i), 5, 'w'.repeat(60));
    await settled(tree);
    expect(tree.stats().levels.filter(({ tables }) => tables > 4)).toHaveLength(1);
    await tree.verify();
    const expected = (at: number): string =>
      Array.from({ length: 300 }, (_, i) => i)
        .filter((i) => (at >= 5 && i % 5 === 0) || (!(at >= 3 && i >= 10 && i < 290) && !(at >= 4 && i % 7 < 2)))
        .map(keyOf)
        .join(' ');
    for (const at of [2, 3, 4, 5]) {
      expect(await keysOf(tree, { at })).toBe(expected(at));
      expect(await keysOf(tree, { at, reverse: true })).toBe(expected(at).split(' ').reverse().join(' '));
    }
    for (let i = 0; i < 300; i++) {
      expect((await get(tree, keyOf(i), 4))?.startsWith('put') ?? false).toBe(expected(4).includes(keyOf(i)));
    }
  });
});

describe('checkpoints and ingested tables', () => {
  it('have the part of a deleted range that is within the bounds, also between and beyond entries', async () => {
    const disk = newDisk();
    await using tree = await create(disk, lazy);
    for (const key of ['a', 'c', 'e', 'g']) put(tree, key, 1, key);
    await tree.flush();
    put(tree, 'd', 2, 'd');
    deleteRange(tree, 'b', 'h', 3);
    await tree.flush();
    const bounds = { lower: utf8('c'), upper: utf8('f') };
    await tree.checkpoint('node/child', bounds);
    await using child = await Tree.open('node/child', treeResources(disk), eager);
    await child.verify();
    expect(await keysOf(child)).toBe('');
    expect(await keysOf(child, { at: 2 })).toBe('c d e');
    expect(await get(child, 'e')).toBe('delete 3');
    // What is beyond was never there.
    for (const key of ['b', 'f', 'g']) expect(await get(child, key)).toBeUndefined();
    put(child, 'f', 2, 'older, but of another tree');
    expect(await keysOf(child)).toBe('f');
    await settled(child);
    await child.verify();
    expect(await keysOf(child)).toBe('f');
    expect(await keysOf(child, { at: 2 })).toBe('c d e f');
  });

  it('delete ranges when they come in, above the safe point only', async () => {
    const disk = newDisk();
    await using tree = await create(disk, lazy);
    for (const key of ['a', 'b', 'c']) put(tree, key, 1, key);
    await tree.flush();
    for (let i = 0; i < 4; i++) expect(await get(tree, 'b')).toBe('put 1 b');
    const options = { blockBytes: 200, bloomBitsPerKey: 10, compression: 'none' } as const;
    const writer = await SstableWriter.create(disk, 'node/foreign', 1, options);
    writer.addRange({ lower: utf8('b'), upper: keySuccessor(utf8('c')), versions: [Timestamp(4)] });
    await writer.finish();
    await tree.ingest(['node/foreign'], LogIndex(10));
    expect(await get(tree, 'b')).toBe('delete 4');
    expect(await keysOf(tree)).toBe('a');
    await tree.verify();
    tree.setSafePoint(Timestamp(4));
    await expect(tree.ingest(['node/foreign'], LogIndex(11))).rejects.toBeInstanceOf(IngestError);
  });
});

describe('a scan over a deleted range', () => {
  it.each([false, true])('passes over tables that are wholly hidden, and no others, reverse %s', async (reverse) => {
    const options = { ...eager, levelBytesBase: 1 << 20 };
    await using tree = await create(newDisk(), options);
    putMany(tree, 2000);
    await settled(tree);
    // Two tables get something newer than the range.
    put(tree, keyOf(700), 9, 'new');
    put(tree, keyOf(1300), 9, 'new');
    await settled(tree);
    expect(tree.stats().levels.filter(({ tables }) => tables > 0)).toHaveLength(1);
    deleteRange(tree, keyOf(0), keyOf(1999), 5);
    const before = tree.metrics().reads;
    const expected = [keyOf(700), keyOf(1300), keyOf(1999)];
    expect(await keysOf(tree, { reverse })).toBe((reverse ? expected.reverse() : expected).join(' '));
    const tables = tree.stats().levels.reduce((sum, level) => sum + level.tables, 0);
    expect(tables).toBeGreaterThan(15);
    // A table has some 15 blocks. Two are walked over.
    expect(tree.metrics().reads.blocksRead - before.blocksRead).toBeLessThan(5 * 15);
    expect(await keysOf(tree, { reverse, at: 4 })).toHaveLength(2000 * 10 - 1);
  });

  it.each([false, true])('searches for its end instead of walking, reverse %s', async (reverse) => {
    await using tree = await create(newDisk(), { ...lazy, memtableBytesMax: 8 << 20 });
    putMany(tree, 5000);
    await tree.flush();
    deleteRange(tree, keyOf(10), keyOf(4990), 5);
    await tree.flush();
    const before = tree.metrics().reads;
    expect(await scan(tree, { reverse })).toHaveLength(20);
    const { blocksRead, entriesSkipped } = tree.metrics().reads;
    expect(blocksRead - before.blocksRead).toBeLessThan(12);
    expect(entriesSkipped - before.entriesSkipped).toBeLessThan(20);
  });

  it.each([false, true])('searches for the end of its neighbours at once, reverse %s', async (reverse) => {
    await using tree = await create(newDisk(), { ...lazy, memtableBytesMax: 8 << 20 });
    putMany(tree, 5000);
    await tree.flush();
    for (let i = 0; i < 100; i++) {
      const piece = reverse ? 99 - i : i;
      deleteRange(tree, keyOf(piece * 50), keyOf(piece * 50 + 50), 5 + i);
    }
    const before = tree.metrics().reads.entriesSkipped;
    expect(await keysOf(tree, { reverse })).toBe('');
    // 16 are walked over before each search, and a search takes some 64 pieces.
    expect(tree.metrics().reads.entriesSkipped - before).toBeLessThan(50);
  });

  it.each([false, true])('is not looked at again by who takes from an end with it, reverse %s', async (reverse) => {
    await using tree = await create(newDisk(), { ...lazy, memtableBytesMax: 8 << 20 });
    putMany(tree, 1600);
    await tree.flush();
    const before = tree.metrics().reads.entriesSkipped;
    for (let taken = 1; taken < 1600; taken++) {
      const from = reverse ? 1600 - taken : taken - 1;
      deleteRange(tree, keyOf(from), keyOf(from + 1), taken + 1);
      tree.setSafePoint(Timestamp(taken));
      const bounds = { lower: utf8(''), upper: undefined, at: timestampMax, reverse };
      const iterator = tree.openIterator(bounds);
      expect(text((await iterator.next())?.key ?? utf8(''))).toBe(keyOf(reverse ? from - 1 : taken));
      iterator.close();
    }
    // Two searches and what is walked over before each, until a gap is remembered, and then it begins anew.
    expect(tree.metrics().reads.entriesSkipped - before).toBeLessThan(1600 * 2 * 16);
  });
});
