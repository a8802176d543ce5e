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
import type { Background } from '../env/background.js';
import type { Clock } from '../env/clock.js';
import type { Disk } from '../env/disk.js';
import type { Logger } from '../env/logger.js';
import { reviveJobError, TreeClosedError } from './background-errors.js';
import { compactJobType, type CompactInput, type CompactOutput } from './compaction/compact-job.js';
import { pickCompaction, type CompactionDecision } from './compaction/picker.js';
import { editOfMerge, editOfMove, planMerge, type CompactDecision } from './compaction/plan-compaction.js';
import { flushJobType, type FlushInput } from './memtable/flush-job.js';
import type { Memtable } from './memtable/memtable.js';
import type { MemtableBudget } from './memtable/memtable-budget.js';
import type { MemtableQueue } from './memtable/memtable-queue.js';
import type { TableMetadata } from './sstable/sstable-format.js';
import { SpaceRetry } from './space-retry.js';
import { tableOptions, type TreeOptions } from './tree-options.js';
import { totalBytes } from './version/levels.js';
import type { VersionEdit } from './version/version-edit.js';
import type { VersionSet } from './version/version-set.js';
import { DrainRate, type Backlog } from './write-delay.js';
import { WriteGate, type WriteGateStats } from './write-gate.js';

export interface MaintenanceResources {
  readonly disk: Disk;
  readonly background: Background;
  readonly memtableBudget: MemtableBudget;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Sums since the tree was opened. */
export interface MaintenanceStats extends WriteGateStats {
  readonly flushes: number;
  readonly flushedBytes: number;
  readonly compactions: number;
  readonly compactionReadBytes: number;
  readonly compactionWrittenBytes: number;
  readonly compactionDroppedEntries: number;
  /** Tables that went a level down as they were. */
  readonly movedTables: number;
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
  readonly #gate: WriteGate;
  /** Of flushes; and of level 0 by compactions, of whatever level, since it waits for them. */
  readonly #flushRate = new DrainRate();
  readonly #level0Rate = new DrainRate();
  readonly #stats: Mutable<Omit<MaintenanceStats, 'outOfSpace' | keyof WriteGateStats>> = {
    flushes: 0,
    flushedBytes: 0,
    compactions: 0,
    compactionReadBytes: 0,
    compactionWrittenBytes: 0,
    compactionDroppedEntries: 0,
    movedTables: 0,
  };

  #failure: Error | undefined;
  #safePoint: Timestamp = timestamp(0);
  /** Of the read counters, when that was last looked at. */
  #tablesSkippedThrough = 0;
  /** The work under way; undefined when there is none. */
  #flushing: Promise<void> | undefined;
  #compacting: Promise<void> | undefined;

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
      },
    });
    this.#gate = new WriteGate(
      resources.clock,
      () => this.#backlogs(),
      () => this.#mustStop(),
    );
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  get stats(): MaintenanceStats {
    return { ...this.#stats, ...this.#gate.stats, outOfSpace: this.outOfSpace };
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
    return this.#gate.stall;
  }

  /** Whether no write may come now. */
  get isStopped(): boolean {
    return this.#failure !== undefined || this.#gate.isStopped;
  }

  /** The active memtable has taken so many bytes. */
  wrote(bytes: number): void {
    this.#gate.wrote(bytes);
  }

  /** Memtables or levels have changed: starts what is to do now. */
  wake(): void {
    if (this.#closing.signal.aborted || this.#failure !== undefined) return;
    this.#gate.update();
    if (this.#flushing === undefined && this.#memtables.sealedCount > 0) {
      this.#flushing = this.#guard(this.#flushAll()).then(() => {
        this.#flushing = undefined;
        this.wake();
      });
    }
    if (this.#compacting === undefined && this.#pick().type !== 'nothing') {
      this.#compacting = this.#guard(this.#compactAll()).then(() => {
        this.#compacting = undefined;
        this.wake();
      });
    }
  }

  /** Reads have ended: wakes, if another table was passed over too often. */
  wakeIfSkipped(): void {
    const { tablesSkippedThrough } = this.#versions.readCounters;
    if (tablesSkippedThrough === this.#tablesSkippedThrough) return;
    this.#tablesSkippedThrough = tablesSkippedThrough;
    this.wake();
  }

  #pick(): CompactionDecision {
    const version = this.#versions.current;
    const skipped = { numbers: version.tablesSkippedThrough(), safePoint: this.#safePoint };
    return pickCompaction(version.levels, this.#options, skipped);
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
    this.#gate.shut(error);
    this.#events.onFailed(error);
  }

  /** Whether a backlog is at its end; see `#backlogs`. */
  #mustStop(): boolean {
    const { sealedCount } = this.#memtables;
    const level0Tables = this.#versions.current.levels[0].length;
    return (
      this.#resources.memtableBudget.isFull ||
      sealedCount >= this.#options.sealedMemtablesMax ||
      level0Tables >= this.#options.level0TablesStall
    );
  }

  /** What writes wait for: see docs/decisions/2026-11-21-write-delay.md. */
  #backlogs(): readonly Backlog[] {
    const { memtableBytesMax, sealedMemtablesMax, level0TablesCompact, level0TablesStall } = this.#options;
    const { active, sealedCount } = this.#memtables;
    const budget = this.#resources.memtableBudget;
    const flushRate = this.#flushRate.bytesPerMs;
    // The active memtable counts as far as it is filled: what writes add shows at once, not a table at a time.
    const memtables = sealedCount + Math.min(0.99, active.bytes / memtableBytesMax);
    const level0Tables = this.#versions.current.levels[0].length;
    // Memtables make level 0 press, but do not stop writes before they are there.
    const nearStall = level0TablesStall - 0.01;
    return [
      {
        // The first sealed one is being flushed.
        used: sealedCount === 0 ? 0 : memtables,
        slowFrom: 1 + (sealedMemtablesMax - 1) / 3,
        stopAt: sealedMemtablesMax,
        drainBytesPerMs: flushRate,
      },
      {
        used: budget.bytes,
        slowFrom: budget.stopBytes * 0.75,
        stopAt: budget.stopBytes,
        drainBytesPerMs: flushRate,
      },
      {
        used:
          level0Tables < level0TablesCompact
            ? 0
            : Math.max(level0Tables, Math.min(level0Tables + memtables, nearStall)),
        slowFrom: (level0TablesCompact + level0TablesStall) / 2,
        stopAt: level0TablesStall,
        // A guess until a compaction was measured: it reads and writes what a flush writes, and what it merges with.
        drainBytesPerMs: this.#level0Rate.bytesPerMs ?? (flushRate && flushRate / 4),
      },
    ];
  }

  async #flushAll(): Promise<void> {
    for (let memtable = this.#memtables.oldestSealed; memtable; memtable = this.#memtables.oldestSealed) {
      await this.#flush(memtable);
    }
  }

  async #flush(memtable: Memtable): Promise<void> {
    const startMs = this.#resources.clock.monotonicMs();
    const table = memtable.count === 0 ? undefined : await this.#space.run('flush', () => this.#writeTable(memtable));
    const added = table === undefined ? [] : [{ level: 0, table }];
    await this.#applyEdit({ removed: [], added, appliedIndex: memtable.appliedIndex });
    this.#memtables.dropOldestSealed(memtable);
    this.#flushRate.add(memtable.bytes, this.#resources.clock.monotonicMs() - startMs);
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
    const input: FlushInput = {
      ...tableOptions(this.#options, 0),
      directory: this.#versions.directory,
      number,
      safePoint: this.#safePoint,
      buffers: memtable.entries.buffers,
      references: memtable.index.references(),
    };
    return this.#resources.background.run({ type: flushJobType, input, isUrgent: true }, this.#closing.signal);
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
      const decision = this.#pick();
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
    const startMs = this.#resources.clock.monotonicMs();
    const output = await this.#space.run('compaction', () => this.#runCompaction(decision));
    await this.#applyEdit(editOfMerge(decision, output));
    const { level, upper, lower } = decision;
    this.#level0Rate.add(level === 0 ? totalBytes(upper) : 0, this.#resources.clock.monotonicMs() - startMs);
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
      ...tableOptions(this.#options, decision.outputLevel),
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
    this.#gate.shut(closed);
    await Promise.all([this.#flushing, this.#compacting]);
  }
}
