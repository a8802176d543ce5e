/** What a raised safe point makes garbage goes by itself, when nobody writes or reads any more; and nothing else goes. */
import { expect, it, vi } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { deferred } from '../../src/base/promises.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, put, remove, scan, settled, treeDirectory, treeResources } from './harness.js';

const options = { level0TablesCompact: 2, sstableBytesTarget: 300, blockBytes: 100, largeValueBytesMin: 50 };
const keys = 20;
const versions = 4;
const keyOf = (n: number): string => `k${String(n).padStart(2, '0')}`;
const valueOf = (n: number, version: number): string => `${version} of ${n} `.repeat(n % 3 === 0 ? 10 : 1);

/** Two flushes and their merge; the second half of the keys has one version. */
async function tree(): Promise<Tree> {
  const made = await Tree.create(treeDirectory, treeResources(newDisk()), options);
  for (let version = 1; version <= versions; version++) {
    for (let n = 0; n < (version === 1 ? keys : keys / 2); n++) put(made, keyOf(n), version, valueOf(n, version));
    if (version % 2 === 0) await made.flush();
  }
  await settled(made);
  return made;
}

const entriesOf = (of: Tree): number => of.metrics().levels.reduce((sum, level) => sum + level.entries, 0);
const valueFileBytesOf = (of: Tree): number => of.metrics().values.fileBytes;

it('old versions go, with their values, where they are many', async () => {
  await using made = await tree();
  expect(entriesOf(made)).toBe(keys + ((versions - 1) * keys) / 2);
  const valueFileBytes = valueFileBytesOf(made);
  made.setSafePoint(Timestamp(versions - 1));
  await settled(made);
  expect(entriesOf(made)).toBe(keys + ((versions - 1) * keys) / 2);
  const { compactions } = made.stats();
  made.setSafePoint(Timestamp(versions));
  await settled(made);
  expect(entriesOf(made)).toBe(keys);
  expect(valueFileBytesOf(made)).toBeLessThan(0.6 * valueFileBytes);
  // Those with one version of each key are not written again.
  const { compactions: after, levels } = made.stats();
  expect(after - compactions).toBeLessThan(levels[6].tables + 3);
  const expected = Array.from({ length: keys }, (_, n) => {
    const version = n < keys / 2 ? versions : 1;
    return { key: keyOf(n), version, value: valueOf(n, version) };
  });
  expect(await scan(made)).toEqual(expected);
  await made.verify();
});

it('what deleted ranges hide goes, and they with it', async () => {
  await using made = await tree();
  made.write(
    new TreeBatch().deleteRange(utf8('k'), utf8('l'), Timestamp(versions + 1)),
    LogIndex(made.appliedIndex + 1),
  );
  await settled(made);
  expect(entriesOf(made)).toBeGreaterThan(keys);
  made.setSafePoint(Timestamp(versions));
  await settled(made);
  expect(await scan(made, { at: versions })).toHaveLength(keys);
  made.setSafePoint(Timestamp(versions + 1));
  await settled(made);
  expect(made.stats()).toMatchObject({ valueFiles: 0 });
  expect(made.stats().levels.reduce((sum, level) => sum + level.tables, 0)).toBe(0);
  expect(await scan(made)).toEqual([]);
});

it('ingested tables are hidden by a tombstone that a safe point, raised before they can be seen, would let go', async () => {
  const disk = newDisk();
  const source = await Tree.create('source', treeResources(disk));
  put(source, 'k', 5, 'between');
  await source.flush();
  await source.close();
  const tree = await Tree.create(treeDirectory, treeResources(disk), { level0TablesCompact: 2 });
  put(tree, 'k', 3, 'first');
  remove(tree, 'k', 10);
  await tree.flush();
  put(tree, 'j', 11, 'beside it');
  await settled(tree);
  expect(tree.stats().levels[6].tables).toBe(2);
  // Checked, and not in the tree yet.
  const [linking, mayLink] = [deferred<void>(), deferred<void>()];
  const link = disk.link.bind(disk);
  const linked = vi.spyOn(disk, 'link').mockImplementation(async (from, to) => {
    linking.resolve();
    await mayLink.promise;
    await link(from, to);
  });
  const ingesting = tree.ingest(['source'], LogIndex(20));
  await linking.promise;
  tree.setSafePoint(Timestamp(15));
  await settled(tree);
  mayLink.resolve();
  await ingesting;
  linked.mockRestore();
  await settled(tree);
  expect((await scan(tree)).map(({ key }) => key)).toEqual(['j']);
  expect((await tree.get(utf8('k'), Timestamp(15)))?.kind ?? 'delete').toBe('delete');
  await tree.close();
});
