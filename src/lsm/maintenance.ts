/**
 * The work behind a tree: flushes, compactions, and the stall of writes while they are behind. One flush and one
 * compaction at a time. Work starts when something changed that may call for it, and goes on until nothing is left.
 *
 * A full disk is waited for, with growing pauses; writes go on into memtables until there are too many, so that what
 * was accepted before can be read. Any other failure is final: it ends all work, and the owner of the tree must stop,
 * since what a failed sync left behind is not known.
 */
import { assert } from '../base/assert.js';
import { errorOf } from '../base/errors.js';
import type { LogIndex, Timestamp } from '../base/ids.js';
import { Timestamp as timestamp } from '../base/ids.js';
import { TreeClosedError } from './background-errors.js';
import { CompactionRunner, type CompactionStats } from './compaction-runner.js';
import { FlushRunner, type FlushStats } from './flush-runner.js';
import type { TakenFiles } from './ingest.js';
import type { MaintenanceContext, MaintenanceResources } from './maintenance-context.js';
import type { MemtableQueue } from './memtable/memtable-queue.js';
import { SpaceRetry } from './space-retry.js';
import type { TreeOptions } from './tree-options.js';
import { noValueFiles, valueFileMetrics } from './value/value-files.js';
import type { VersionSet } from './version/version-set.js';
import { levelSizes, writeBacklogs, type LevelSizes } from './write-backlogs.js';
import type { Backlog } from './write-delay.js';
import { WriteGate, type WriteGateStats } from './write-gate.js';

/** Sums since the tree was opened. */
export interface MaintenanceStats extends FlushStats, CompactionStats, WriteGateStats {
  /** Whether a flush or compaction waits for space on the disk. */
  readonly outOfSpace: boolean;
}

export interface MaintenanceEvents {
  /** After each flush. */
  onFlushed(durableAppliedIndex: LogIndex): void;
  /** Once. */
  onFailed(error: Error): void;
}

export class Maintenance {
  readonly #context: MaintenanceContext;
  readonly #events: MaintenanceEvents;
  readonly #closing = new AbortController();
  readonly #gate: WriteGate;
  readonly #flushes: FlushRunner;
  readonly #compactions: CompactionRunner;

  #failure: Error | undefined;
  #safePoint: Timestamp = timestamp(0);
  #levelSizes: LevelSizes | undefined;
  #values = { files: noValueFiles, metrics: valueFileMetrics(noValueFiles) };
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
    const closing = this.#closing.signal;
    const space = new SpaceRetry({
      clock: resources.clock,
      pauseMsMin: options.noSpaceRetryMsMin,
      pauseMsMax: options.noSpaceRetryMsMax,
      closing,
      onWait: (what, pauseMs) => {
        resources.logger.warn('no space on the disk: waiting', { directory: versions.directory, what, pauseMs });
      },
    });
    this.#context = { memtables, versions, resources, options, space, closing, safePoint: () => this.#safePoint };
    this.#events = events;
    this.#gate = new WriteGate(
      resources.clock,
      () => this.#backlogs(),
      () => this.#mustStop(),
    );
    this.#flushes = new FlushRunner(this.#context, (appliedIndex) => {
      events.onFlushed(appliedIndex);
      this.wake();
    });
    this.#compactions = new CompactionRunner(this.#context, () => this.wake());
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  get stats(): MaintenanceStats {
    return { ...this.#flushes.stats, ...this.#compactions.stats, ...this.#gate.stats, outOfSpace: this.outOfSpace };
  }

  get outOfSpace(): boolean {
    return this.#context.space.isWaiting;
  }

  get safePoint(): Timestamp {
    return this.#safePoint;
  }

  setSafePoint(version: Timestamp): void {
    if (version <= this.#safePoint) return;
    this.#safePoint = version;
    if (version >= this.#compactions.dueFromSafePoint) this.wake();
  }

  /** See Tree.writeStall. */
  stall(): Promise<void> | undefined {
    return this.#gate.stall();
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
    if (this.#flushing === undefined && this.#flushes.isDue) {
      this.#flushing = this.#guard(this.#flushes.run()).then(() => {
        this.#flushing = undefined;
        this.wake();
      });
    }
    if (this.#compacting === undefined && this.#compactions.isDue) {
      this.#compacting = this.#guard(this.#compactions.run()).then(() => {
        this.#compacting = undefined;
        this.wake();
      });
    }
  }

  /** Reads have ended: wakes, if another table was passed over too often. */
  wakeIfSkipped(): void {
    const { tablesSkippedThrough } = this.#context.versions.readCounters;
    if (tablesSkippedThrough === this.#tablesSkippedThrough) return;
    this.#tablesSkippedThrough = tablesSkippedThrough;
    this.wake();
  }

  /** Never rejects: turns the failure of work into the failure of the tree. */
  async #guard(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#fail(errorOf(error));
    }
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    const { resources, versions } = this.#context;
    versions.refuseEdits(error);
    resources.logger.error('the tree has failed', { directory: versions.directory, error: error.message });
    this.#gate.shut(error);
    this.#events.onFailed(error);
  }

  /** Whether a backlog is at its end; see writeBacklogs. */
  #mustStop(): boolean {
    const { memtables, versions, resources, options } = this.#context;
    return (
      resources.memtableBudget.isFull ||
      memtables.sealedCount >= options.sealedMemtablesMax ||
      versions.current.levels[0].length >= options.level0TablesStall
    );
  }

  #backlogs(): readonly Backlog[] {
    const { memtables, versions, resources, options } = this.#context;
    const { levels, valueFiles } = versions.current;
    // Counted for each version of the tree once: writes ask all the time.
    if (this.#levelSizes?.levels !== levels) this.#levelSizes = levelSizes(levels);
    if (this.#values.files !== valueFiles) this.#values = { files: valueFiles, metrics: valueFileMetrics(valueFiles) };
    return writeBacklogs(
      {
        activeBytes: memtables.active.bytes,
        sealedCount: memtables.sealedCount,
        budget: resources.memtableBudget,
        levelSizes: this.#levelSizes,
        values: this.#values.metrics,
        flushRate: this.#flushes.bytesPerMs,
        level0Rate: this.#compactions.level0BytesPerMs,
        lastLevelRate: this.#compactions.lastLevelBytesPerMs,
        valueRate: this.#compactions.valueBytesPerMs,
      },
      options,
    );
  }

  /** Takes in tables from elsewhere; the later ones are newer. If that fails, the tree has failed. */
  async adopt(files: TakenFiles, appliedIndex: LogIndex): Promise<void> {
    const adopted = this.#compactions.adopt(files, appliedIndex);
    await this.#guard(adopted);
    await adopted;
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
