/** What the tests of trees share: the outside world of a tree, in memory, and small helpers. */
import { toHex, utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp, timestampMax } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import type { Background, Job, JobHandler } from '../../src/env/background.js';
import type { Clock } from '../../src/env/clock.js';
import type { Disk } from '../../src/env/disk.js';
import { silentLogger } from '../../src/env/logger.js';
import { BlockCache } from '../../src/lsm/block-cache.js';
import type { StoredKind } from '../../src/lsm/entry.js';
import { MemtableBudget } from '../../src/lsm/memtable/memtable-budget.js';
import { lsmJobs } from '../../src/lsm/jobs.js';
import { RowCache } from '../../src/lsm/row-cache.js';
import { OpenFiles } from '../../src/lsm/sstable/open-files.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import type { Tree, TreeResources } from '../../src/lsm/tree.js';
import { SimDisk } from '../../src/sim/disk.js';

/** Runs jobs in this thread; what goes in and out is cloned, as between threads. */
export function inlineBackground(disk: Disk): Background {
  return {
    async run<Input, Output>(job: Job<Input>, signal = new AbortController().signal): Promise<Output> {
      const handler = lsmJobs[job.type] as unknown as JobHandler<Input, Output>;
      return structuredClone(await handler(structuredClone(job.input), disk, signal));
    },
  };
}

/** Time passes when the test says so. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #timers: { readonly dueMs: number; readonly callback: () => void }[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMicros(): number {
    return this.#nowMs * 1000;
  }

  after(delayMs: number, callback: () => void): { cancel: () => void } {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  endOfTurn(callback: () => void): void {
    queueMicrotask(callback);
  }

  get timerCount(): number {
    return this.#timers.length;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ dueMs }) => dueMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ dueMs }) => dueMs > this.#nowMs);
    for (const { callback } of due) callback();
  }
}

export function newDisk(seed = 1): SimDisk {
  return new SimDisk({ random: new Prng(seed) });
}

export function treeResources(disk: Disk, overrides: Partial<TreeResources> = {}): TreeResources {
  return {
    disk,
    background: inlineBackground(disk),
    blockCache: new BlockCache(1 << 20),
    openFiles: new OpenFiles(4),
    rowCache: new RowCache(1 << 16),
    memtableBudget: new MemtableBudget({ bytesMax: 64 << 20, writeBytesMax: 4 << 20 }),
    logger: silentLogger,
    clock: new ManualClock(),
    ...overrides,
  };
}

export const treeDirectory = 'node/tree';

/** One put as one batch. */
export function put(tree: Tree, key: string, version: number, value: string): void {
  tree.write(new TreeBatch().put(utf8(key), Timestamp(version), utf8(value)), LogIndex(tree.appliedIndex + 1));
}

export function remove(tree: Tree, key: string, version: number): void {
  tree.write(new TreeBatch().delete(utf8(key), Timestamp(version)), LogIndex(tree.appliedIndex + 1));
}

export interface ShownRecord {
  readonly key: string;
  readonly version: number;
  readonly value: string;
}

export async function scan(
  tree: Tree,
  options: { lower?: string; upper?: string; at?: number; reverse?: boolean } = {},
): Promise<ShownRecord[]> {
  const iterator = tree.openIterator({
    lower: utf8(options.lower ?? ''),
    upper: options.upper === undefined ? undefined : utf8(options.upper),
    at: options.at === undefined ? timestampMax : Timestamp(options.at),
    reverse: options.reverse ?? false,
  });
  try {
    const records: ShownRecord[] = [];
    for (let record = await iterator.next(); record !== undefined; record = await iterator.next()) {
      const { key, version, value } = record;
      records.push({ key: text(key), version, value: text(value) });
    }
    return records;
  } finally {
    iterator.close();
  }
}

export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

interface ShowableEntry {
  readonly key: Uint8Array;
  readonly version: number;
  readonly kind: StoredKind;
  readonly value: Uint8Array;
}

/** One line for each entry: compared much faster than arrays of bytes. */
export function show(entries: readonly ShowableEntry[]): string {
  return entries.map(({ key, version, kind, value }) => `${toHex(key)} ${version} ${kind} ${toHex(value)}`).join('\n');
}

/** Lets all that is under way on a disk that has crashed find that out: nobody of that process is left to go on. */
export async function processIsDead(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** Waits until flushes and compactions have nothing left to do. */
export async function settled(tree: Tree): Promise<void> {
  await tree.flush();
  for (let before = '', quiet = 0; quiet < 20;) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = JSON.stringify(tree.stats());
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
}
