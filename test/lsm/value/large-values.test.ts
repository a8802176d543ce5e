/** Large values beside the tables of a tree: what it reads, and that their garbage stays bounded. */
import { describe, expect, it, vi } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { LogIndex, Timestamp, timestampMax } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { deferred } from '../../../src/base/promises.js';
import { BlockCache } from '../../../src/lsm/block-cache.js';
import { TreeBatch } from '../../../src/lsm/tree-batch.js';
import { Tree } from '../../../src/lsm/tree.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { newDisk, scan, settled, text, treeDirectory, treeResources } from '../harness.js';

const options = {
  memtableBytesMax: 8000,
  sstableBytesTarget: 2000,
  levelBytesBase: 4000,
  level0TablesCompact: 2,
  largeValueBytesMin: 100,
  compressionLevelMin: 7,
  valueSpaceAmplificationMax: 1.3,
};
const keyCount = 200;

function valueOf(index: number, bytes: number): Uint8Array {
  return new Prng(index).bytes(bytes);
}

async function writeAll(
  tree: Tree,
  count: number,
  keyOf: (n: number) => number,
  bytes: number,
): Promise<Map<string, number>> {
  const newest = new Map<string, number>();
  for (let n = 0; n < count; n++) {
    await tree.writeStall();
    const index = tree.appliedIndex + 1;
    const key = `key-${String(keyOf(n)).padStart(4, '0')}`;
    tree.write(new TreeBatch().put(utf8(key), Timestamp(index), valueOf(index, bytes)), LogIndex(index));
    tree.setSafePoint(Timestamp(index - 1));
    newest.set(key, index);
  }
  await tree.flush();
  await settled(tree);
  return newest;
}

function valueFiles(disk: SimDisk): readonly string[] {
  return disk.paths().filter((path) => path.startsWith(`/${treeDirectory}/`) && path.endsWith('.val'));
}

describe('large values', () => {
  it('are read by gets, scans and after a restart, while uniform overwrites leave at most the garbage allowed', async () => {
    const disk = newDisk();
    const random = new Prng(3);
    const first = await Tree.create(treeDirectory, treeResources(disk), options);
    await writeAll(first, keyCount, (n) => n, 300);
    const newest = await writeAll(first, 8 * keyCount, () => random.int(0, keyCount - 1), 300);
    const { values, spaceAmplification } = first.metrics();
    expect(values.fileBytes).toBeGreaterThan(keyCount * 300);
    expect(values.collectedBytes).toBeGreaterThan(0);
    expect(values.fileBytes / (values.fileBytes - values.garbageBytes)).toBeLessThan(1.4);
    expect(spaceAmplification).toBeLessThan(1.6);
    expect(valueFiles(disk)).toHaveLength(values.files);
    await first.verify();
    await first.close();
    await using tree = await Tree.open(treeDirectory, treeResources(disk), options);
    for (const [key, index] of newest) {
      expect(await tree.get(utf8(key), timestampMax)).toMatchObject({ version: index, value: valueOf(index, 300) });
    }
    const scanned = await scan(tree);
    expect(scanned).toHaveLength(keyCount);
    expect(await scan(tree, { reverse: true })).toEqual(scanned.reverse());
    for (const { key, version } of scanned) expect(version).toBe(newest.get(key) ?? version);
    await tree.verify();
  });

  it('are read to the end though nothing names their file any more', async () => {
    const disk = newDisk();
    await using tree = await Tree.create(treeDirectory, treeResources(disk), options);
    for (const key of ['a', 'k']) {
      tree.write(new TreeBatch().put(utf8(key), Timestamp(1), valueOf(1, 300)), LogIndex(tree.appliedIndex + 1));
    }
    await tree.flush();
    const [file] = valueFiles(disk);
    const [reading, mayRead] = [deferred<void>(), deferred<void>()];
    const open = disk.open.bind(disk);
    vi.spyOn(disk, 'open').mockImplementation(async (path, mode) => {
      const opened = await open(path, mode);
      if (`/${path}` !== file || mode !== 'read') return opened;
      const read = opened.read.bind(opened);
      vi.spyOn(opened, 'read').mockImplementation(async (target, offset) => {
        reading.resolve();
        await mayRead.promise;
        return read(target, offset);
      });
      return opened;
    });
    // Everything but the values is in memory then.
    await tree.get(utf8('b'), timestampMax);
    for await (const { key } of tree.openIterator({ keysOnly: true })) expect(key).toHaveLength(1);
    const got = tree.get(utf8('k'), timestampMax);
    await reading.promise;
    tree.write(new TreeBatch().deleteRange(utf8('a'), utf8('z'), Timestamp(2)), LogIndex(tree.appliedIndex + 1));
    tree.setSafePoint(Timestamp(2));
    await settled(tree);
    expect(tree.stats()).toMatchObject({ valueFiles: 0 });
    expect(valueFiles(disk)).toEqual([file]);
    mayRead.resolve();
    expect(await got).toMatchObject({ version: 1, value: valueOf(1, 300) });
    await settled(tree);
    expect(valueFiles(disk)).toEqual([]);
  });

  it('are compressed if the tables of any level are, when they leave and after they were moved', async () => {
    for (const [compressionLevelMin, isCompressed] of [
      [0, true],
      [1, true],
      [6, true],
      [7, false],
    ] as const) {
      const disk = newDisk();
      await using tree = await Tree.create(treeDirectory, treeResources(disk), { ...options, compressionLevelMin });
      const random = new Prng(4);
      for (let index = 1; index <= 4 * keyCount; index++) {
        await tree.writeStall();
        const key = utf8(`key-${random.int(0, keyCount - 1)}`);
        tree.write(new TreeBatch().put(key, Timestamp(index), new Uint8Array(1000).fill(index)), LogIndex(index));
        tree.setSafePoint(Timestamp(index - 1));
        if (index !== keyCount) continue;
        await tree.flush();
        expect(tree.metrics().values.fileBytes < (keyCount * 1000) / 4).toBe(isCompressed);
      }
      await tree.flush();
      await settled(tree);
      const { values } = tree.metrics();
      expect(values.collectedBytes).toBeGreaterThan(0);
      expect(values.fileBytes < (keyCount * 1000) / 4).toBe(isCompressed);
      await tree.verify();
    }
  });

  it('stay in the tables where they are small, and all do when nothing is said', async () => {
    for (const some of [options, { ...options, largeValueBytesMin: undefined }]) {
      const disk = newDisk();
      const { largeValueBytesMin, ...rest } = some;
      const chosen = largeValueBytesMin === undefined ? rest : { ...rest, largeValueBytesMin };
      await using tree = await Tree.create(treeDirectory, treeResources(disk), chosen);
      await writeAll(tree, 20, (n) => n, largeValueBytesMin === undefined ? 300 : 99);
      expect(valueFiles(disk)).toEqual([]);
      expect(tree.metrics().values).toEqual({ files: 0, fileBytes: 0, garbageBytes: 0, collectedBytes: 0 });
    }
  });

  it('stay readable by an iterator while merges empty their files, which go when it is closed', async () => {
    const disk = newDisk();
    await using tree = await Tree.create(treeDirectory, treeResources(disk), options);
    await writeAll(tree, 50, (n) => n, 300);
    const before = new Set(valueFiles(disk));
    const at = Timestamp(tree.appliedIndex);
    const iterator = tree.openIterator({ lower: utf8(''), at });
    await iterator.next();
    await writeAll(tree, 500, (n) => n % 50, 300);
    let count = 1;
    for (let record = await iterator.next(); record !== undefined; record = await iterator.next()) {
      expect(record.value).toEqual(valueOf(record.version, 300));
      count++;
    }
    expect(count).toBe(50);
    expect(valueFiles(disk).filter((path) => before.has(path))).not.toEqual([]);
    iterator.close();
    await settled(tree);
    await new Promise((resolve) => setImmediate(resolve));
    expect(valueFiles(disk).filter((path) => before.has(path))).toEqual([]);
  });

  it('are not read by iterators over keys alone', async () => {
    const disk = newDisk();
    const resources = treeResources(disk, { blockCache: new BlockCache(0) });
    await using tree = await Tree.create(treeDirectory, resources, options);
    await writeAll(tree, 50, (n) => n, 300);
    let reads = 0;
    disk.fault = (operation, path) => {
      if (path.endsWith('.val') && (operation === 'read' || operation === 'open')) reads++;
      return undefined;
    };
    for (const reverse of [false, true]) {
      const wanted = (await scan(tree, { reverse })).map(({ key, version }) => ({ key, version, value: '' }));
      expect(wanted).toHaveLength(50);
      expect(reads).toBeGreaterThan(0);
      reads = 0;
      const found = [];
      for await (const { key, version, value } of tree.openIterator({ reverse, keysOnly: true })) {
        found.push({ key: text(key), version, value: text(value) });
      }
      expect(found).toEqual(wanted);
      expect(reads).toBe(0);
    }
    // Values in memtables and tables are left out, too.
    tree.write(new TreeBatch().put(utf8('small'), Timestamp(999), utf8('x')), LogIndex(999));
    for await (const { value } of tree.openIterator({ lower: utf8('small'), keysOnly: true })) {
      expect(value).toEqual(utf8(''));
    }
  });

  it('go with a checkpoint, of a part of the keys too', async () => {
    const disk = newDisk();
    await using tree = await Tree.create(treeDirectory, treeResources(disk), options);
    await writeAll(tree, 50, (n) => n, 300);
    await tree.checkpoint('node/part', { lower: utf8('key-0010'), upper: utf8('key-0020') });
    await writeAll(tree, 500, (n) => n % 50, 300);
    await using part = await Tree.open('node/part', treeResources(disk), options);
    await part.verify();
    const records = await scan(part);
    expect(records.map(({ key }) => key)).toEqual(Array.from({ length: 10 }, (_, n) => `key-00${10 + n}`));
  });
});
