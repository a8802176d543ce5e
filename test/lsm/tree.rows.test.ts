/** Gets of a few hot keys through the row cache, against all that was written. */
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { RowCache } from '../../src/lsm/row-cache.js';
import { SstableWriter } from '../../src/lsm/sstable/sstable-writer.js';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, put, remove, text, treeDirectory, treeResources } from './harness.js';

const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
const options = { memtableBytesMax: 600, blockBytes: 100, level0TablesCompact: 2, levelBytesBase: 2000 };

interface Written {
  readonly key: string;
  readonly version: number;
  readonly value: string | undefined;
}

describe('hot keys', () => {
  it.each([1, 2, 3, 4])('are never answered with what is not theirs any more, seed %i', async (seed) => {
    const random = new Prng(seed);
    const disk = newDisk(seed);
    const resources = treeResources(disk, { rowCache: new RowCache(random.pick([2000, 100_000])) });
    let tree = await Tree.create(treeDirectory, resources, options);
    const written: Written[] = [];
    let version = 1;
    let hits = 0;
    const expected = (key: string, at: number): string | undefined =>
      written
        .filter((entry) => entry.key === key && entry.version <= at)
        .reduce<Written | undefined>(
          (best, entry) => (best !== undefined && best.version > entry.version ? best : entry),
          undefined,
        )?.value;

    for (let step = 0; step < 3000; step++) {
      const key = random.pick(keys);
      const drawn = random.float();
      if (drawn < 0.12) {
        await tree.writeStall();
        // Newer, the same version again, or older.
        if (random.chance(0.7)) version++;
        const at = random.chance(0.8) ? version : random.int(1, version);
        const value = random.chance(0.25) ? undefined : `value ${step}`;
        written.push({ key, version: at, value });
        if (value === undefined) remove(tree, key, at);
        else put(tree, key, at, value);
      } else if (drawn < 0.13) {
        await tree.flush();
      } else if (drawn < 0.135) {
        const value = `ingested ${step}`;
        written.push({ key, version: ++version, value });
        const path = `node/${step}.foreign`;
        const tableOptions = { blockBytes: 100, bloomBitsPerKey: 10, compression: 'none' } as const;
        const writer = await SstableWriter.create(disk, path, 1, tableOptions);
        await writer.add(utf8(key), version, 'put', utf8(value));
        await writer.finish();
        await tree.ingest([path], LogIndex(tree.appliedIndex + 1));
      } else if (drawn < 0.137) {
        await tree.flush();
        hits += tree.metrics().rowCache.hits;
        await tree.close();
        tree = await Tree.open(treeDirectory, resources, options);
      } else {
        const at = random.chance(0.8) ? version + random.int(0, 2) : random.int(0, version);
        const found = await tree.get(utf8(key), Timestamp(at));
        const value = found?.kind === 'put' ? text(found.value) : undefined;
        expect(value, `step ${step}: ${key} at ${at}`).toBe(expected(key, at));
      }
    }
    hits += tree.metrics().rowCache.hits;
    expect(hits).toBeGreaterThan(100);
    await tree.close();
    expect(resources.rowCache.bytes).toBe(0);
  });

  it('are not remembered as they were found when they have been written since', async () => {
    const resources = treeResources(newDisk(), { rowCache: new RowCache(100_000) });
    const many = Array.from({ length: 40 }, (_, i) => `key ${i}`);
    const made = await Tree.create(treeDirectory, resources);
    for (const key of many) put(made, key, 1, 'old');
    await made.flush();
    // Kept are keys that are found at once, twice; so much for the first time.
    for (let i = 0; i < 2; i++) await made.getMany(many.map(utf8), Timestamp(9));
    await made.close();
    await using tree = await Tree.open(treeDirectory, resources);
    // The table has to be opened for the first keys; the rest are found at once when it is, and by then they are written.
    const found = tree.getMany(many.map(utf8), Timestamp(9));
    expect(found).toBeInstanceOf(Promise);
    for (const key of many) put(tree, key, 2, 'new');
    expect((await found).map((one) => one?.version)).toEqual(many.map(() => 1));
    for (const key of many) expect((await tree.get(utf8(key), Timestamp(9)))?.version, key).toBe(2);
  });

  it('are not remembered by reads below the version of what was ingested', async () => {
    const disk = newDisk();
    const resources = treeResources(disk, { rowCache: new RowCache(100_000) });
    const other = await Tree.create('node/other', resources);
    put(other, 'a', 50, 'ingested');
    await other.flush();
    await other.close();
    await using tree = await Tree.create(treeDirectory, resources);
    put(tree, 'a', 1, 'old');
    await tree.flush();
    await tree.ingest(['node/other'], LogIndex(2));
    for (let i = 0; i < 4; i++) expect((await tree.get(utf8('a'), Timestamp(10)))?.version).toBe(1);
    expect((await tree.get(utf8('a'), Timestamp(60)))?.version).toBe(50);
  });
});
