/**
 * The work behind a tree: flushes, compactions, and the stall of writes while they are behind. One flush and one
 * compaction at a time. Work starts when something changed that may call for it, and goes on until nothing is left.
 *
 * A full disk is waited for, with growing pauses; writes go on into memtables until there are too many, so that what
 * was accepted before can be read. Any other failure is final: it ends all work, and the owner of the tree must stop,
 * since what a failed sync left behind is not known.
 */
import { assert } from '../base/assert.js';
import type { LogIndex, Timestamp } from '../base/ids.js';
import { Timestamp as timestamp } from '../base/ids.js';
import { deferred, type Deferred } from '../base/promises.js';
import type { Background } from '../env/background.js';
import type { Clock } from '../env/clock.js';
import type { Disk } from '../env/disk.js';
import type { Logger } from '../env/logger.js';
import { reviveJobError, TreeClosedError } from './background-errors.js';
import { compactJobType, type CompactInput, type CompactOutput } from './compaction/compact-job.js';
import { pickCompaction } from './compaction/picker.js';
import { editOfMerge, editOfMove, planMerge, type CompactDecision } from './compaction/plan-compaction.js';
import { flushMemtable } from './memtable/flush-memtable.js';
import type { Memtable } from './memtable/memtable.js';
import type { MemtableBudget } from './memtable/memtable-budget.js';
import type { MemtableQueue } from './memtable/memtable-queue.js';
import type { TableMetadata } from './sstable/sstable-format.js';
import { SpaceRetry } from './space-retry.js';
import { tableOptions, type TreeOptions } from './tree-options.js';
import { totalBytes } from './version/levels.js';
import type { VersionEdit } from './version/version-edit.js';
import type { VersionSet } from './version/version-set.js';

export interface MaintenanceResources {
  readonly disk: Disk;
  readonly background: Background;
  readonly memtableBudget: MemtableBudget;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Sums since the tree was opened. */
export interface MaintenanceStats {
  readonly flushes: number;
  readonly flushedBytes: number;
  readonly compactions: number;
  readonly compactionReadBytes: number;
  readonly compactionWrittenBytes: number;
  readonly compactionDroppedEntries: number;
  /** Tables that went a level down as they were. */
  readonly movedTables: number;
  /** Times that writes had to wait, and for how long together. */
  readonly stalls: number;
  readonly stallMs: number;
  /** Whether a flush or compaction waits for space on the disk. */
  readonly outOfSpace: boolean;
}

export interface MaintenanceEvents {
  /** After each flush. */
  onFlushed(durableAppliedIndex: LogIndex): void;
  /** Once. */
  onFailed(error: Error): void;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export class Maintenance {
  readonly #memtables: MemtableQueue;
  readonly #versions: VersionSet;
  readonly #resources: MaintenanceResources;
  readonly #options: TreeOptions;
  readonly #events: MaintenanceEvents;
  readonly #closing = new AbortController();
  readonly #space: SpaceRetry;
  readonly #stats: Mutable<Omit<MaintenanceStats, 'outOfSpace'>> = {
    flushes: 0,
    flushedBytes: 0,
    compactions: 0,
    compactionReadBytes: 0,
    compactionWrittenBytes: 0,
    compactionDroppedEntries: 0,
    movedTables: 0,
    stalls: 0,
    stallMs: 0,
  };

  #failure: Error | undefined;
  #safePoint: Timestamp = timestamp(0);
  /** The work under way; undefined when there is none. */
  #flushing: Promise<void> | undefined;
  #compacting: Promise<void> | undefined;
  #stall: Deferred<void> | undefined;
  #stalledSinceMs = 0;

  constructor(
    memtables: MemtableQueue,
    versions: VersionSet,
    resources: MaintenanceResources,
    options: TreeOptions,
    events: MaintenanceEvents,
  ) {
    this.#memtables = memtables;
    this.#versions = versions;
    this.#resources = resources;
    this.#options = options;
    this.#events = events;
    this.#space = new SpaceRetry({
      clock: resources.clock,
      pauseMsMin: options.noSpaceRetryMsMin,
      pauseMsMax: options.noSpaceRetryMsMax,
      closing: this.#closing.signal,
      onWait: (what, pauseMs) => {
        resources.logger.warn('no space on the disk: waiting', { directory: versions.directory, what, pauseMs });
        this.#updateStall();
      },
    });
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  get stats(): MaintenanceStats {
    const stallMs = this.#stats.stallMs + (this.#stall === undefined ? 0 : this.#stalledForMs());
    return { ...this.#stats, stallMs, outOfSpace: this.outOfSpace };
  }

  #stalledForMs(): number {
    return this.#resources.clock.monotonicMs() - this.#stalledSinceMs;
  }

  get outOfSpace(): boolean {
    return this.#space.isWaiting;
  }

  get safePoint(): Timestamp {
    return this.#safePoint;
  }

  setSafePoint(version: Timestamp): void {
    if (version > this.#safePoint) this.#safePoint = version;
  }

  /** See Tree.writeStall. */
  get stall(): Promise<void> | undefined {
    // Writes to other trees can fill the budget without telling this one.
    this.#updateStall();
    return this.#stall?.promise;
  }

  /** Memtables or levels have changed: starts what is to do now. */
  wake(): void {
    if (this.#closing.signal.aborted || this.#failure !== undefined) return;
    this.#updateStall();
    if (this.#flushing === undefined && this.#memtables.sealedCount > 0) {
      this.#flushing = this.#guard(this.#flushAll()).then(() => {
        this.#flushing = undefined;
        this.wake();
      });
    }
    if (
      this.#compacting === undefined &&
      pickCompaction(this.#versions.current.levels, this.#options).type !== 'nothing'
    ) {
      this.#compacting = this.#guard(this.#compactAll()).then(() => {
        this.#compacting = undefined;
        this.wake();
      });
    }
  }

  /** Never rejects: turns the failure of work into the failure of the tree. */
  async #guard(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#fail(reviveJobError(error));
    }
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#resources.logger.error('the tree has failed', { directory: this.#versions.directory, error: error.message });
    this.#updateStall();
    this.#events.onFailed(error);
  }

  #updateStall(): void {
    if (this.#closing.signal.aborted) return;
    const stalled =
      this.#failure !== undefined ||
      this.#resources.memtableBudget.isFull ||
      this.#memtables.sealedCount >= this.#options.sealedMemtablesMax ||
      this.#versions.current.levels[0].length >= this.#options.level0TablesStall;
    if (stalled && this.#stall === undefined) {
      this.#stall = deferred();
      this.#stalledSinceMs = this.#resources.clock.monotonicMs();
      this.#stats.stalls++;
      // Nobody may be waiting when it is rejected.
      this.#stall.promise.catch(() => undefined);
    }
    if (this.#failure !== undefined) {
      this.#stall?.reject(this.#failure);
    } else if (!stalled && this.#stall !== undefined) {
      this.#stats.stallMs += this.#stalledForMs();
      this.#stall.resolve();
      this.#stall = undefined;
    }
  }

  async #flushAll(): Promise<void> {
    for (let memtable = this.#memtables.oldestSealed; memtable; memtable = this.#memtables.oldestSealed) {
      await this.#flush(memtable);
    }
  }

  async #flush(memtable: Memtable): Promise<void> {
    const table = memtable.count === 0 ? undefined : await this.#space.run('flush', () => this.#writeTable(memtable));
    const added = table === undefined ? [] : [{ level: 0, table }];
    await this.#applyEdit({ removed: [], added, appliedIndex: memtable.appliedIndex });
    this.#memtables.dropOldestSealed(memtable);
    this.#stats.flushes++;
    this.#stats.flushedBytes += table?.bytes ?? 0;
    this.#resources.logger.debug('memtable flushed', {
      directory: this.#versions.directory,
      appliedIndex: memtable.appliedIndex,
      table: table?.number,
      bytes: table?.bytes,
    });
    this.#events.onFlushed(memtable.appliedIndex);
    this.wake();
  }

  #writeTable(memtable: Memtable): Promise<TableMetadata> {
    const number = this.#versions.takeFileNumbers(1);
    const { directory } = this.#versions;
    const target = { disk: this.#resources.disk, directory, path: this.#versions.tablePath(number), number };
    return flushMemtable(memtable, target, this.#safePoint, tableOptions(this.#options, 0), this.#closing.signal);
  }

  /** The edit's tables are kept whatever happens: after a failure nobody knows which state a crash would show. */
  async #applyEdit(edit: VersionEdit): Promise<void> {
    await this.#space.run('edit of the manifest', () => this.#versions.apply(edit));
  }

  /** Makes an edit that is neither a flush nor a compaction. If that fails, the tree has failed. */
  async adopt(edit: VersionEdit): Promise<void> {
    const adopted = this.#applyEdit(edit);
    await this.#guard(adopted);
    await adopted;
    this.wake();
  }

  async #compactAll(): Promise<void> {
    for (;;) {
      this.#closing.signal.throwIfAborted();
      const { levels } = this.#versions.current;
      const decision = pickCompaction(levels, this.#options);
      switch (decision.type) {
        case 'nothing':
          return;
        case 'move':
          await this.#applyEdit(editOfMove(decision));
          this.#stats.movedTables += decision.tables.length;
          break;
        case 'compact':
          await this.#compact(decision);
          break;
      }
      this.wake();
    }
  }

  async #compact(decision: CompactDecision): Promise<void> {
    const output = await this.#space.run('compaction', () => this.#runCompaction(decision));
    await this.#applyEdit(editOfMerge(decision, output));
    const { level, upper, lower } = decision;
    const readBytes = totalBytes(upper) + totalBytes(lower);
    const writtenBytes = totalBytes(output.tables);
    this.#stats.compactions++;
    this.#stats.compactionReadBytes += readBytes;
    this.#stats.compactionWrittenBytes += writtenBytes;
    this.#stats.compactionDroppedEntries += output.entriesDropped;
    this.#resources.logger.debug('tables compacted', {
      directory: this.#versions.directory,
      level,
      inputs: upper.length + lower.length,
      outputs: output.tables.length,
      readBytes,
      writtenBytes,
    });
  }

  #runCompaction(decision: CompactDecision): Promise<CompactOutput> {
    const { sstableBytesTarget } = this.#options;
    // Only this compaction changes the levels that it reads; flushes add to level 0 meanwhile what is not its business.
    const plan = planMerge(this.#versions.current.levels, decision, {
      safePoint: this.#safePoint,
      memtableVersionMin: this.#memtables.smallestVersion,
      sstableBytesTarget,
    });
    const input: CompactInput = {
      ...plan,
      ...tableOptions(this.#options, decision.level + 1),
      directory: this.#versions.directory,
      firstOutputNumber: this.#versions.takeFileNumbers(plan.outputsMax),
      safePoint: this.#safePoint,
      sstableBytesTarget,
    };
    const signal = this.#closing.signal;
    return this.#resources.background.run<CompactInput, CompactOutput>({ type: compactJobType, input }, signal);
  }

  /** Cancels the work under way and waits for its end. A stall that is waited for is rejected. */
  async close(): Promise<void> {
    assert(!this.#closing.signal.aborted, 'a tree is closed once');
    const closed = new TreeClosedError('the tree was closed');
    this.#closing.abort(closed);
    this.#stall?.reject(closed);
    await Promise.all([this.#flushing, this.#compacting]);
  }
}
