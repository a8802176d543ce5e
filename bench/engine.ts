/**
 * The engine suite: the tree by itself against LevelDB and, where it is installed, RocksDB's db_bench, in one run.
 *
 * Keys have 16 bytes; values can be compressed to half. Writes go in batches; a fill ends when everything is on disk, since
 * our tree has no log of its own and theirs have. Reads are made when compactions are done: "cached" when all blocks that
 * are asked for have been read before, "hot" of 5000 keys again and again, "uncached" with a block cache of a fiftieth of
 * the data (files stay in the operating system's cache). Beside the rate by the clock is the time of all cores, which other
 * load on the machine changes less.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Prng } from '../src/base/prng.js';
import { classicLevelStore } from './engine-classic-level.js';
import { EngineValues, key16 } from './engine-data.js';
import { runDbBench } from './engine-db-bench.js';
import { quorateStore } from './engine-quorate.js';
import type { Store, StoreEntry, StoreType } from './engine-store.js';
import type { Row, SuiteOptions } from './measure.js';
import { zipfian } from './zipfian.js';

const batchOperations = 100;

interface Figure {
  readonly perSecond: number;
  /** Microseconds of all cores for one operation. */
  readonly cpuMicros: number;
}

interface Sizes {
  readonly keys: number;
  readonly valueBytes: number;
  readonly reads: number;
  readonly cacheBytes: number;
}

export async function engine(options: SuiteOptions): Promise<Row[]> {
  const { quick, progress, keys = quick ? 100_000 : 500_000, valueBytes = 256 } = options;
  const dataBytes = keys * (16 + valueBytes);
  const sizes = { keys, valueBytes, reads: Math.min(keys, quick ? 50_000 : 200_000), cacheBytes: 2 * dataBytes };
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-'));
  try {
    const measured = [];
    for (const type of [quorateStore, classicLevelStore]) {
      measured.push(
        await measureStore(type, join(folder, type.name), sizes, (text) => progress(`${type.name}: ${text}`)),
      );
    }
    const [ours, theirs] = measured;
    progress('db_bench');
    const rocks = await runDbBench({ ...sizes, directory: join(folder, 'rocksdb'), batch: batchOperations });
    if (rocks === undefined)
      progress('db_bench is not on the PATH (Debian: rocksdb-tools): no comparison with RocksDB');
    return [...ours].flatMap(([name, figure]) =>
      rowsOf(`${name}, ${valueBytes} B`, figure, theirs.get(name), rocks?.get(name)),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function rowsOf(name: string, ours: Figure, classic: Figure | undefined, rocks: number | undefined): Row[] {
  const rows: Row[] = [];
  if (classic !== undefined) {
    const rival = classicLevelStore.name;
    rows.push(compared({ name, unit: 'operations/s', ours: ours.perSecond, rival, theirs: classic.perSecond }, false));
    const unit = 'µs of all cores';
    rows.push(compared({ name: `${name}, time`, unit, ours: ours.cpuMicros, rival, theirs: classic.cpuMicros }, true));
  }
  if (rocks !== undefined) {
    rows.push(compared({ name, unit: 'operations/s', ours: ours.perSecond, rival: 'RocksDB', theirs: rocks }, false));
  }
  return rows;
}

function compared(row: Row & { readonly theirs: number }, lessIsBetter: boolean): Row {
  const ratio = lessIsBetter ? row.theirs / row.ours : row.ours / row.theirs;
  return { ...row, ratio: Math.round(100 * ratio) / 100 };
}

async function measureStore(
  type: StoreType,
  directory: string,
  sizes: Sizes,
  progress: (text: string) => void,
): Promise<Map<string, Figure>> {
  const { keys, valueBytes, reads, cacheBytes } = sizes;
  const figures = new Map<string, Figure>();
  const values = new EngineValues(valueBytes);
  const measure = async (name: string, operations: number, body: () => Promise<void>): Promise<void> => {
    progress(name);
    figures.set(name, await timed(operations, body));
  };
  const fill = async (store: Store, keyOf: (n: number) => number, count = keys, isFlushed = true): Promise<void> => {
    for (let n = 0; n < count; n += batchOperations) {
      const batch: StoreEntry[] = [];
      for (let i = n; i < Math.min(n + batchOperations, count); i++)
        batch.push({ key: key16(keyOf(i)), value: values.next() });
      const written = store.write(batch);
      if (written !== undefined) await written;
    }
    if (isFlushed) await store.flush();
  };

  progress('warm-up');
  const warm = await type.open({ directory: `${directory}-warm`, cacheBytes });
  await fill(warm, (n) => n, Math.min(keys, 20_000));
  await warm.scan(false);
  for (let n = 0; n < Math.min(keys, 20_000); n++) await warm.get(key16(n));
  await warm.close();

  const sequential = await type.open({ directory: `${directory}-sequential`, cacheBytes });
  await measure('fill sequential', keys, () => fill(sequential, (n) => 2 * n));
  await sequential.close();

  const random = new Prng(1);
  let store = await type.open({ directory, cacheBytes });
  const order = permutation(keys, random);
  await measure('fill random', keys, () => fill(store, (n) => 2 * order[n]));
  await measure('overwrite', keys, () => fill(store, () => 2 * random.int(0, keys - 1)));
  await store.settle();

  const present = Array.from({ length: reads }, () => key16(2 * random.int(0, keys - 1)));
  const missing = Array.from({ length: reads }, () => key16(2 * random.int(0, keys - 1) + 1));
  const gets = async (wanted: readonly Uint8Array[], isThere: boolean): Promise<void> => {
    for (const key of wanted) {
      const got = store.get(key);
      const value = got instanceof Promise ? await got : got;
      if ((value !== undefined) !== isThere) throw new Error(`${type.name} has lost or found a key`);
    }
  };
  await gets(present, true);
  await measure('get cached', reads, () => gets(present, true));
  const hot = present.slice(0, 5000);
  await measure('get hot', 4 * reads, async () => {
    for (let n = 0; n < 4 * reads; n += hot.length) await gets(hot, true);
  });
  await measure('get missing', reads, () => gets(missing, false));
  await measure('get 100 at a time', reads, () => getsTogether(store, present));
  const zipf = zipfian(keys, new Prng(3));
  const popular = Array.from({ length: reads }, () => key16(2 * order[zipf()]));
  await measure('get zipfian', reads, () => gets(popular, true));
  const seeks = Math.ceil(reads / 4);
  await measure('seek', seeks, async () => {
    for (let n = 0; n < seeks; n++) await store.seek(missing[n]);
  });
  for (const reverse of [false, true]) {
    await measure(`scan ${reverse ? 'reverse' : 'forward'}`, keys, async () => {
      // One store keeps a mark of its own.
      const count = await store.scan(reverse);
      if (Math.abs(count - keys) > 1) throw new Error(`${type.name} has ${count} of ${keys} keys`);
    });
  }
  await store.close();

  store = await type.open({ directory, cacheBytes: Math.ceil(cacheBytes / 100) });
  await measure('get uncached', reads, () => gets(present, true));
  await measure('get uncached, 100 at a time', reads, () => getsTogether(store, present));
  await measure('read and write, half each', reads, async () => {
    for (let n = 0; n < reads; n += 2 * batchOperations) {
      await fill(store, () => 2 * random.int(0, keys - 1), batchOperations, false);
      await gets(popular.slice(n, n + batchOperations), true);
    }
    await store.flush();
  });
  await store.close();
  return figures;
}

/** Fetches all of `wanted`, so many in one call. */
async function getsTogether(store: Store, wanted: readonly Uint8Array[]): Promise<void> {
  for (let n = 0; n < wanted.length; n += batchOperations) {
    const values = await store.getMany(wanted.slice(n, n + batchOperations));
    if (values.includes(undefined)) throw new Error('a key is lost');
  }
}

async function timed(operations: number, body: () => Promise<void>): Promise<Figure> {
  const startMs = performance.now();
  const before = process.cpuUsage();
  await body();
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - startMs) / 1000;
  return {
    perSecond: Math.round(operations / seconds),
    cpuMicros: Math.round((100 * (user + system)) / operations) / 100,
  };
}

function permutation(count: number, random: Prng): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, n) => n);
  for (let n = count - 1; n > 0; n--) {
    const other = random.int(0, n);
    [order[n], order[other]] = [order[other], order[n]];
  }
  return order;
}
