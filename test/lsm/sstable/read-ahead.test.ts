import { afterEach, describe, expect, it, vi } from 'vitest';
import { compareBytes, utf8 } from '../../../src/base/bytes.js';
import { CorruptionError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { BlockCache } from '../../../src/lsm/block-cache.js';
import type { Compression } from '../../../src/lsm/sstable/compression.js';
import { OpenFiles } from '../../../src/lsm/sstable/open-files.js';
import { SstableIterator } from '../../../src/lsm/sstable/sstable-iterator.js';
import { SstableReader } from '../../../src/lsm/sstable/sstable-reader.js';
import { newReadCounters } from '../../../src/lsm/sstable/sstable-resources.js';
import { SstableWriter } from '../../../src/lsm/sstable/sstable-writer.js';
import { newDisk, text } from '../harness.js';

const keyOf = (i: number): Uint8Array => utf8(`key-${String(i).padStart(6, '0')}`);
const blockBytes = 1000;
/** Three to a block. */
const valueBytes = 300;
const entries = 3000;

afterEach(() => void vi.restoreAllMocks());

/** A table, and what is read of its file from here on: bytes at a time. */
async function table({
  isPrompt = false,
  cacheBytes = 0,
  compression = 'none',
}: { isPrompt?: boolean; cacheBytes?: number; compression?: Compression } = {}) {
  const disk = newDisk();
  const random = new Prng(7);
  const writer = await SstableWriter.create(disk, 'table', 1, { blockBytes, bloomBitsPerKey: 10, compression });
  for (let i = 0; i < entries; i++) await writer.add(keyOf(i), 1, 'put', random.bytes(valueBytes));
  const metadata = await writer.finish();
  const reads: number[] = [];
  const open = disk.open.bind(disk);
  vi.spyOn(disk, 'open').mockImplementation(async (path, mode) => {
    const file = await open(path, mode);
    const read = file.read.bind(file);
    vi.spyOn(file, 'read').mockImplementation((target, offset) => {
      reads.push(target.length);
      return read(target, offset);
    });
    const readNow = file.readNow.bind(file);
    vi.spyOn(file, 'readNow').mockImplementation((target, offset) => {
      const got = isPrompt ? readNow(target, offset) : undefined;
      if (got !== undefined) reads.push(target.length);
      return got;
    });
    return file;
  });
  const cache = new BlockCache(cacheBytes);
  const resources = { disk, cache: cache.partition(), openFiles: new OpenFiles(10), counters: newReadCounters() };
  const reader = new SstableReader('table', metadata, resources);
  // Footer and index.
  await collect(reader, { count: 1 });
  reads.length = 0;
  return { disk, reader, reads, cache, metadata };
}

async function collect(
  reader: SstableReader,
  { reverse = false, lower = utf8(''), count = Infinity }: { reverse?: boolean; lower?: Uint8Array; count?: number },
): Promise<Uint8Array[]> {
  const iterator = new SstableIterator(reader, { lower, upper: undefined }, reverse);
  const keys: Uint8Array[] = [];
  for (await iterator.start(); iterator.valid && keys.length < count; await iterator.advance()) keys.push(iterator.key);
  return keys;
}

describe.each([false, true])('reading ahead, reverse %s', (reverse) => {
  it.each([false, true])(
    'gives all entries by few reads, whose size grows, of a disk that is prompt: %s',
    async (isPrompt) => {
      const { reader, reads, metadata } = await table({ isPrompt });
      const keys = await collect(reader, { reverse });
      expect(keys).toHaveLength(entries);
      expect(keys.every((key, i) => compareBytes(key, keyOf(reverse ? entries - 1 - i : i)) === 0)).toBe(true);
      // A few single blocks come first, and the index with them; the simulated disk refuses some of the prompt reads.
      expect(reads.length).toBeLessThan(isPrompt ? 30 : 12);
      // A window has some of the block that the one before it cut off.
      expect(Math.max(...reads)).toBeLessThanOrEqual(256 * 1024);
      expect(Math.max(...reads)).toBeGreaterThan(250 * 1024);
      expect(reads.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(1.02 * metadata.bytes);
    },
  );

  it('reads no more than is wanted where an iterator ends soon', async () => {
    const { reader, reads } = await table();
    await collect(reader, { reverse, count: 5 });
    const [, ...blocks] = reads;
    expect(blocks).toHaveLength(2);
    expect(Math.max(...blocks)).toBeLessThan(2 * blockBytes);
  });

  it('checks every block', async () => {
    const { disk, reader } = await table();
    const file = await disk.open('table', 'readWrite');
    await file.write(utf8('damage'), 500_000);
    await file.close();
    const failed: unknown = await collect(reader, { reverse }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CorruptionError);
    const { offset } = failed as CorruptionError;
    expect(offset).toBeGreaterThan(500_000 - 2 * blockBytes);
    expect(offset).toBeLessThan(500_006);
  });

  it('says where a file ends that is too short', async () => {
    const { disk, reader } = await table();
    const file = await disk.open('table', 'readWrite');
    await file.truncate(500_000);
    await file.close();
    await expect(collect(reader, { reverse })).rejects.toThrow(/it ends after/);
  });
});

it('leaves in the cache what gets have gathered, and what it hands out keeps no window', async () => {
  const { reader, cache } = await table({ cacheBytes: 50_000 });
  const hot = { lower: keyOf(1500), count: 30 };
  for (let i = 0; i < 3; i++) await collect(reader, hot);
  await collect(reader, {});
  expect(cache.bytes).toBeLessThanOrEqual(50_000);
  const { misses } = cache;
  expect((await collect(reader, hot)).map(text)).toEqual(Array.from({ length: 30 }, (_, i) => text(keyOf(1500 + i))));
  expect(cache.misses).toBe(misses);
  const iterator = new SstableIterator(reader, { lower: utf8(''), upper: undefined }, false);
  for (await iterator.start(); iterator.valid; await iterator.advance()) {
    expect(iterator.value.buffer.byteLength).toBeLessThan(2 * blockBytes);
  }
});
