import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { compareBytes, toHex, utf8 } from '../../../src/base/bytes.js';
import { Timestamp } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { deferred, type Deferred } from '../../../src/base/promises.js';
import type { Disk } from '../../../src/env/disk.js';
import { compareEntries, type StoredKind } from '../../../src/lsm/entry.js';
import { fragmentsOf, type RangeFragments } from '../../../src/lsm/range/range-tombstones.js';
import { bloomHash } from '../../../src/lsm/sstable/bloom-filter.js';
import type { Compression } from '../../../src/lsm/sstable/compression.js';
import { SstableIterator } from '../../../src/lsm/sstable/sstable-iterator.js';
import { SstableReader } from '../../../src/lsm/sstable/sstable-reader.js';
import { jobResources } from '../../../src/lsm/sstable/sstable-resources.js';
import { SstableWriter } from '../../../src/lsm/sstable/sstable-writer.js';
import { verifySstable } from '../../../src/lsm/sstable/verify-sstable.js';
import { newDisk, show, text } from '../harness.js';

const tableOptions = { blockBytes: 100, bloomBitsPerKey: 10, compression: 'none' } as const;

interface TestEntry {
  readonly key: Uint8Array;
  readonly version: number;
  readonly kind: StoredKind;
  readonly value: Uint8Array;
}

async function writeTable(
  disk: Disk,
  entries: readonly TestEntry[],
  blockBytes: number,
  cacheBytesMax = 1 << 20,
  compression: Compression = 'none',
  ranges: RangeFragments = [],
): Promise<SstableReader> {
  const options = { blockBytes, bloomBitsPerKey: 10, compression };
  const writer = await SstableWriter.create(disk, '000007.sst', 7, options);
  for (const { key, version, kind, value } of entries) await writer.add(key, version, kind, value);
  for (const fragment of ranges) writer.addRange(fragment);
  return new SstableReader('000007.sst', await writer.finish(), jobResources(disk, cacheBytesMax)());
}

async function collect(reader: SstableReader, lower: Uint8Array, upper: Uint8Array | undefined, reverse: boolean) {
  const iterator = new SstableIterator(reader, { lower, upper }, reverse);
  const entries: TestEntry[] = [];
  for (await iterator.start(); iterator.valid; await iterator.advance()) {
    const { key, version, kind, value } = iterator;
    entries.push({ key, version, kind, value });
  }
  return entries;
}

function randomEntries(random: Prng, count: number): TestEntry[] {
  const entries: TestEntry[] = [];
  for (let i = 0; i < count; i++) {
    const kind = random.chance(0.2) ? 'delete' : 'put';
    entries.push({
      key: Uint8Array.of(...utf8(random.pick(['', 'user/', 'user/0000'])), ...random.bytes(random.int(0, 2))),
      version: random.int(1, random.chance(0.1) ? Number.MAX_SAFE_INTEGER : 300),
      kind,
      value: random.bytes(kind === 'put' ? random.int(0, 40) : 0),
    });
  }
  return entries
    .sort((a, b) => compareEntries(a.key, a.version, b.key, b.version))
    .filter(
      (entry, i, all) => i === 0 || compareEntries(all[i - 1].key, all[i - 1].version, entry.key, entry.version) < 0,
    );
}

/** The bytes of a page's example: of each line of it what comes before two spaces. */
function exampleOf(page: string): string {
  const lines = /```hex\n([^`]*)```/.exec(page)?.[1].split('\n') ?? [];
  return lines.map((line) => line.split('  ')[0].replaceAll(' ', '')).join('');
}

describe('an SSTable', () => {
  it('reads each block once for all who ask for it at one time', async () => {
    const disk = newDisk();
    const open = disk.open.bind(disk);
    let reads = 0;
    vi.spyOn(disk, 'open').mockImplementation(async (path, mode) => {
      const file = await open(path, mode);
      vi.spyOn(file, 'readNow').mockReturnValue(undefined);
      const read = file.read.bind(file);
      vi.spyOn(file, 'read').mockImplementation((target, offset) => {
        reads++;
        return read(target, offset);
      });
      return file;
    });
    const key = utf8('k');
    const reader = await writeTable(disk, [{ key, version: 1, kind: 'put', value: utf8('v') }], 100);
    const gets = Array.from({ length: 100 }, async () => reader.get(key, bloomHash(key), 5));
    for (const found of await Promise.all(gets)) expect(found).toMatchObject({ version: 1 });
    // Footer, filter, index, and the block.
    expect(reads).toBe(4);
  });

  it('has the versions of ranges that overlap in a small part of their bytes, where it is compressed', async () => {
    const random = new Prng(1);
    const tombstones = Array.from({ length: 300 }, (_, n) => {
      const [lower, upper] = [random.bytes(8), random.bytes(8)].sort(compareBytes);
      return { lower, upper, version: Timestamp(2 ** 50 + 1000 * n) };
    });
    const ranges = fragmentsOf(tombstones);
    const plain = await writeTable(newDisk(), [], 100, 0, 'none', ranges);
    const reader = await writeTable(newDisk(), [], 100, 0, 'snappy', ranges);
    expect(plain.metadata.bytes).toBeGreaterThan(400_000);
    expect(reader.metadata.bytes).toBeLessThan(plain.metadata.bytes / 5);
    expect(await reader.rangeTombstones()).toEqual(ranges);
    await verifySstable(reader);
  });

  it.each([1, 2, 3, 4])('gives back what was written, seed %i', async (seed) => {
    const random = new Prng(seed);
    const entries = randomEntries(random, random.int(1, 800));
    const reader = await writeTable(
      newDisk(),
      entries,
      random.int(1, 1000),
      random.pick([0, 2000, 1 << 20]),
      random.pick(['none', 'snappy']),
    );
    await verifySstable(reader);
    expect(show(await collect(reader, utf8(''), undefined, false))).toBe(show(entries));
    expect(show(await collect(reader, utf8(''), undefined, true))).toBe(show([...entries].reverse()));
    for (let i = 0; i < 30; i++) {
      const [lower, upper] = [random.pick(entries).key, random.bytes(random.int(0, 3))].sort(compareBytes);
      const within = entries.filter(({ key }) => compareBytes(key, lower) >= 0 && compareBytes(key, upper) < 0);
      expect(show(await collect(reader, lower, upper, false))).toBe(show(within));
      expect(show(await collect(reader, lower, upper, true))).toBe(show(within.reverse()));
    }
    const answers: { readonly found: unknown; readonly expected: unknown }[] = [];
    for (let i = 0; i < 100; i++) {
      const key = random.chance(0.8) ? random.pick(entries).key : random.bytes(3);
      const at = random.int(0, 320);
      const expected = entries.find((entry) => compareBytes(entry.key, key) === 0 && entry.version <= at);
      const found = await reader.get(key, bloomHash(key), at);
      answers.push({ found: found && { key, ...found }, expected });
    }
    // Not before the last one: what was found stays as it is while other blocks are read.
    for (const { found, expected } of answers) expect(found).toEqual(expected);
    await reader.close();
  });

  it('says what it holds', async () => {
    const reader = await writeTable(
      newDisk(),
      [
        { key: utf8('a'), version: 9, kind: 'put', value: utf8('1') },
        { key: utf8('b'), version: 30, kind: 'delete', value: utf8('') },
        { key: utf8('b'), version: 4, kind: 'put', value: utf8('2') },
      ],
      4096,
    );
    const { smallestKey, endKey, ...numbers } = reader.metadata;
    expect([text(smallestKey), text(endKey)]).toEqual(['a', 'b\0']);
    expect(numbers).toMatchObject({
      number: 7,
      entries: 3,
      keys: 2,
      tombstones: 1,
      rawBytes: 5,
      dataBytes: 27,
      storedBytes: 28,
      smallestVersion: 4,
      largestVersion: 30,
      largestEntryVersion: 30,
      rangeTombstones: 0,
    });
    expect(reader.metadata).toMatchObject({ ...(await reader.readProperties()), smallestKey, endKey });
  });

  it('has this form, byte for byte', async () => {
    const disk = newDisk();
    await writeTable(
      disk,
      [
        { key: utf8('apple'), version: 300, kind: 'put', value: utf8('red') },
        { key: utf8('apple'), version: 2, kind: 'delete', value: utf8('') },
        { key: utf8('apply'), version: 1, kind: 'put', value: utf8('!') },
      ],
      4096,
      0,
      'none',
      [{ lower: utf8('b'), upper: utf8('cc'), versions: [400, 7].map(Timestamp) }],
    );
    const hex = toHex(disk.content('000007.sst'));
    await expect(`${(hex.match(/.{1,64}/g) ?? []).join('\n')}\n`).toMatchFileSnapshot('golden/sstable.hex');
    expect(exampleOf(readFileSync('docs/formats/sstable.md', 'utf8'))).toBe(hex);
  });

  it('answers at once when all that it needs is cached', async () => {
    const entries = randomEntries(new Prng(1), 200);
    const reader = await writeTable(newDisk(), entries, 500);
    const { key, version } = entries[77];
    const first = reader.get(key, bloomHash(key), version);
    expect(first).toBeInstanceOf(Promise);
    const found = await first;
    expect(reader.get(key, bloomHash(key), version)).toEqual(found);
    const iterator = new SstableIterator(reader, { lower: utf8(''), upper: undefined }, false);
    for (await iterator.start(); iterator.valid; await iterator.advance());
    let steps = 0;
    const again = new SstableIterator(reader, { lower: utf8(''), upper: undefined }, false);
    expect(again.start()).toBeUndefined();
    for (; again.valid; steps++) expect(again.advance()).toBeUndefined();
    expect(steps).toBe(entries.length);
  });

  it('refuses entries out of order, repeated ones, and to be empty', async () => {
    const writer = await SstableWriter.create(newDisk(), '000001.sst', 1, tableOptions);
    await expect(writer.finish()).rejects.toThrow('at least one entry');
    await writer.add(utf8('b'), 5, 'put', utf8(''));
    expect(() => writer.add(utf8('b'), 5, 'put', utf8(''))).toThrow('must come in order');
    expect(() => writer.add(utf8('b'), 6, 'put', utf8(''))).toThrow('must come in order');
    expect(() => writer.add(utf8('a'), 1, 'put', utf8(''))).toThrow('must come in order');
    await writer.add(utf8('b'), 4, 'put', utf8(''));
    expect(writer.entries).toBe(2);
  });

  it('leaves nothing behind when it is abandoned', async () => {
    const disk = newDisk();
    const writer = await SstableWriter.create(disk, '000001.sst', 1, tableOptions);
    await writer.add(utf8('b'), Timestamp(5), 'put', new Uint8Array(300_000));
    await writer.abandon();
    expect(disk.paths()).toEqual([]);
  });

  it('takes entries while others are written, one write at a time, and reports a write that failed', async () => {
    const disk = newDisk();
    const open = disk.open.bind(disk);
    const writes: Deferred<void>[] = [];
    vi.spyOn(disk, 'open').mockImplementation(async (path, mode) => {
      const file = await open(path, mode);
      vi.spyOn(file, 'write').mockImplementation(() => {
        const write = deferred<void>();
        writes.push(write);
        return write.promise;
      });
      return file;
    });
    const writer = await SstableWriter.create(disk, '000001.sst', 1, tableOptions);
    const large = new Uint8Array(300_000);
    await writer.add(utf8('a'), 1, 'put', large);
    expect(writes).toHaveLength(1);
    expect(writer.add(utf8('b'), 1, 'put', utf8('small'))).toBeUndefined();

    const second = writer.add(utf8('c'), 1, 'put', large);
    await Promise.resolve();
    expect(writes).toHaveLength(1);
    expect(() => writer.add(utf8('d'), 1, 'put', large)).toThrow('the last add has not resolved');
    writes[0].resolve();
    await second;
    expect(writes).toHaveLength(2);

    writes[1].reject(new Error('the second write failed'));
    await expect(writer.finish()).rejects.toThrow('the second write failed');
    vi.restoreAllMocks();
    await writer.abandon();
    expect(disk.paths()).toEqual([]);
  });
});
