/** What plain JavaScript may hand in: refused where it comes in, and nothing has changed. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { AssertionError } from '../../src/base/assert.js';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { IngestError } from '../../src/lsm/ingest.js';
import { BatchTooLargeError, MemtableBudget } from '../../src/lsm/memtable/memtable-budget.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { treeOptions, type TreeOptions } from '../../src/lsm/tree-options.js';
import { Tree } from '../../src/lsm/tree.js';
import { openTree, type OpenTreeOptions } from '../../src/node/open-tree.js';
import { newDisk, put, scan, text, treeDirectory, treeResources } from './harness.js';

const notWhole = [NaN, 1.5, -1, Infinity, 2 ** 53, '7', undefined] as unknown as Timestamp[];
const notBytes = ['apple', [1, 2], undefined, 7, new ArrayBuffer(3)] as unknown as Uint8Array[];
const [a, b, one] = [utf8('a'), utf8('b'), Timestamp(1)];

it('a batch takes bytes and whole numbers alone, and is as it was', () => {
  const batch = new TreeBatch().put(a, one, b);
  for (const version of notWhole) {
    expect(() => batch.put(a, version, b)).toThrow('the version must be a whole number');
    expect(() => batch.delete(a, version)).toThrow('the version must be a whole number');
    expect(() => batch.deleteRange(a, b, version)).toThrow('the version must be a whole number');
  }
  for (const bytes of notBytes) {
    expect(() => batch.put(bytes, one, b)).toThrow('the key must be a Uint8Array');
    expect(() => batch.put(a, one, bytes)).toThrow('the value must be a Uint8Array');
    expect(() => batch.delete(bytes, one)).toThrow('the key must be a Uint8Array');
    expect(() => batch.deleteRange(bytes, b, one)).toThrow('lower must be a Uint8Array');
    expect(() => batch.deleteRange(a, bytes, one)).toThrow('upper must be a Uint8Array');
  }
  expect([batch.count, batch.bytes, batch.smallestVersion]).toEqual([1, 2, 1]);
});

it('a write takes a TreeBatch alone, and one that throws has changed nothing', async () => {
  const memtableBudget = new MemtableBudget({ bytesMax: 1 << 20, writeBytesMax: 1000 });
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk(), { memtableBudget }));
  put(tree, 'a', 1, 'first');
  const entries = [{ key: utf8('k'), version: one, kind: 'put', value: b }];
  const shaped = { *[Symbol.iterator]() {}, smallestVersion: 1, bytes: 2, count: 1, rangeTombstones: [] };
  for (const wrong of [entries, shaped, [], {}, undefined, 'k', new Map()] as unknown as TreeBatch[]) {
    expect(() => tree.write(wrong, LogIndex(2))).toThrow('the batch must be a TreeBatch');
  }
  const batch = new TreeBatch().put(utf8('k'), one, b);
  expect(() => tree.write(batch, LogIndex(1))).toThrow('applied index 1 after 1');
  const large = new TreeBatch().put(utf8('k'), one, b).put(utf8('l'), one, new Uint8Array(1000));
  expect(() => tree.write(large, LogIndex(2))).toThrow(BatchTooLargeError);
  expect(tree.appliedIndex).toBe(1);
  expect(await scan(tree)).toEqual([{ key: 'a', version: 1, value: 'first' }]);
  put(tree, 'b', 2, 'second');
  expect(await scan(tree)).toHaveLength(2);
});

it('a tree refuses indexes that are none, and writes at or below its safe point', async () => {
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
  put(tree, 'a', 0, 'zero');
  put(tree, 'a', 5, 'five');
  for (const index of notWhole as number[] as LogIndex[]) {
    expect(() => tree.write(new TreeBatch().put(a, one, b), index)).toThrow('the applied index must be a whole number');
  }
  for (const version of notWhole) expect(() => tree.setSafePoint(version)).toThrow('the safe point must be a whole');
  tree.setSafePoint(Timestamp(6));
  for (const version of [Timestamp(5), Timestamp(6)]) {
    const message = `version ${version} is not above the safe point 6`;
    expect(() => tree.write(new TreeBatch().put(b, Timestamp(9), b).delete(a, version), LogIndex(3))).toThrow(message);
    expect(() => tree.write(new TreeBatch().deleteRange(a, b, version), LogIndex(3))).toThrow(message);
  }
  expect(tree.appliedIndex).toBe(2);
  await tree.flush();
  tree.write(new TreeBatch(), LogIndex(3));
  put(tree, 'a', 7, 'seven');
  await tree.flush();
  expect(await scan(tree)).toEqual([{ key: 'a', version: 7, value: 'seven' }]);
});

it('an ingestion takes a list of paths and a whole number above the last one, and the tree goes on', async () => {
  const disk = newDisk();
  const source = await Tree.create('source', treeResources(disk));
  put(source, 'a', 5, 'five');
  await source.flush();
  await source.close();
  await using tree = await Tree.create(treeDirectory, treeResources(disk));
  put(tree, 'b', 1, 'one');
  for (const index of notWhole as number[] as LogIndex[]) {
    await expect(tree.ingest(['source'], index)).rejects.toThrow('the applied index must be a whole number');
  }
  await expect(tree.ingest(['source'], LogIndex(1))).rejects.toThrow('applied index 1 after 1');
  for (const paths of ['source', undefined, null, 7, new Set(['source'])] as unknown as string[][]) {
    await expect(tree.ingest(paths, LogIndex(2))).rejects.toThrow('the paths must be an array');
  }
  for (const path of [undefined, null, 7, '', ['source']] as unknown as string[]) {
    await expect(tree.ingest(['source', path], LogIndex(2))).rejects.toThrow('a path must be a string');
  }
  for (const own of [treeDirectory, `./${treeDirectory}/`, `node/../${treeDirectory}`, `${treeDirectory}/000001.sst`]) {
    await expect(tree.ingest(['source', own], LogIndex(2))).rejects.toThrow(IngestError);
  }
  expect([tree.failure, tree.appliedIndex]).toEqual([undefined, 1]);
  await tree.ingest(['source'], LogIndex(2));
  put(tree, 'c', 9, 'nine');
  expect((await scan(tree)).map(({ key }) => key)).toEqual(['a', 'b', 'c']);
});

it('reads take bytes and whole numbers alone', async () => {
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
  for (const at of notWhole) {
    expect(() => tree.get(a, at)).toThrow('at must be a whole number');
    expect(() => tree.getMany([a], at)).toThrow('at must be a whole number');
    if (at !== undefined) expect(() => tree.openIterator({ at })).toThrow('at must be a whole number');
  }
  for (const bytes of notBytes) {
    expect(() => tree.get(bytes, one)).toThrow('the key must be a Uint8Array');
    expect(() => tree.getMany([a, bytes], one)).toThrow('a key must be a Uint8Array');
    if (bytes === undefined) continue;
    expect(() => tree.openIterator({ lower: bytes })).toThrow('lower must be a Uint8Array');
    expect(() => tree.openVersionIterator({ upper: bytes })).toThrow('upper must be a Uint8Array');
  }
  expect(() => tree.openIterator({ reverse: 'no' as unknown as boolean })).toThrow('reverse must be true or false');
  const misspelt = { lower: a, reversed: true } as object;
  expect(() => tree.openIterator(misspelt)).toThrow('there is no option reversed');
  expect(() => tree.openVersionIterator({ reverse: true } as object)).toThrow('there is no option reverse');
  await expect(tree.checkpoint('node/copy', { from: a } as object)).rejects.toThrow('there is no option from');
  await expect(tree.checkpoint('node/copy', { lower: 'a' } as object)).rejects.toThrow('lower must be a Uint8Array');
  for (const directory of [undefined, null, 7, '', ['node/copy']] as unknown as string[]) {
    await expect(tree.checkpoint(directory)).rejects.toThrow('the directory must be a string');
    await expect(openTree(directory)).rejects.toThrow('the directory must be a string');
  }
  expect(tree.openIterator({ lower: a, upper: undefined, reverse: true }).close()).toBeUndefined();
});

it('an iterator without options gives the newest versions of all keys, ascending', async () => {
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
  put(tree, 'b', 1, 'old');
  put(tree, 'b', 3, 'new');
  put(tree, 'a', 2, 'first');
  const iterator = tree.openIterator();
  const records = [await iterator.next(), await iterator.next(), await iterator.next()];
  iterator.close();
  expect(records.map((record) => record && text(record.value))).toEqual(['first', 'new', undefined]);
  const versions = tree.openVersionIterator();
  expect(await versions.next()).toMatchObject({ key: a, version: 2 });
  versions.close();
});

it('options are known by name and type, and undefined stands for a default', () => {
  const { blockBytes } = treeOptions({});
  expect(treeOptions({ blockBytes: undefined } as unknown as Partial<TreeOptions>).blockBytes).toBe(blockBytes);
  expect(() => treeOptions({ blockByte: 1 } as Partial<TreeOptions>)).toThrow('there is no option blockByte');
  expect(() => treeOptions({ toString: 1 } as unknown as TreeOptions)).toThrow('there is no option toString');
  for (const wrong of ['8192', NaN, Infinity, null, true]) {
    const options = { blockBytes: wrong } as unknown as Partial<TreeOptions>;
    expect(() => treeOptions(options)).toThrow('blockBytes must be a number');
  }
  expect(() => treeOptions({ blockBytes: 0 })).toThrow('blockBytes must be at least 1');
  expect(() => treeOptions({ levelBytesMultiplier: 1 })).toThrow('levelBytesMultiplier must be at least 2, got 1');
});

it('counts are whole, ratios need not be, and no option is more than what can work', () => {
  const counts = Object.keys(treeOptions({})) as (keyof TreeOptions)[];
  const ratios = ['valueSpaceAmplificationMax', 'bloomBitsPerKey', 'levelBytesMultiplier'];
  for (const name of counts) {
    const options = (): TreeOptions => treeOptions({ noSpaceRetryMsMin: 1, level0TablesCompact: 1, [name]: 2.5 });
    if (ratios.includes(name)) expect(options()[name]).toBe(2.5);
    else expect(options).toThrow(`${name} must be a whole number, got 2.5`);
  }
  const most: Partial<TreeOptions> = {
    memtableBytesMax: 2 ** 30,
    blockBytes: 2 ** 24,
    bloomBitsPerKey: 64,
    compressionLevelMin: 7,
    sstableBytesTarget: 2 ** 30,
    noSpaceRetryMsMax: 2 ** 31 - 1,
    sealedMemtablesMax: Number.MAX_SAFE_INTEGER,
  };
  expect(treeOptions(most)).toMatchObject(most);
  for (const [name, max] of Object.entries(most)) {
    expect(() => treeOptions({ [name]: max + 1 })).toThrow(`${name} must be at most ${max}, got ${max + 1}`);
  }
});

it('options, bounds and lists of keys are what they are called', async () => {
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
  for (const wrong of [null, [], 7, 'abc'] as unknown as object[]) {
    expect(() => tree.openIterator(wrong)).toThrow('the options must be an object, got');
    expect(() => tree.openVersionIterator(wrong)).toThrow('the options must be an object, got');
    await expect(tree.checkpoint('node/copy', wrong)).rejects.toThrow('the options must be an object, got');
    await expect(openTree('nowhere', wrong)).rejects.toThrow('the options must be an object, got');
  }
  for (const wrong of [null, undefined, 'abc', new Set([a])] as unknown as Uint8Array[][]) {
    expect(() => tree.getMany(wrong, one)).toThrow('the keys must be an array, got');
  }
});

it('a folder is not touched for options that are wrong', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'quorate-arguments-'));
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  const wrong: unknown[] = [
    { memtableBytesMaxx: 7 },
    { memtableBytesMax: '1000000' },
    { blockCacheBytesMax: NaN },
    { rowCacheBytesMax: -1 },
    { memtablesBytesMax: 1 << 20 },
    { openTablesMax: 0 },
    { backgroundThreads: 0 },
    { compactionBytesPerSecondMax: 0 },
    { blockCacheBytesMax: 0.5 },
    { rowCacheBytesMax: 2 ** 33 },
    { memtablesBytesMax: 2 ** 27 + 0.5 },
    { openTablesMax: 1.5 },
    { openTablesMax: 1e9 },
    { backgroundThreads: 1.5 },
    { backgroundThreads: 257 },
    { compactionBytesPerSecondMax: 1e6 + 0.5 },
    { largeValueBytesMin: 1.5 },
    { bloomBitsPerKey: 1e9 },
    { logger: { warn: () => undefined } },
  ];
  for (const options of wrong) {
    await expect(openTree(join(parent, 'data'), options as OpenTreeOptions)).rejects.toThrow(AssertionError);
  }
  expect(readdirSync(parent)).toEqual([]);
});

it('an iterator in a loop is closed however the loop is left', async () => {
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
  put(tree, 'a', 1, 'first');
  put(tree, 'b', 2, 'second');
  const [whole, part] = [tree.openIterator(), tree.openIterator()];
  const values: string[] = [];
  for await (const { value } of whole) values.push(text(value));
  for await (const { value } of part) {
    values.push(text(value));
    break;
  }
  expect(values).toEqual(['first', 'second', 'first']);
  for (const iterator of [whole, part]) expect(() => iterator.next()).toThrow('next of an iterator that is closed');
});
