import { defined } from '../../base/assert.js';
import type { Prng } from '../../base/prng.js';
import { BlockCache } from '../../lsm/block-cache.js';
import { lsmJobs } from '../../lsm/jobs.js';
import { MemtableBudget } from '../../lsm/memtable/memtable-budget.js';
import { RowCache } from '../../lsm/row-cache.js';
import { OpenFiles } from '../../lsm/sstable/open-files.js';
import type { TreeResources } from '../../lsm/tree.js';
import { SimBackground } from '../background.js';
import { SimClock } from '../clock.js';
import { SimDisk, type CrashKeeps } from '../disk.js';
import { SimLog } from '../logger.js';
import { SimProcess } from '../process.js';
import { Scheduler, type RunTurns } from '../scheduler.js';
import { Disagreement } from './disagreement.js';
import type { CacheSizes } from './engine-plan.js';

export type Outcome<T> =
  | { readonly type: 'done'; readonly value: T }
  | { readonly type: 'failed'; readonly error: unknown }
  /** The process is dead. */
  | { readonly type: 'down' }
  /** Not settled in time. */
  | { readonly type: 'late' };

/** A simulated machine for trees: a disk, and one process after another on it. */
export class EngineMachine {
  readonly disk: SimDisk;
  readonly scheduler: Scheduler;
  readonly log: SimLog;
  readonly #random: Prng;
  #process: SimProcess | undefined;
  #resources: TreeResources | undefined;
  #sizes: CacheSizes | undefined;

  constructor(options: { readonly random: Prng; readonly runTurns: RunTurns; readonly disk?: SimDisk }) {
    this.#random = options.random.split('machine');
    this.disk = options.disk ?? new SimDisk({ random: options.random.split('disk') });
    this.scheduler = new Scheduler(options.runTurns);
    this.log = new SimLog(this.scheduler, { linesMax: 1000 });
  }

  /** A new process, with empty caches of these sizes. */
  start(sizes: CacheSizes): TreeResources {
    const process = new SimProcess(this.scheduler, 'engine');
    const disk = this.disk.mount(this.scheduler, process);
    const random = this.#random.split('background');
    const size = random.int(1, 2);
    this.#process = process;
    this.#sizes = sizes;
    this.#resources = {
      disk,
      background: new SimBackground({ scheduler: this.scheduler, process, disk, jobs: lsmJobs, random, size }),
      blockCache: new BlockCache(sizes.blockCacheBytesMax),
      openFiles: new OpenFiles(sizes.openTablesMax),
      rowCache: new RowCache(sizes.rowCacheBytesMax),
      memtableBudget: new MemtableBudget({
        bytesMax: sizes.memtablesBytesMax,
        writeBytesMax: sizes.memtablesBytesMax / 4,
      }),
      logger: this.log.logger(),
      clock: new SimClock(this.scheduler, process),
    };
    return this.#resources;
  }

  get isUp(): boolean {
    return this.#process?.state === 'running';
  }

  /** The process ends, by itself (`all`) or with the power. */
  stop(keep: CrashKeeps): void {
    this.#process?.kill();
    this.disk.crash({ keep });
  }

  /** Lets time pass until `work` is settled, the process is dead, or so many milliseconds have passed. */
  async complete<T>(work: Promise<T>, limitMs: number): Promise<Outcome<T>> {
    let outcome: Outcome<T> | undefined;
    work.then(
      (value) => (outcome = { type: 'done', value }),
      (error: unknown) => (outcome = { type: 'failed', error }),
    );
    const isOver = (): boolean => outcome !== undefined || !this.isUp;
    await this.scheduler.runUntil(isOver, this.scheduler.nowMs + limitMs);
    if (outcome !== undefined) return outcome;
    return { type: this.isUp ? 'late' : 'down' };
  }

  /** The bounds that every cache and budget promises to keep, at any time: see docs/simulator.md. */
  checkMemory(): void {
    const { blockCache, rowCache, memtableBudget, openFiles } = defined(this.#resources, 'resources');
    const sizes = defined(this.#sizes, 'sizes');
    const bounds = [
      ['the block cache', blockCache.bytes, Math.max(blockCache.chargedBytes, sizes.blockCacheBytesMax)],
      ['the row cache', rowCache.bytes, sizes.rowCacheBytesMax],
      ['the memtables', memtableBudget.bytes, sizes.memtablesBytesMax],
      ['open files', openFiles.count, sizes.openTablesMax],
    ] as const;
    for (const [what, used, max] of bounds) {
      if (used > max) throw new Disagreement(`${what}: ${used}, more than ${max}`);
    }
  }
}
