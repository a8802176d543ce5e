/**
 * Whether large values should lie beside the tree: the tree as it is against one that has pointers of 24 bytes to a file to
 * which values are appended. That file is never collected, so it is the best that any such design can reach; what collecting
 * costs is added by a simulation. What docs/decisions/2026-11-21-large-values.md is based on.
 *
 * The tree is scaled down, to a quarter of its defaults or a sixteenth (`--quick`), so that it has as many levels as one of
 * four or sixteen times the data; with that, jobs are small, which costs time that a tree at full scale does not need. Values
 * do not compress. Nothing but the tree's blocks is cached by either, of a fiftieth of the data; files stay in the operating
 * system's cache. Bytes that are written are counted, in which the machine's load has no part.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { emptyBytes } from '../../src/base/bytes.js';
import { crc32 } from '../../src/base/checksum.js';
import { Prng } from '../../src/base/prng.js';
import type { DiskFile } from '../../src/env/disk.js';
import { LogIndex, openTree, Timestamp, timestampMax, TreeBatch, type Tree } from '../../src/node/open-tree.js';
import { NodeDisk } from '../../src/platform/disk.js';
import { key16, permutation } from '../engine-data.js';
import type { Row, SuiteOptions } from '../measure.js';
import { zipfian } from '../zipfian.js';
import { collectByMerges } from './merge-collection.js';
import { collectedBytesPerNewByte } from './value-collection.js';

const kib = 1024;
const mib = 1024 * kib;
const overwrites = 4;
const batchBytes = 64 * kib;
const pointerBytes = 24;
const rival = 'pointers, values appended';

interface Sizes {
  readonly keys: number;
  readonly valueBytes: number;
  readonly reads: number;
  /** What the defaults of the tree are divided by. */
  readonly scale: number;
}

interface Scale extends Pick<Sizes, 'scale'> {
  readonly cacheBytes: number;
}

/** The tree, with values in it or in a file beside it. */
class ValueStore {
  readonly #tree: Tree;
  /** Undefined where values are in the tree. */
  readonly #file: DiskFile | undefined;
  #fileBytes = 0;
  #version: number;

  static async open(folder: string, isSeparate: boolean, { scale, cacheBytes }: Scale): Promise<ValueStore> {
    const tree = await openTree(join(folder, 'tree'), {
      blockCacheBytesMax: cacheBytes,
      rowCacheBytesMax: 0,
      memtableBytesMax: (16 * mib) / scale,
      sstableBytesTarget: (8 * mib) / scale,
      levelBytesBase: (32 * mib) / scale,
    });
    return new ValueStore(tree, isSeparate ? await new NodeDisk().open(join(folder, 'values'), 'create') : undefined);
  }

  private constructor(tree: Tree, file: DiskFile | undefined) {
    this.#tree = tree;
    this.#file = file;
    this.#version = tree.appliedIndex;
  }

  async write(entries: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]): Promise<void> {
    for (let stall = this.#tree.writeStall(); stall !== undefined; stall = this.#tree.writeStall()) await stall;
    const version = Timestamp(++this.#version);
    const batch = new TreeBatch();
    if (this.#file === undefined) for (const { key, value } of entries) batch.put(key, version, value);
    else await this.#append(this.#file, entries, batch, version);
    this.#tree.write(batch, LogIndex(version));
    this.#tree.setSafePoint(Timestamp(version - 1));
  }

  async #append(
    file: DiskFile,
    entries: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[],
    batch: TreeBatch,
    version: Timestamp,
  ): Promise<void> {
    const bytes = new Uint8Array(entries.reduce((sum, { value }) => sum + value.length, 0));
    let at = 0;
    for (const { key, value } of entries) {
      bytes.set(value, at);
      batch.put(key, version, encodePointer({ offset: this.#fileBytes + at, length: value.length, crc: crc32(value) }));
      at += value.length;
    }
    await file.write(bytes, this.#fileBytes);
    this.#fileBytes += bytes.length;
  }

  async flushAndSettle(): Promise<void> {
    await this.#file?.sync();
    await this.#tree.flush();
    for (let quiet = 0, before = -1; quiet < 3;) {
      await setTimeout(50);
      const { count, movedTables, backlogBytes } = this.#tree.metrics().compactions;
      quiet = backlogBytes === 0 && count + movedTables === before ? quiet + 1 : 0;
      before = count + movedTables;
    }
  }

  async get(key: Uint8Array): Promise<Uint8Array> {
    const found = await this.#tree.get(key, timestampMax);
    if (found?.kind !== 'put') throw new Error('a key is lost');
    return this.#file === undefined ? found.value : this.#read(this.#file, found.value);
  }

  /** Bytes of all values, by key. */
  async scan(): Promise<number> {
    const all = { lower: emptyBytes, upper: undefined, at: timestampMax, reverse: false };
    const iterator = this.#tree.openIterator(all);
    let bytes = 0;
    for (let next = await iterator.next(); next !== undefined; next = await iterator.next()) {
      const value = this.#file === undefined ? next.value : await this.#read(this.#file, next.value);
      bytes += value.length;
    }
    iterator.close();
    return bytes;
  }

  async #read(file: DiskFile, pointer: Uint8Array): Promise<Uint8Array> {
    const { offset, length, crc } = decodePointer(pointer);
    const value = new Uint8Array(length);
    if (file.readNow(value, offset) === undefined) await file.read(value, offset);
    if (crc32(value) !== crc) throw new Error('a value is damaged');
    return value;
  }

  /** By flushes and compactions, and to the file. */
  get writtenBytes(): number {
    const { writes, compactions } = this.#tree.metrics();
    return writes.flushedBytes + compactions.writtenBytes + this.#fileBytes;
  }

  get diskBytes(): number {
    return this.#tree.stats().bytes + this.#fileBytes;
  }

  async close(): Promise<void> {
    await this.#tree.close();
    await this.#file?.close();
  }
}

interface Pointer {
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

function encodePointer({ offset, length, crc }: Pointer): Uint8Array {
  const bytes = new Uint8Array(pointerBytes);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, offset);
  view.setUint32(8, length);
  view.setUint32(12, crc);
  return bytes;
}

function decodePointer(bytes: Uint8Array): Pointer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { offset: view.getFloat64(0), length: view.getUint32(8), crc: view.getUint32(12) };
}

/** By name; all that less is better of. */
type Figures = Map<string, { readonly unit: string; readonly value: number }>;

async function measure(folder: string, isSeparate: boolean, sizes: Sizes): Promise<Figures> {
  const { keys, valueBytes, reads, scale } = sizes;
  const dataBytes = keys * (16 + valueBytes);
  const store = await ValueStore.open(folder, isSeparate, { scale, cacheBytes: dataBytes / 50 });
  const random = new Prng(1);
  const text = random.bytes(16 * mib);
  const figures: Figures = new Map();
  const write = async (count: number, keyOf: (n: number) => number): Promise<void> => {
    const together = Math.max(1, Math.floor(batchBytes / valueBytes));
    for (let n = 0; n < count; n += together) {
      const entries = Array.from({ length: Math.min(together, count - n) }, (_, i) => {
        const at = random.int(0, text.length - valueBytes);
        return { key: key16(keyOf(n + i)), value: text.subarray(at, at + valueBytes) };
      });
      await store.write(entries);
    }
    await store.flushAndSettle();
  };
  const timed = async (name: string, megabytes: number, body: () => Promise<void>): Promise<void> => {
    const [cpuBefore, bytesBefore] = [process.cpuUsage(), store.writtenBytes];
    await body();
    const { user, system } = process.cpuUsage(cpuBefore);
    figures.set(`${name}, time`, { unit: 'ms of all cores/MB', value: (user + system) / 1000 / megabytes });
    const written = (store.writtenBytes - bytesBefore) / 1e6;
    if (written > 0) figures.set(`${name}, write amplification`, { unit: 'bytes/byte', value: written / megabytes });
  };
  const order = permutation(keys, random);
  await timed('fill random', dataBytes / 1e6, () => write(keys, (n) => order[n]));
  const zipf = zipfian(keys, random);
  for (const [name, keyOf] of [
    ['overwrite × 4', () => random.int(0, keys - 1)],
    ['overwrite × 4, zipfian', () => order[zipf()]],
  ] as const) {
    await timed(name, (overwrites * dataBytes) / 1e6, () => write(overwrites * keys, keyOf));
    figures.set(`${name}, space`, { unit: 'bytes/byte', value: store.diskBytes / dataBytes });
  }
  await timed('get random', (reads * valueBytes) / 1e6, async () => {
    for (let n = 0; n < reads; n++) await store.get(key16(random.int(0, keys - 1)));
  });
  await timed('scan', dataBytes / 1e6, async () => {
    if ((await store.scan()) !== keys * valueBytes) throw new Error('a value is lost');
  });
  await store.close();
  return figures;
}

export async function largeValues({ quick, progress, valueBytes: only }: SuiteOptions): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-'));
  const rows: Row[] = [];
  try {
    for (const valueBytes of only === undefined ? [256, 1024, 4096, 16_384, 65_536] : [only]) {
      const keys = Math.floor(((quick ? 32 : 256) * mib) / (16 + valueBytes));
      const sizes = { keys, valueBytes, reads: Math.min(keys, 50_000), scale: quick ? 16 : 4 };
      const both: Figures[] = [];
      for (const isSeparate of [false, true]) {
        progress(`values of ${valueBytes} B, ${isSeparate ? 'in a file' : 'in the tree'}`);
        const path = await mkdtemp(join(folder, 'store-'));
        both.push(await measure(path, isSeparate, sizes));
        await rm(path, { recursive: true });
      }
      const [ours, theirs] = both;
      for (const [name, { unit, value }] of ours) {
        const other = theirs.get(name)?.value ?? 0;
        rows.push({
          name: `${name}, ${valueBytes} B`,
          unit,
          ours: rounded(value),
          rival,
          theirs: rounded(other),
          ratio: rounded(other / value),
        });
      }
    }
    for (const space of [1.1, 1.2, 1.3, 1.5, 2]) {
      progress(`collection at a space amplification of ${space}`);
      for (const skew of ['uniform', 'zipfian'] as const) {
        const name = `collection of values, ${skew} overwrites, space amplification ${space}: rewritten`;
        rows.push({ name, unit: 'bytes/new byte', ours: rounded(collectedBytesPerNewByte(space, skew)) });
      }
    }
    for (const options of [
      { spaceAmplification: 1.3, skew: 'uniform', isForced: false },
      { spaceAmplification: 1.3, skew: 'uniform', isForced: true },
      { spaceAmplification: 1.5, skew: 'uniform', isForced: true },
      { spaceAmplification: 1.3, skew: 'zipfian', isForced: true },
    ] as const) {
      const { spaceAmplification, skew, isForced } = options;
      progress(`collection by merges at a space amplification of ${spaceAmplification}, ${skew}`);
      const { spaceAmplification: space, rewritten, pointerBytes } = collectByMerges(options);
      const name = `collection by ${isForced ? 'merges' : 'due merges alone'}, ${skew} overwrites, from ${spaceAmplification}`;
      rows.push({ name: `${name}: space amplification`, unit: 'bytes/byte', ours: rounded(space) });
      rows.push({ name: `${name}: rewritten`, unit: 'bytes/new byte', ours: rounded(rewritten) });
      rows.push({ name: `${name}: tables`, unit: 'bytes/value', ours: rounded(pointerBytes) });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return rows;
}

function rounded(figure: number): number {
  return Number(figure.toPrecision(3));
}
