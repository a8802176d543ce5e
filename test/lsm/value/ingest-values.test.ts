/** Folders of trees with value files are ingested: those are linked under numbers of the tree that takes them in. */
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { CorruptionError } from '../../../src/base/errors.js';
import { LogIndex, Timestamp } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { IngestError } from '../../../src/lsm/ingest.js';
import { TreeBatch } from '../../../src/lsm/tree-batch.js';
import { Tree } from '../../../src/lsm/tree.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { newDisk, put, scan, settled, treeDirectory, treeResources } from '../harness.js';

const options = {
  memtableBytesMax: 4000,
  blockBytes: 200,
  sstableBytesTarget: 900,
  level0TablesCompact: 2,
  levelBytesBase: 2500,
  largeValueBytesMin: 50,
};
const folder = 'node/checkpoint';

function valueOf(key: string, version: number): string {
  return `${key}@${version} `.repeat(20);
}

function keysFrom(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, n) => `k${String(first + n).padStart(3, '0')}`);
}

function putAll(tree: Tree, keys: readonly string[], version: number): void {
  for (const key of keys) put(tree, key, version, valueOf(key, version));
}

/** A tree of k000 … k039, of which the even ones were written again and k030 … k034 deleted, as a checkpoint of a part. */
async function makeFolder(disk: SimDisk, lower = 'k010', upper: string | undefined = undefined): Promise<void> {
  const source = await Tree.create('node/source', treeResources(disk), options);
  putAll(source, keysFrom(0, 40), 5);
  await source.flush();
  const even = keysFrom(0, 40).filter((_, n) => n % 2 === 0);
  putAll(source, even, 7);
  source.write(
    new TreeBatch().deleteRange(utf8('k030'), utf8('k035'), Timestamp(9)),
    LogIndex(source.appliedIndex + 1),
  );
  await settled(source);
  await source.checkpoint(folder, { lower: utf8(lower), upper: upper === undefined ? undefined : utf8(upper) });
  await source.close();
}

function versionIn(n: number): number {
  return n % 2 === 0 ? 7 : 5;
}

function shown(records: readonly { key: string; version: number; value: string }[]): string[] {
  return records.map(({ key, version, value }) => {
    expect(value).toBe(valueOf(key, version));
    return `${key}@${version}`;
  });
}

function valueFiles(disk: SimDisk, directory: string): readonly string[] {
  return disk.paths().filter((path) => path.startsWith(`/${directory}/`) && path.endsWith('.val'));
}

describe('a folder with value files', () => {
  it('is taken in among the value files that are there, read, collected, and read after a restart', async () => {
    const disk = newDisk();
    await makeFolder(disk, 'k010', 'k038');
    let tree = await Tree.create(treeDirectory, treeResources(disk), options);
    putAll(tree, keysFrom(0, 20), 3);
    putAll(tree, keysFrom(60, 20), 3);
    await settled(tree);
    // The same numbers mean other files here and there.
    const numbers = (directory: string): string[] => valueFiles(disk, directory).map((path) => path.slice(-10));
    expect(numbers(treeDirectory).filter((name) => numbers(folder).includes(name))).not.toEqual([]);

    await tree.ingest([folder], LogIndex(1000));
    const taken = Array.from({ length: 28 }, (_, n) => n + 10).filter((n) => n < 30 || n >= 35);
    const wanted = [
      ...keysFrom(0, 10).map((key) => `${key}@3`),
      ...taken.map((n) => `k0${n}@${versionIn(n)}`),
      ...keysFrom(60, 20).map((key) => `${key}@3`),
    ];
    expect(shown(await scan(tree))).toEqual(wanted);
    await tree.verify();
    const random = new Prng(1);
    const newest = new Map(wanted.map((record) => [record.slice(0, 4), record]));
    for (let version = 10; version < 400; version++) {
      await tree.writeStall();
      const key = random.pick([...newest.keys()]);
      putAll(tree, [key], version);
      tree.setSafePoint(Timestamp(version - 1));
      newest.set(key, `${key}@${version}`);
    }
    await settled(tree);
    expect(tree.metrics().values.collectedBytes).toBeGreaterThan(0);
    const later = [...newest.values()];
    expect(shown(await scan(tree))).toEqual(later);
    await tree.verify();
    expect(valueFiles(disk, treeDirectory)).toHaveLength(tree.stats().valueFiles);
    await tree.close();
    tree = await Tree.open(treeDirectory, treeResources(disk), options);
    expect(shown(await scan(tree))).toEqual(later);
    await tree.close();
    // The folder is as it was.
    await using source = await Tree.open(folder, treeResources(disk), options);
    expect(shown(await scan(source))).toEqual(taken.map((n) => `k0${n}@${versionIn(n)}`));
    await source.verify();
  });

  it('is taken in twice, and with tables that point to nothing', async () => {
    const disk = newDisk();
    await makeFolder(disk);
    const plain = await Tree.create('node/plain', treeResources(disk));
    put(plain, 'z', 5, 'small');
    await plain.checkpoint('node/small');
    await plain.close();
    await using tree = await Tree.create(treeDirectory, treeResources(disk), {
      ...options,
      level0TablesCompact: 20,
      level0TablesStall: 30,
    });
    await tree.ingest([folder, 'node/small', folder], LogIndex(1));
    const records = await scan(tree);
    expect(records.pop()).toEqual({ key: 'z', version: 5, value: 'small' });
    expect(shown(records)).toHaveLength(25);
    await tree.verify();
  });

  it('brings only the value files that what is taken names', async () => {
    const disk = newDisk();
    const source = await Tree.create('node/source', treeResources(disk), { ...options, level0TablesCompact: 9 });
    for (const key of ['a', 'b', 'c']) {
      put(source, key, 5, valueOf(key, 5));
      await source.flush();
    }
    await source.checkpoint(folder, { lower: utf8('b'), upper: utf8('c') });
    await source.close();
    await using tree = await Tree.create(treeDirectory, treeResources(disk), options);
    await tree.ingest([folder], LogIndex(1));
    expect(shown(await scan(tree))).toEqual(['b@5']);
    expect(valueFiles(disk, treeDirectory)).toHaveLength(1);
    expect(tree.metrics().values).toMatchObject({ files: 1, garbageBytes: 0 });
  });

  it('is refused when a byte of a value file has flipped, or one is missing or cut off, and nothing has happened', async () => {
    const disk = newDisk();
    await makeFolder(disk);
    await using tree = await Tree.create(treeDirectory, treeResources(disk), options);
    const before = disk.paths();
    const refused = async (file: string): Promise<void> => {
      const error: unknown = await tree.ingest([folder], LogIndex(9)).catch((thrown: unknown) => thrown);
      expect(error, file).toBeInstanceOf(CorruptionError);
      expect((error as CorruptionError).file).toBe(file);
      expect(disk.paths()).toEqual(before);
      expect(tree.appliedIndex).toBe(0);
    };
    for (const path of valueFiles(disk, folder).map((name) => name.slice(1))) {
      const content = disk.content(path);
      for (let offset = 0; offset < content.length; offset += 37) {
        disk.corrupt(path, offset, 1 << (offset % 8));
        await refused(path);
        disk.corrupt(path, offset, 1 << (offset % 8));
      }
      // The source has the file, too: what is removed here are names.
      await disk.rename(path, 'node/aside');
      const missing: unknown = await tree.ingest([folder], LogIndex(9)).catch((thrown: unknown) => thrown);
      expect(missing).toMatchObject({ name: 'CorruptionError', file: path });
      await disk.rename('node/aside', path);
    }
    await tree.ingest([folder], LogIndex(9));
    expect(shown(await scan(tree))).toHaveLength(25);
  });

  it('leaves nothing when it cannot be taken in, whichever operation fails, and when the tree is closed meanwhile', async () => {
    const start = newDisk();
    await makeFolder(start);
    await (await Tree.create(treeDirectory, treeResources(start), options)).close();
    let failed = 0;
    for (let at = 1, isOver = false; !isOver; at++) {
      const disk = start.clone(new Prng(at));
      const tree = await Tree.open(treeDirectory, treeResources(disk), options);
      const before = disk.paths();
      let count = 0;
      // The edit of the manifest has its own tests: it is waited for.
      disk.fault = (operation, path) =>
        /\.(sst|val)$/.test(path) && ['write', 'link', 'sync'].includes(operation) && ++count === at
          ? 'noSpace'
          : undefined;
      const error: unknown = await tree.ingest([folder], LogIndex(9)).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      isOver = count < at;
      disk.fault = undefined;
      if (error !== undefined) {
        failed++;
        expect(error).toMatchObject({ code: 'noSpace' });
        expect(disk.paths()).toEqual(before);
        expect(tree.failure).toBeUndefined();
        await tree.ingest([folder], LogIndex(9));
      }
      expect(shown(await scan(tree))).toHaveLength(25);
      await tree.close();
    }
    expect(failed).toBeGreaterThan(8);
  });

  it('must be given as a folder: its tables by themselves are refused', async () => {
    const disk = newDisk();
    await makeFolder(disk);
    const table = disk.paths().find((path) => path.startsWith(`/${folder}/`) && path.endsWith('.sst')) ?? '';
    await using tree = await Tree.create(treeDirectory, treeResources(disk), options);
    const refused: unknown = await tree.ingest([table.slice(1)], LogIndex(1)).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(IngestError);
    expect(refused).toMatchObject({
      message: expect.stringContaining('the folder of its tree must be given') as string,
    });
  });
});
