/** Values that follow each other in value files are read several at a time by those who walk over them, and by nobody else. */
import { expect, it, vi } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { CorruptionError } from '../../../src/base/errors.js';
import { LogIndex, Timestamp, timestampMax } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { BlockCache } from '../../../src/lsm/block-cache.js';
import { RowCache } from '../../../src/lsm/row-cache.js';
import { TreeBatch } from '../../../src/lsm/tree-batch.js';
import { Tree } from '../../../src/lsm/tree.js';
import { newDisk, treeDirectory, treeResources } from '../harness.js';

const valueBytes = 4096;
const count = 1000;
const options = {
  largeValueBytesMin: valueBytes,
  memtableBytesMax: 64 << 20,
  level0TablesCompact: 100,
  level0TablesStall: 101,
  compressionLevelMin: 7,
};

const keyOf = (n: number): Uint8Array => utf8(`key-${String(n).padStart(5, '0')}`);

/** A tree in whose flushes the keys take turns, and the bytes of each read of a value file from here on. */
async function setUp(flushes: number, { prompt = false, cacheBytes = 0, bytes = valueBytes, keys = count } = {}) {
  const disk = newDisk();
  const random = new Prng(3);
  const values = Array.from({ length: keys }, () => random.bytes(bytes));
  const tree = await Tree.create(treeDirectory, treeResources(disk), options);
  for (let flush = 0; flush < flushes; flush++) {
    const batch = new TreeBatch();
    for (let n = flush; n < keys; n += flushes) batch.put(keyOf(n), Timestamp(flush + 1), values[n]);
    tree.write(batch, LogIndex(flush + 1));
    await tree.flush();
  }
  await tree.close();
  const reads: number[] = [];
  const open = disk.open.bind(disk);
  vi.spyOn(disk, 'open').mockImplementation(async (path, mode) => {
    const file = await open(path, mode);
    if (!path.endsWith('.val')) return file;
    const [read, readNow] = [file.read.bind(file), file.readNow.bind(file)];
    vi.spyOn(file, 'read').mockImplementation((target, offset) => {
      reads.push(target.length);
      return read(target, offset);
    });
    vi.spyOn(file, 'readNow').mockImplementation((target, offset) => {
      const got = prompt ? readNow(target, offset) : undefined;
      if (got !== undefined) reads.push(target.length);
      return got;
    });
    return file;
  });
  const resources = treeResources(disk, { blockCache: new BlockCache(cacheBytes), rowCache: new RowCache(0) });
  const reopened = await Tree.open(treeDirectory, resources, options);
  return { disk, tree: reopened, values, reads };
}

async function walk(
  tree: Tree,
  walked: { reverse?: boolean; lower?: Uint8Array; most?: number },
): Promise<Uint8Array[]> {
  const { most = Infinity, ...bounds } = walked;
  const iterator = tree.openIterator(bounds);
  const values: Uint8Array[] = [];
  while (values.length < most) {
    const record = await iterator.next();
    if (record === undefined) break;
    values.push(record.value);
  }
  iterator.close();
  return values;
}

it.each([
  { flushes: 1, reverse: false, prompt: false },
  { flushes: 1, reverse: true, prompt: false },
  { flushes: 8, reverse: false, prompt: true },
  { flushes: 8, reverse: true, prompt: false },
])(
  'a scan reads the values of $flushes flushes by few reads, reverse $reverse',
  async ({ flushes, reverse, prompt }) => {
    const { tree, values, reads } = await setUp(flushes, { prompt });
    const got = await walk(tree, { reverse });
    if (reverse) got.reverse();
    expect(got).toHaveLength(count);
    expect(got.every((value, n) => Buffer.compare(value, values[n]) === 0)).toBe(true);
    // 64 KiB have 15 of them whole; the first ones of each file are read by themselves or in less.
    expect(reads.length).toBeLessThan(count / 14 + 5 * flushes);
    // A window of 64 KiB has some of the value that the one before it cut off.
    expect(Math.max(...reads)).toBeLessThanOrEqual(64 * 1024);
    expect(Math.max(...reads)).toBeGreaterThan(60 * 1024);
    expect(reads.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(1.001 * count * (valueBytes + 9));
    // Who keeps a value keeps no window.
    expect(got.every(({ buffer }) => buffer.byteLength <= valueBytes + 1)).toBe(true);
    const versions = tree.openVersionIterator();
    const before = reads.length;
    for await (const { value } of versions) expect(value).toHaveLength(valueBytes);
    expect(reads.length - before).toBeLessThan(count / 14 + 5 * flushes);
    await tree.close();
  },
);

it.each([
  { bytes: 34_000, reverse: false },
  { bytes: 34_000, reverse: true },
  { bytes: 100_000, reverse: false },
  { bytes: 100_000, reverse: true },
])('values of $bytes bytes are read once and by themselves, reverse $reverse', async ({ bytes, reverse }) => {
  const { tree, values, reads } = await setUp(2, { bytes, keys: 20 });
  const got = await walk(tree, { reverse });
  if (reverse) got.reverse();
  expect(got.map((value, n) => Buffer.compare(value, values[n]))).toEqual(values.map(() => 0));
  expect(reads).toEqual(values.map(() => bytes + 1));
  // No window was made for them, and no copy out of one.
  expect(got.map(({ buffer }) => buffer.byteLength)).toEqual(values.map(() => bytes + 1));
  await tree.close();
});

it.each([
  { bytes: 9000, reverse: false, prompt: false },
  { bytes: 22_000, reverse: false, prompt: true },
  { bytes: 22_000, reverse: true, prompt: false },
  { bytes: 32_000, reverse: false, prompt: false },
  { bytes: 32_000, reverse: true, prompt: true },
])('values of $bytes bytes, which windows cut off, are read once, reverse $reverse', async (drawn) => {
  const { reverse, bytes } = drawn;
  const keys = 60;
  const { tree, values, reads } = await setUp(2, { ...drawn, keys });
  const got = await walk(tree, { reverse });
  if (reverse) got.reverse();
  expect(got.map((value, n) => Buffer.compare(value, values[n]))).toEqual(values.map(() => 0));
  expect(reads.reduce((sum, read) => sum + read, 0)).toBeLessThan(1.001 * keys * (bytes + 9));
  await tree.close();
});

it('what is read in vain is little: by gets, by scans that end soon, and where values do not follow each other', async () => {
  const { tree, reads } = await setUp(1);
  await tree.get(keyOf(500), timestampMax);
  expect(reads).toEqual([valueBytes + 1]);
  await walk(tree, { lower: keyOf(300), most: 2 });
  expect(reads.slice(1)).toEqual([valueBytes + 1, 16 * 1024]);
  await tree.close();

  // Each flush has one key of 40: more files than are remembered.
  const many = await setUp(40);
  expect(await walk(many.tree, {})).toHaveLength(count);
  expect(many.reads).toEqual(Array.from({ length: count }, () => valueBytes + 1));
  await many.tree.close();
});

it('damage is found wherever it is, and where a file ends too soon', async () => {
  const { disk, tree } = await setUp(1);
  const [path] = disk.paths().filter((name) => name.endsWith('.val'));
  const file = await disk.open(path, 'readWrite');
  await file.write(utf8('damage'), 2_000_000);
  await expect(walk(tree, {})).rejects.toThrow(CorruptionError);
  await file.truncate(1_000_000);
  await expect(walk(tree, {})).rejects.toThrow(CorruptionError);
  await file.close();
  await tree.close();
});

it('a verification reads the values once, and what is in front of each', async () => {
  const { tree, reads } = await setUp(1);
  await tree.verify();
  const heads = reads.filter((bytes) => bytes === 16);
  expect(heads).toHaveLength(count);
  expect(reads.filter((bytes) => bytes > 100).reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(
    1.01 * count * (valueBytes + 9),
  );
  await tree.close();
});

it('values are kept as blocks are, by those who walk and those who ask for one', async () => {
  const cacheBytes = 2 * count * valueBytes;
  const { tree, values, reads } = await setUp(1, { cacheBytes });
  await walk(tree, {});
  const { length } = reads;
  const got = await walk(tree, { reverse: true });
  expect(got.every((value, n) => Buffer.compare(value, values[count - 1 - n]) === 0)).toBe(true);
  for (const n of [0, 7, count - 1]) expect((await tree.get(keyOf(n), timestampMax))?.value).toEqual(values[n]);
  expect(reads).toHaveLength(length);
  await tree.close();

  // Of what does not fit, what is asked for again soon.
  const small = await setUp(1, { cacheBytes: 100 * valueBytes });
  await walk(small.tree, {});
  for (let time = 0; time < 3; time++) await small.tree.get(keyOf(900), timestampMax);
  const before = small.reads.length;
  expect((await small.tree.get(keyOf(900), timestampMax))?.value).toEqual(small.values[900]);
  expect(small.reads).toHaveLength(before);
  expect(small.tree.metrics().blockCache.bytes).toBeLessThanOrEqual(100 * valueBytes);
  await small.tree.close();
});
