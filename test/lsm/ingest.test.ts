import { beforeEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { CorruptionError } from '../../src/base/errors.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { deferred } from '../../src/base/promises.js';
import type { Background, Job } from '../../src/env/background.js';
import { compactJobType } from '../../src/lsm/compaction/compact-job.js';
import { compareEntries, type Kind } from '../../src/lsm/entry.js';
import { IngestError } from '../../src/lsm/ingest.js';
import { SstableWriter } from '../../src/lsm/sstable/sstable-writer.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import type { SimDisk } from '../../src/sim/disk.js';
import {
  inlineBackground,
  newDisk,
  put,
  remove,
  scan,
  settled,
  text,
  treeDirectory,
  treeResources,
} from './harness.js';

const options = {
  memtableBytesMax: 1500,
  blockBytes: 200,
  sstableBytesTarget: 900,
  level0TablesCompact: 2,
  levelBytesBase: 2500,
};

type ForeignEntry = readonly [key: string, version: number, value: string | undefined];

async function foreignTable(disk: SimDisk, path: string, entries: readonly ForeignEntry[]): Promise<string> {
  const tableOptions = { blockBytes: 200, bloomBitsPerKey: 10, compression: 'snappy' } as const;
  const writer = await SstableWriter.create(disk, path, 77, tableOptions);
  const sorted = entries
    .map(([key, version, value]) => ({ key: utf8(key), version, value }))
    .sort((a, b) => compareEntries(a.key, a.version, b.key, b.version));
  for (const { key, version, value } of sorted) {
    const kind: Kind = value === undefined ? 'delete' : 'put';
    await writer.add(key, version, kind, utf8(value ?? ''));
  }
  await writer.finish();
  return path;
}

let disk: SimDisk;
let tree: Tree;

beforeEach(async () => {
  disk = newDisk();
  await disk.makeDirectory('elsewhere');
  tree = await Tree.create(treeDirectory, treeResources(disk), options);
});

describe('ingested tables', () => {
  it('are read with what was written before and after, also by a tree that is opened again', async () => {
    put(tree, 'a', 1, 'written');
    put(tree, 'b', 1, 'written');
    const one = await foreignTable(disk, 'elsewhere/one', [
      ['b', 5, 'ingested'],
      ['c', 5, 'ingested'],
      ['d', 2, 'old'],
    ]);
    const two = await foreignTable(disk, 'elsewhere/two', [
      ['c', 5, 'of the later table'],
      ['d', 6, undefined],
    ]);
    await tree.ingest([one, two], LogIndex(9));
    expect(tree.appliedIndex).toBe(9);
    expect(tree.durableAppliedIndex).toBe(9);
    put(tree, 'a', 7, 'written later');
    const wanted = [
      ['a', 'written later'],
      ['b', 'ingested'],
      ['c', 'of the later table'],
    ];
    const shown = async (): Promise<unknown> => (await scan(tree)).map(({ key, value }) => [key, value]);
    expect(await shown()).toEqual(wanted);
    expect((await scan(tree, { at: 4 })).map(({ key, value }) => [key, value])).toEqual([
      ['a', 'written'],
      ['b', 'written'],
      ['d', 'old'],
    ]);
    await settled(tree);
    await tree.verify();
    await tree.close();
    tree = await Tree.open(treeDirectory, treeResources(disk), options);
    expect(tree.durableAppliedIndex).toBe(10);
    expect(await shown()).toEqual(wanted);
    await tree.verify();
    await tree.close();
    // They keep the names that they had.
    expect(disk.paths().filter((path) => path.startsWith('/elsewhere/'))).toHaveLength(2);
  });

  it.each([1, 2, 3])('agree with a list of all that was written, under compactions, seed %i', async (seed) => {
    const random = new Prng(seed);
    const newest = new Map<string, { version: number; value: string | undefined }>();
    let version = 1;
    for (let round = 0; round < 60; round++) {
      await tree.writeStall();
      const entries = new Map<string, ForeignEntry>();
      for (let left = random.int(1, 12); left > 0; left--) {
        const key = `key-${random.int(0, 40)}`;
        entries.set(key, [key, ++version, random.chance(0.3) ? undefined : `value ${version}`]);
      }
      for (const [key, at, value] of entries.values()) newest.set(key, { version: at, value });
      if (random.chance(0.4)) {
        const path = await foreignTable(disk, `elsewhere/${round}`, [...entries.values()]);
        await tree.ingest([path], LogIndex(tree.appliedIndex + 1));
      } else {
        for (const [key, at, value] of entries.values()) {
          if (value === undefined) remove(tree, key, at);
          else put(tree, key, at, value);
        }
      }
      if (random.chance(0.3)) tree.setSafePoint(Timestamp(version));
    }
    const wanted = [...newest]
      .filter(([, { value }]) => value !== undefined)
      .map(([key, { version: at, value }]) => ({ key, version: at, value }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    expect(await scan(tree)).toEqual(wanted);
    await settled(tree);
    expect(tree.stats().compactions).toBeGreaterThan(2);
    expect(await scan(tree)).toEqual(wanted);
    await tree.verify();
    await tree.close();
  });

  it('go to the bottom where nothing of their keys is above, and wait in no level for a merge', async () => {
    for (const [round, keys] of ['ab', 'mn', 'yz'].entries()) {
      const path = await foreignTable(
        disk,
        `elsewhere/${round}`,
        [...keys].map((key) => [key, 5, keys]),
      );
      await tree.ingest([path], LogIndex(round + 1));
    }
    expect(tree.stats().levels.map(({ tables }) => tables)).toEqual([0, 0, 0, 0, 0, 0, 3]);
    // Over one of them there is level 0 alone as long as the tree is small.
    await tree.ingest([await foreignTable(disk, 'elsewhere/over', [['n', 9, 'newer']])], LogIndex(4));
    expect(tree.stats().levels.map(({ tables }) => tables)).toEqual([1, 0, 0, 0, 0, 0, 3]);
    expect((await scan(tree)).map(({ key, value }) => key + value).join()).toBe('aab,bab,mmn,nnewer,yyz,zyz');
    await tree.close();
  });

  it('do not get between the keys of a compaction that is under way', async () => {
    const [begun, mayEnd] = [deferred<void>(), deferred<void>()];
    const inline = inlineBackground(disk);
    const background: Background = {
      async run<Input, Output>(job: Job<Input>, signal?: AbortSignal): Promise<Output> {
        if (job.type === compactJobType) {
          begun.resolve();
          await mayEnd.promise;
        }
        return inline.run(job, signal);
      },
    };
    const shape = { ...options, level0TablesCompact: 3 };
    await using other = await Tree.create('node/other', treeResources(disk, { background }), shape);
    for (const [i, key] of ['a', 'a', 'z'].entries()) {
      put(other, key, i + 1, 'value');
      await other.flush();
    }
    await begun.promise;
    await other.ingest([await foreignTable(disk, 'elsewhere/m', [['m', 5, 'value']])], LogIndex(9));
    const whileMerging = other.stats().levels.map(({ tables }) => tables);
    mayEnd.resolve();
    expect(whileMerging).toEqual([4, 0, 0, 0, 0, 0, 0]);
    await settled(other);
    expect(other.failure).toBeUndefined();
    // Merged, as one table: it would have overlapped.
    expect(other.stats().levels.map(({ tables }) => tables)).toEqual([1, 0, 0, 0, 0, 0, 1]);
    expect((await scan(other)).map(({ key }) => key)).toEqual(['a', 'm', 'z']);
    await tree.close();
  });

  it('are those of a checkpoint within its bounds, when its folder is given', async () => {
    const source = await Tree.create('node/source', treeResources(disk), { ...options, level0TablesCompact: 9 });
    for (const key of ['a', 'b', 'c', 'd']) put(source, key, 5, 'first');
    await source.flush();
    put(source, 'c', 5, 'written again');
    source.write(new TreeBatch().deleteRange(utf8('a'), utf8('z'), Timestamp(4)), LogIndex(9));
    await source.checkpoint('elsewhere/checkpoint', { lower: utf8('b'), upper: utf8('d') });
    await source.close();
    const tables = disk.paths().filter((path) => /checkpoint.*\.sst$/.test(path));
    expect(tables).toHaveLength(2);

    const before = ['a', 'b', 'bb', 'x'];
    for (const key of before) put(tree, key, 3, 'here before');
    await tree.ingest(['elsewhere/checkpoint'], LogIndex(9));
    const wanted = ['a here before', 'b first', 'c written again', 'x here before'];
    const shown = async (): Promise<string[]> => (await scan(tree)).map(({ key, value }) => `${key} ${value}`);
    expect(await shown()).toEqual(wanted);
    await settled(tree);
    expect(await shown()).toEqual(wanted);
    await tree.close();
    tree = await Tree.open(treeDirectory, treeResources(disk), options);
    expect(await shown()).toEqual(wanted);
    await tree.verify();

    // By itself a table does not know of bounds.
    await using other = await Tree.create('node/other', treeResources(disk), options);
    await other.ingest(tables, LogIndex(1));
    expect((await scan(other)).map(({ key }) => key)).toEqual(['a', 'b', 'c', 'd']);
    await tree.close();
  });

  it('of a folder are refused when one of them is damaged or missing, or the manifest is', async () => {
    const source = await Tree.create('node/source', treeResources(disk), options);
    put(source, 'a', 5, 'x');
    await source.checkpoint('elsewhere/checkpoint');
    await source.close();
    const files = disk.paths().filter((path) => path.includes('/checkpoint/'));
    expect(files).toHaveLength(3);
    for (const path of files) {
      disk.corrupt(path, 20, 1);
      const error: unknown = await tree
        .ingest(['elsewhere/checkpoint'], LogIndex(9))
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(CorruptionError);
      expect(`/${(error as CorruptionError).file}`).toBe(path);
      disk.corrupt(path, 20, 1);
    }
    const table = files.find((path) => path.endsWith('.sst')) ?? '';
    await disk.remove(table);
    await expect(tree.ingest(['elsewhere/checkpoint'], LogIndex(9))).rejects.toThrow('the table is missing');
    expect(tree.appliedIndex).toBe(0);
    await tree.close();
  });

  it('are refused when any byte of them has flipped, and nothing has happened', async () => {
    put(tree, 'a', 1, 'written');
    const good = await foreignTable(disk, 'elsewhere/good', [['a', 3, 'good']]);
    const path = await foreignTable(disk, 'elsewhere/bad', [
      ['b', 5, 'x'],
      ['c', 5, 'y'.repeat(300)],
    ]);
    const { length } = disk.content(path);
    for (let offset = 0; offset < length; offset++) {
      disk.corrupt(path, offset, 1 << (offset % 8));
      const error: unknown = await tree.ingest([good, path], LogIndex(9)).catch((thrown: unknown) => thrown);
      expect(error, `byte ${offset}`).toBeInstanceOf(CorruptionError);
      expect((error as CorruptionError).file).toBe(path);
      disk.corrupt(path, offset, 1 << (offset % 8));
    }
    for (const size of [0, 10, 63, 64, length - 1]) {
      const cut = `elsewhere/cut-${size}`;
      const file = await disk.open(cut, 'create');
      await file.write(disk.content(path).subarray(0, size), 0);
      await expect(tree.ingest([cut], LogIndex(9))).rejects.toBeInstanceOf(CorruptionError);
    }
    expect(tree.appliedIndex).toBe(1);
    expect((await scan(tree)).map(({ value }) => value)).toEqual(['written']);
    await tree.ingest([good, path], LogIndex(9));
    expect(text((await tree.get(utf8('a'), Timestamp(9)))?.value ?? utf8(''))).toBe('good');
    await tree.close();
  });

  it('are refused with versions that may have been dropped', async () => {
    put(tree, 'a', 1, 'written');
    tree.setSafePoint(Timestamp(5));
    const path = await foreignTable(disk, 'elsewhere/old', [
      ['a', 9, 'new'],
      ['b', 5, 'old'],
    ]);
    await expect(tree.ingest([path], LogIndex(9))).rejects.toThrow(IngestError);
    expect(tree.appliedIndex).toBe(1);
    await tree.close();
  });

  it('are asked for the versions that they have within the bounds of a checkpoint, and for no others', async () => {
    const source = await Tree.create('node/source', treeResources(disk), options);
    put(source, 'a', 5, 'old');
    source.write(new TreeBatch().deleteRange(utf8('b'), utf8('p'), Timestamp(20)), LogIndex(2));
    put(source, 'z', 50, 'new');
    for (const lower of ['a', 'm', 'p']) await source.checkpoint(`elsewhere/${lower}`, { lower: utf8(lower) });
    await source.close();
    put(tree, 'n', 1, 'here before');
    tree.setSafePoint(Timestamp(10));
    await expect(tree.ingest(['elsewhere/a'], LogIndex(9))).rejects.toThrow('it has version 5, which');
    await tree.ingest(['elsewhere/m'], LogIndex(9));
    const wanted = [{ key: 'z', version: 50, value: 'new' }];
    expect(await scan(tree)).toEqual(wanted);
    tree.setSafePoint(Timestamp(20));
    await expect(tree.ingest(['elsewhere/m'], LogIndex(10))).rejects.toThrow('it has version 20, which');
    await tree.ingest(['elsewhere/p'], LogIndex(10));
    await settled(tree);
    expect(await scan(tree)).toEqual(wanted);
    await tree.verify();
    await tree.close();
  });

  it('must be there, be tables or trees, and be on the same file system', async () => {
    const path = await foreignTable(disk, 'elsewhere/one', [['a', 9, 'new']]);
    const refused = async (given: string, reason: string): Promise<void> => {
      const error: unknown = await tree.ingest([path, given], LogIndex(9)).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(IngestError);
      expect((error as IngestError).message).toBe(`${given} cannot be ingested: ${reason}`);
      expect((error as IngestError).file).toBe(given);
    };
    await refused('elsewhere/none', 'there is nothing of that name');
    await refused('elsewhere', 'it is a folder without CURRENT, so that there is no tree in it');
    const other = await foreignTable(disk, 'elsewhere/two', [['b', 9, 'new']]);
    const before = disk.paths();
    let links = 0;
    disk.fault = (operation) => (operation === 'link' && ++links === 2 ? 'otherFileSystem' : undefined);
    await refused(other, 'it is on another file system: copy it to that of the tree first');
    disk.fault = undefined;
    expect([tree.failure, tree.appliedIndex, disk.paths()]).toEqual([undefined, 0, before]);
    await tree.close();
  });

  it('wait as writes do while there are too many tables', async () => {
    const mayMerge = deferred<void>();
    const inline = inlineBackground(disk);
    const background: Background = {
      async run<Input, Output>(job: Job<Input>, signal?: AbortSignal): Promise<Output> {
        if (job.type === compactJobType) await mayMerge.promise;
        return inline.run(job, signal);
      },
    };
    const shape = { ...options, level0TablesCompact: 2, level0TablesStall: 4 };
    await using other = await Tree.create('node/other', treeResources(disk, { background }), shape);
    const path = await foreignTable(disk, 'elsewhere/one', [['a', 9, 'new']]);
    let tablesMost = 0;
    const ingestAll = async (): Promise<void> => {
      for (let index = 1; index <= 20; index++) {
        await other.ingest([path], LogIndex(index));
        tablesMost = Math.max(tablesMost, other.stats().levels[0].tables);
      }
    };
    const all = ingestAll();
    while (other.writeStall() === undefined) await new Promise((resolve) => setImmediate(resolve));
    mayMerge.resolve();
    await all;
    expect([other.appliedIndex, tablesMost]).toEqual([20, 4]);
  });

  it('leave no names when they cannot be linked', async () => {
    const paths = [
      await foreignTable(disk, 'elsewhere/one', [['a', 9, 'new']]),
      await foreignTable(disk, 'elsewhere/two', [['b', 9, 'new']]),
    ];
    const before = disk.paths();
    let links = 0;
    disk.fault = (operation) => (operation === 'link' && ++links === 2 ? 'noSpace' : undefined);
    await expect(tree.ingest(paths, LogIndex(9))).rejects.toMatchObject({ code: 'noSpace' });
    disk.fault = undefined;
    expect(disk.paths()).toEqual(before);
    expect(tree.failure).toBeUndefined();
    await tree.ingest(paths, LogIndex(9));
    expect(await scan(tree)).toHaveLength(2);
    await tree.close();
  });

  it('raise the safe point only when they can be seen', async () => {
    const path = await foreignTable(disk, 'elsewhere/one', [['a', 9, 'new']]);
    const ingesting = tree.ingest([path], LogIndex(9));
    tree.setSafePoint(Timestamp(20));
    expect(() => put(tree, 'a', 30, 'meanwhile')).toThrow('while tables are ingested');
    await ingesting;
    const other = await foreignTable(disk, 'elsewhere/two', [['a', 15, 'too late']]);
    await expect(tree.ingest([other], LogIndex(10))).rejects.toThrow('safe point 20');
    await tree.close();
  });
});
