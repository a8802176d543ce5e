/**
 * The suite of sustained writes: keys of a tree are overwritten at random, as fast as it takes them, for minutes. The data
 * is five times what the caches hold (memtables, block cache and row cache together).
 *
 * The tree starts as one run of tables without anything twice, which are ingested. Their size is what space amplification
 * is a multiple of: the same keys, and values that compress as well, in as few bytes as the format needs. What is on disk
 * is all files of the tree's folder every two seconds, those that are being written included.
 *
 * A batch takes from the end of the one before it to its own, with a turn of the event loop: what delays the thread counts.
 */
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { build } from 'hdr-histogram-js';

import { LogIndex, Timestamp } from '../src/base/ids.js';
import { Prng } from '../src/base/prng.js';
import type { Disk } from '../src/env/disk.js';
import { silentLogger } from '../src/env/logger.js';
import { BlockCache } from '../src/lsm/block-cache.js';
import { MemtableBudget } from '../src/lsm/memtable/memtable-budget.js';
import type { TreeMetrics } from '../src/lsm/metrics.js';
import { RowCache } from '../src/lsm/row-cache.js';
import { OpenFiles } from '../src/lsm/sstable/open-files.js';
import { SstableWriter } from '../src/lsm/sstable/sstable-writer.js';
import { TreeBatch } from '../src/lsm/tree-batch.js';
import { tableOptions, treeOptions, type TreeOptions } from '../src/lsm/tree-options.js';
import { Tree } from '../src/lsm/tree.js';
import { levelCount } from '../src/lsm/version/version-edit.js';
import { SystemClock } from '../src/platform/clock.js';
import { NodeDisk } from '../src/platform/disk.js';
import { WorkerPool } from '../src/platform/worker-pool.js';
import { EngineValues, key16 } from './engine-data.js';
import type { Row, SuiteOptions } from './measure.js';

const mib = 1024 * 1024;
const batchOperations = 100;
const keyBytes = 16;
/** A second with fewer batches than this part of the mean is one without progress. */
const progressPart = 0.02;

interface OverwriteLoad {
  readonly keys: number;
  readonly valueBytes: number;
  readonly seconds: number;
  readonly progress: (text: string) => void;
}

export async function engineOverwrite(options: SuiteOptions): Promise<Row[]> {
  const { quick, progress, keys = quick ? 1_000_000 : 4_000_000, valueBytes = 256, minutes = quick ? 1 : 10 } = options;
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-'));
  try {
    return await overwrite(folder, { keys, valueBytes, seconds: minutes * 60, progress });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The memory of the tree, a fifth of its data; the parts have about the proportions of a node's defaults. */
function cacheSizes({ keys, valueBytes }: OverwriteLoad): { memtables: number; blocks: number; rows: number } {
  const cacheBytes = (keys * (keyBytes + valueBytes)) / 5;
  return { memtables: cacheBytes / 2, blocks: (cacheBytes * 3) / 8, rows: cacheBytes / 8 };
}

async function overwrite(folder: string, load: OverwriteLoad): Promise<Row[]> {
  const { keys, valueBytes, seconds, progress } = load;
  const directory = `${folder}/tree`;
  const disk = new NodeDisk();
  const background = new WorkerPool({
    entry: new URL('../src/node/background-worker.js', import.meta.url),
    size: 1,
  });
  const caches = cacheSizes(load);
  const all = treeOptions({ memtableBytesMax: Math.min(16 * mib, Math.floor(caches.memtables / 8)) });
  const resources = {
    disk,
    background,
    blockCache: new BlockCache(caches.blocks),
    openFiles: new OpenFiles(1000),
    rowCache: new RowCache(caches.rows),
    memtableBudget: new MemtableBudget({ bytesMax: caches.memtables, writeBytesMax: caches.memtables / 8 }),
    logger: silentLogger,
    clock: new SystemClock(),
  };
  const tree = await Tree.create(directory, resources, all);
  const values = new ShuffledValues(valueBytes);
  try {
    progress(`${keys} keys`);
    const compactBytes = await fillCompact(tree, disk, `${folder}/ingested`, { keys, values, options: all });
    progress(`overwriting for ${seconds} s`);
    const watch = new Watch(tree, directory, compactBytes, progress);
    await overwriteFor(seconds, tree, { keys, values, watch });
    return await watch.rows(batchOperations * (keyBytes + valueBytes));
  } finally {
    await tree.close();
    await background[Symbol.asyncDispose]();
  }
}

/**
 * Every key once, in tables of the last level, which become the tree's; their bytes. Versions are as if the keys had been
 * written in batches, in an order by chance.
 */
async function fillCompact(
  tree: Tree,
  disk: Disk,
  directory: string,
  { keys, values, options }: { readonly keys: number; readonly values: ShuffledValues; readonly options: TreeOptions },
): Promise<number> {
  await mkdir(directory);
  const random = new Prng(2);
  const paths: string[] = [];
  let bytes = 0;
  for (let n = 0; n < keys;) {
    const path = `${directory}/${paths.length + 1}.sst`;
    const writer = await SstableWriter.create(disk, path, paths.length + 1, tableOptions(options, levelCount - 1));
    while (n < keys && writer.bytes < options.sstableBytesTarget) {
      await writer.add(key16(n++), random.int(1, fillVersions(keys)), 'put', values.next());
    }
    bytes += (await writer.finish()).bytes;
    paths.push(path);
  }
  await tree.ingest(paths, LogIndex(fillVersions(keys)));
  await rm(directory, { recursive: true });
  return bytes;
}

function fillVersions(keys: number): number {
  return Math.ceil(keys / batchOperations);
}

async function overwriteFor(
  seconds: number,
  tree: Tree,
  { keys, values, watch }: { readonly keys: number; readonly values: ShuffledValues; readonly watch: Watch },
): Promise<void> {
  const random = new Prng(1);
  const endMs = performance.now() + seconds * 1000;
  for (let beforeMs = performance.now(), version = fillVersions(keys) + 1; beforeMs < endMs; version++) {
    for (let stall = tree.writeStall(); stall !== undefined; stall = tree.writeStall()) await stall;
    const batch = new TreeBatch();
    for (let i = 0; i < batchOperations; i++)
      batch.put(key16(random.int(0, keys - 1)), Timestamp(version), values.next());
    tree.write(batch, LogIndex(version));
    // As the state machine does: nobody reads what was replaced.
    tree.setSafePoint(Timestamp(version - 1));
    await setImmediate();
    const nowMs = performance.now();
    watch.batch(nowMs - beforeMs);
    beforeMs = nowMs;
  }
}

/** Values of which no two that follow each other compress better than any others would: the order of writes must not show. */
class ShuffledValues {
  readonly #values: readonly Uint8Array[];
  readonly #random = new Prng(3);

  constructor(valueBytes: number) {
    const values = new EngineValues(valueBytes);
    this.#values = Array.from({ length: 4096 }, () => values.next());
  }

  next(): Uint8Array {
    return this.#values[this.#random.int(0, this.#values.length - 1)];
  }
}

/** Mean and maximum of what is looked at from time to time. */
class Gauge {
  max = 0;
  #sum = 0;
  #count = 0;

  add(value: number): void {
    this.max = Math.max(this.max, value);
    this.#sum += value;
    this.#count++;
  }

  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }
}

/** Looks at a tree while it is written to. */
class Watch {
  readonly #tree: Tree;
  readonly #directory: string;
  readonly #compactBytes: number;
  readonly #before: TreeMetrics;
  readonly #cpuBefore = process.cpuUsage();
  readonly #startMs = performance.now();
  readonly #batchMicros = build({ lowestDiscernibleValue: 1, highestTrackableValue: 600_000_000 });
  readonly #perSecond: number[] = [];
  readonly #space = new Gauge();
  readonly #runs = new Gauge();
  readonly #backlog = new Gauge();
  readonly #rss = new Gauge();
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> = Promise.resolve();

  constructor(tree: Tree, directory: string, compactBytes: number, progress: (text: string) => void) {
    this.#tree = tree;
    this.#directory = directory;
    this.#compactBytes = compactBytes;
    this.#before = tree.metrics();
    let looks = 0;
    this.#timer = setInterval(() => {
      this.#looking = this.#looking.then(() => this.#look());
      if (++looks % 15 === 0) progress(this.#summary());
    }, 2000);
  }

  batch(ms: number): void {
    this.#batchMicros.recordValue(Math.max(1, Math.round(ms * 1000)));
    const second = Math.floor((performance.now() - this.#startMs) / 1000);
    while (this.#perSecond.length <= second) this.#perSecond.push(0);
    this.#perSecond[second]++;
  }

  async #look(): Promise<void> {
    const { readAmplification, compactions } = this.#tree.metrics();
    this.#runs.add(readAmplification);
    this.#backlog.add(compactions.backlogBytes / mib);
    this.#rss.add(process.memoryUsage.rss() / mib);
    this.#space.add((await folderBytes(this.#directory)) / this.#compactBytes);
  }

  #summary(): string {
    const levels = this.#tree.metrics().levels.map(({ fileBytes }) => Math.round(fileBytes / mib));
    const lately = this.#perSecond.slice(-31, -1);
    const rate = Math.round(lately.reduce((sum, n) => sum + n, 0) / Math.max(1, lately.length));
    return `${rate} batches/s; space ${rounded(this.#space.mean)} (max ${rounded(this.#space.max)}); levels ${levels.join(' ')} MiB`;
  }

  async rows(batchBytes: number): Promise<Row[]> {
    clearInterval(this.#timer);
    await this.#looking;
    const seconds = this.#perSecond.slice(0, -1);
    const batches = this.#batchMicros.totalCount;
    const mean = batches / ((performance.now() - this.#startMs) / 1000);
    const { user, system } = process.cpuUsage(this.#cpuBefore);
    const { writes, compactions } = this.#tree.metrics();
    const { writes: writesBefore, compactions: compactionsBefore } = this.#before;
    const flushedBytes = writes.flushedBytes - writesBefore.flushedBytes;
    const writtenBytes = compactions.writtenBytes - compactionsBefore.writtenBytes;
    const micros = this.#batchMicros;
    const row = (name: string, unit: string, ours: number): Row => ({ name, unit, ours: rounded(ours) });
    return [
      { ...row('batches', 'batches/s', mean), samples: seconds },
      row('batches, worst second', 'batches/s', Math.min(...seconds)),
      row('seconds without progress', 's', seconds.filter((n) => n < progressPart * mean).length),
      row('time of a batch', 'µs of all cores', (user + system) / batches),
      ...[50, 99, 99.9].map((part) => row(`batch p${part}`, 'ms', micros.getValueAtPercentile(part) / 1000)),
      row('batch max', 'ms', micros.maxValue / 1000),
      row(
        'write amplification',
        'bytes written/byte of user data',
        (flushedBytes + writtenBytes) / (batches * batchBytes),
      ),
      row('read amplification, mean', 'tables', this.#runs.mean),
      row('read amplification, max', 'tables', this.#runs.max),
      row('space amplification, mean', 'bytes/byte of compact tree', this.#space.mean),
      row('space amplification, max', 'bytes/byte of compact tree', this.#space.max),
      row('compact tree', 'MiB', this.#compactBytes / mib),
      row('compaction backlog, mean', 'MiB', this.#backlog.mean),
      row('compaction backlog, max', 'MiB', this.#backlog.max),
      row('writes stopped', 'ms', writes.stallMs - writesBefore.stallMs),
      row('writes delayed', 'ms', writes.delayMs - writesBefore.delayMs),
      row('RSS, max', 'MiB', this.#rss.max),
    ];
  }
}

async function folderBytes(directory: string): Promise<number> {
  const sizes = (await readdir(directory)).map(async (name) => {
    // It may be gone by now.
    const found = await stat(`${directory}/${name}`).catch(() => undefined);
    return found?.size ?? 0;
  });
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}

function rounded(figure: number): number {
  return Number(figure.toPrecision(4));
}
