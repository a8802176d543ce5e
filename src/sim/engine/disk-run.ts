/**
 * A tree on a real disk, with real worker threads, for minutes: random writes, reads and scans on data many times its
 * caches, closed and opened again on the way. What each key must hold is remembered in eight bytes a key; memory is
 * looked at all the time, and must stay within the bound that docs/simulator.md states.
 */
import { LogIndex, Timestamp, timestampMax } from '../../base/ids.js';
import { Prng } from '../../base/prng.js';
import type { TreeMetrics } from '../../lsm/metrics.js';
import { TreeBatch } from '../../lsm/tree-batch.js';
import type { Tree } from '../../lsm/tree.js';
import { requireEqual, requireThat } from './disagreement.js';
import { bytesOf, textOf } from './open-reads.js';

export interface DiskRunBudgets {
  readonly blockCacheBytesMax: number;
  readonly rowCacheBytesMax: number;
  readonly memtablesBytesMax: number;
  readonly backgroundThreads: number;
}

export interface DiskRunOptions {
  readonly seed: number;
  readonly minutes: number;
  /** Distinct keys that are written. */
  readonly keys: number;
  readonly budgets: DiskRunBudgets;
  /** Opens the tree, with what the run says of budgets; each time with another shape. */
  readonly open: (random: Prng) => Promise<Tree>;
  readonly nowMs: () => number;
  /** Of the process. */
  readonly residentBytes: () => number;
}

export interface DiskRunResult {
  readonly batches: number;
  readonly reopened: number;
  readonly residentBytesBefore: number;
  readonly residentBytesMax: number;
  readonly residentBytesBound: number;
  readonly metrics: TreeMetrics;
}

const mib = 1024 * 1024;
/** Of one thread: its heap, garbage that nobody collected yet, buffers of a merge, what its allocator keeps for later. */
const threadBytes = 128 * mib;

/** How much more memory than before the tree was opened the process may take. */
function residentGrowthBound(budgets: DiskRunBudgets): number {
  const { blockCacheBytesMax, rowCacheBytesMax, memtablesBytesMax, backgroundThreads } = budgets;
  // Caches turn over: what was evicted is garbage for a while. And the pool has one more thread, for urgent jobs.
  const threads = 1 + backgroundThreads + 1;
  return 2 * (blockCacheBytesMax + rowCacheBytesMax) + memtablesBytesMax + threads * threadBytes;
}

const entriesPerBatch = 64;
const getsPerBatch = 16;
const scanRecords = 200;
/** Batches between two of each. */
const every = { scan: 50, safePoint: 100, look: 20 } as const;
/** Of old versions that stay readable. */
const batchesKept = 500;
const reopenMs = 30_000;

export async function runOnDisk(options: DiskRunOptions): Promise<DiskRunResult> {
  const { budgets, nowMs, residentBytes, minutes } = options;
  const before = residentBytes();
  const bound = before + residentGrowthBound(budgets);
  const run = new DiskRun(options);
  const endMs = nowMs() + minutes * 60_000;
  let residentMax = before;
  let reopened = 0;
  await run.reopen();
  for (let nextReopenMs = nowMs() + reopenMs; nowMs() < endMs;) {
    await run.step();
    if (run.batches % every.look === 0) residentMax = Math.max(residentMax, residentBytes());
    requireThat(residentMax <= bound, `${residentMax} bytes of memory are in use, more than ${bound}`);
    if (nowMs() < nextReopenMs) continue;
    await run.reopen();
    reopened++;
    nextReopenMs = nowMs() + reopenMs;
  }
  const metrics = await run.finish();
  return {
    batches: run.batches,
    reopened,
    residentBytesBefore: before,
    residentBytesMax: residentMax,
    residentBytesBound: bound,
    metrics,
  };
}

class DiskRun {
  readonly #options: DiskRunOptions;
  readonly #random: Prng;
  /** By key: the batch that wrote it last; negative if that deleted it; 0 if none has written it. */
  readonly #lastWrites: Float64Array;
  #tree: Tree | undefined;
  batches = 0;

  constructor(options: DiskRunOptions) {
    this.#options = options;
    this.#random = new Prng(options.seed);
    this.#lastWrites = new Float64Array(options.keys);
  }

  /** Opens the tree, after closing it. What is not durable is lost with that, and written again. */
  async reopen(): Promise<void> {
    await this.#tree?.close();
    const tree = await this.#options.open(this.#random);
    this.#tree = tree;
    const { appliedIndex: opened } = tree;
    requireThat(opened <= this.batches, `the tree has batch ${opened} of ${this.batches}`);
    const lost = new Set<number>();
    for (let index = opened + 1; index <= this.batches; index++) {
      for (const { key } of this.#batch(index)) lost.add(key);
    }
    for (let i = 0; i < 500; i++) {
      const key = this.#random.int(0, this.#options.keys - 1);
      if (!lost.has(key)) await this.#checkGet(tree, key);
    }
    for (let index = opened + 1; index <= this.batches; index++) await this.#write(tree, index);
  }

  async step(): Promise<void> {
    const tree = this.#opened();
    this.batches++;
    await this.#write(tree, this.batches);
    for (const { key, isDeletion } of this.#batch(this.batches)) {
      this.#lastWrites[key] = isDeletion ? -this.batches : this.batches;
    }
    for (let i = 0; i < getsPerBatch; i++) await this.#checkGet(tree, this.#random.int(0, this.#options.keys - 1));
    if (this.batches % every.scan === 0) await this.#checkScan(tree);
    if (this.batches % every.safePoint === 0) tree.setSafePoint(Timestamp(Math.max(0, this.batches - batchesKept)));
  }

  async finish(): Promise<TreeMetrics> {
    const tree = this.#opened();
    await tree.flush();
    await tree.verify();
    const metrics = tree.metrics();
    await tree.close();
    return metrics;
  }

  #opened(): Tree {
    if (this.#tree === undefined) throw new Error('the tree is not open');
    return this.#tree;
  }

  /** The same each time. */
  #batch(index: number): { readonly key: number; readonly isDeletion: boolean }[] {
    const random = new Prng(this.#options.seed * 1_000_003 + index);
    return Array.from({ length: entriesPerBatch }, () => ({
      key: random.int(0, this.#options.keys - 1),
      isDeletion: random.chance(0.1),
    }));
  }

  async #write(tree: Tree, index: number): Promise<void> {
    for (let stall = tree.writeStall(); stall !== undefined; stall = tree.writeStall()) await stall;
    const batch = new TreeBatch();
    for (const { key, isDeletion } of this.#batch(index)) {
      if (isDeletion) batch.delete(nameOf(key), Timestamp(index));
      else batch.put(nameOf(key), Timestamp(index), bytesOf(valueOf(key, index)));
    }
    tree.write(batch, LogIndex(index));
  }

  async #checkGet(tree: Tree, key: number): Promise<void> {
    const found = await tree.get(nameOf(key), timestampMax);
    const value = found?.kind === 'put' ? textOf(found.value) : undefined;
    requireEqual(`get of key ${key}`, value, this.#expected(key));
  }

  async #checkScan(tree: Tree): Promise<void> {
    const reverse = this.#random.chance(0.5);
    const from = this.#random.int(0, this.#options.keys - 1);
    const [lower, upper] = reverse ? [bytesOf(''), nameOf(from)] : [nameOf(from), undefined];
    const iterator = tree.openIterator({ lower, upper, at: timestampMax, reverse });
    let key = reverse ? from - 1 : from;
    for (let i = 0; i < scanRecords; i++, key += reverse ? -1 : 1) {
      while (this.#lastWrites[key] <= 0) key += reverse ? -1 : 1;
      const next = await iterator.next();
      if (next === undefined) {
        requireThat(key < 0 || key >= this.#options.keys, `a scan from ${from} has ended before key ${key}`);
        break;
      }
      requireEqual(
        `the record of a scan`,
        [textOf(next.key), textOf(next.value)],
        [textOf(nameOf(key)), this.#expected(key)],
      );
    }
    iterator.close();
  }

  #expected(key: number): string | undefined {
    const index = this.#lastWrites[key];
    return index > 0 ? valueOf(key, index) : undefined;
  }
}

function nameOf(key: number): Uint8Array {
  return bytesOf(`key-${String(key).padStart(10, '0')}`);
}

/** 100 to 600 bytes, of which half can be compressed. */
function valueOf(key: number, index: number): string {
  const noise = String((key * 2_654_435_761 + index * 40_503) % 4_294_967_291);
  return `${key} ${index} `.padEnd(50 + (key % 250), noise).padEnd(100 + (key % 500), ' ');
}
