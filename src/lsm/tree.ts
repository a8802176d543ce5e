import { assert } from '../base/assert.js';
import type { LogIndex, Timestamp } from '../base/ids.js';
import type { MaybePromise } from '../base/promises.js';
import type { Disk } from '../env/disk.js';
import {
  checkedBounds,
  checkedIteratorOptions,
  checkIngestion,
  checkPath,
  checkReads,
  checkRead,
  checkWhole,
  checkWrite,
} from './arguments.js';
import { TreeClosedError } from './background-errors.js';
import { Callbacks } from './callbacks.js';
import { CallsUnderWay } from './calls-under-way.js';
import { writeCheckpoint } from './checkpoint.js';
import { backlogBytes } from './compaction/picker.js';
import type { Found } from './entry.js';
import { FlushWaiters } from './flush-waiters.js';
import { checkForeignFiles, requireForeign, takeFiles } from './ingest.js';
import type { KeyBounds } from './iterator/entry-iterator.js';
import type { IteratorOptions, TreeIterator, VersionIterator } from './iterator/tree-iterator.js';
import { Maintenance } from './maintenance.js';
import type { BudgetMember, MemtableBudget } from './memtable/memtable-budget.js';
import { MemtableQueue } from './memtable/memtable-queue.js';
import { treeMetrics, treeStats, type TreeMetrics, type TreeStats } from './metrics.js';
import { ReadViews } from './read-views.js';
import { verifySstable } from './sstable/verify-sstable.js';
import { TreeBatch } from './tree-batch.js';
import { valueFileMetrics } from './value/value-files.js';
import type { ValuePointer } from './value/value-file-format.js';
import { tableOptions, treeOptions, type TreeOptions } from './tree-options.js';
import { TreeReads } from './tree-reads.js';
import type { TreeResources } from './tree-resources.js';
import { currentFileName } from './version/file-names.js';
import { summarizeLevels } from './version/level-summary.js';
import { VersionSet } from './version/version-set.js';

export type { IteratorOptions } from './iterator/tree-iterator.js';
export type { TreeResources } from './tree-resources.js';

/**
 * An ordered store of versioned keys in one folder, which it has for itself. A library of its own: it knows nothing of
 * Raft but that a log outside of it replays, after a crash, the batches from `appliedIndex` on.
 *
 * - `write` is synchronous and volatile. What was written becomes durable by flushes, whole batches at a time and in
 *   the order of writing; a reopened tree has exactly the batches up to its `durableAppliedIndex`.
 * - Reads answer at once when all they need is in memory, else by a promise. They see every write before them. Read
 *   errors are DiskErrors and CorruptionErrors; never a wrong answer.
 * - Everything runs on one thread. Methods may be called while promises of others are pending; `close` comes last.
 */
export class Tree {
  readonly #memtables: MemtableQueue;
  readonly #versions: VersionSet;
  readonly #maintenance: Maintenance;
  readonly #options: TreeOptions;
  readonly #resources: TreeResources;
  readonly #reads: TreeReads;
  readonly #views: ReadViews;
  #writtenBytes = 0;
  readonly #budget: MemtableBudget;
  readonly #budgetMember: BudgetMember;
  readonly #durableCallbacks = new Callbacks<LogIndex>();
  readonly #failureCallbacks = new Callbacks<Error>();
  readonly #flushWaiters = new FlushWaiters();
  /** While tables are taken in: the safe point that is to hold afterwards. */
  #safePointAfterIngest: Timestamp | undefined;
  readonly #calls = new CallsUnderWay();
  #closed = false;
  #ended: Promise<void> | undefined;

  /** Whether there is a tree in the folder. One whose creation a crash interrupted does not count. */
  static exists(directory: string, disk: Disk): Promise<boolean> {
    return disk.exists(`${directory}/${currentFileName}`);
  }

  /** A new, empty tree, durable when this resolves. There must be none in the folder, which is made if it is missing. */
  static async create(directory: string, resources: TreeResources, options: Partial<TreeOptions> = {}): Promise<Tree> {
    const all = treeOptions(options);
    return new Tree(await VersionSet.create(directory, all.manifestBytesMax, resources), resources, all);
  }

  /**
   * The tree as its last durable flush or compaction left it. Rejects with a CorruptionError if a file is damaged or
   * missing, as far as that shows without reading the tables; see {@link verify}. On a full disk it can be read, and waits
   * for space before anything becomes durable.
   */
  static async open(directory: string, resources: TreeResources, options: Partial<TreeOptions> = {}): Promise<Tree> {
    const all = treeOptions(options);
    return new Tree(await VersionSet.open(directory, all.manifestBytesMax, resources), resources, all);
  }

  private constructor(versions: VersionSet, resources: TreeResources, options: TreeOptions) {
    this.#versions = versions;
    this.#options = options;
    this.#resources = resources;
    this.#budget = resources.memtableBudget;
    this.#memtables = new MemtableQueue(versions.appliedIndex, this.#budget);
    this.#maintenance = new Maintenance(this.#memtables, versions, resources, options, {
      onFlushed: (appliedIndex) => this.#flushed(appliedIndex),
      onFailed: (error) => this.#failed(error),
    });
    this.#views = new ReadViews({ memtables: this.#memtables, versions }, resources);
    const places = { memtables: this.#memtables, versions, rows: resources.rowCache.partition(), views: this.#views };
    this.#reads = new TreeReads(places, {
      isIngesting: () => this.#safePointAfterIngest !== undefined,
      isClosed: () => this.#closed,
      onIterated: () => this.#maintenance.wakeIfSkipped(),
    });
    this.#budgetMember = this.#joinBudget();
    this.#maintenance.wake();
  }

  #joinBudget(): BudgetMember {
    const memtables = this.#memtables;
    const member: BudgetMember = {
      get sealableBytes(): number {
        return memtables.active.count === 0 ? 0 : memtables.active.memoryBytes;
      },
      seal: () => this.#seal(),
      onRoom: () => this.#maintenance.wake(),
    };
    this.#budget.join(member);
    return member;
  }

  #seal(): void {
    this.#memtables.seal();
    this.#maintenance.wake();
  }

  /**
   * Puts the batch into the active memtable, where reads see it at once. `appliedIndex` is greater than ever before.
   * Versions of the batch must be above the safe point, once one is set. The caller waits as long as {@link writeStall}
   * is defined: that is what bounds the memory. Throws `failure` if there is one, and a
   * BatchTooLargeError if the batch takes more than the budget allows for one write. A write that throws has changed nothing.
   */
  write(batch: TreeBatch, appliedIndex: LogIndex): void {
    assert(!this.#closed, 'a write to a closed tree');
    assert(this.#safePointAfterIngest === undefined, 'a write while tables are ingested');
    if (this.failure !== undefined) throw this.failure;
    if (!(batch instanceof TreeBatch)) assert(false, 'the batch must be a TreeBatch');
    checkWrite({ smallestVersion: batch.smallestVersion, appliedIndex, safePoint: this.#maintenance.safePoint });
    this.#memtables.write(batch, appliedIndex);
    this.#writtenBytes += batch.bytes;
    this.#reads.wrote(batch);
    this.#maintenance.wrote(batch.bytes);
    if (this.#memtables.active.bytes >= this.#options.memtableBytesMax) this.#seal();
  }

  /**
   * Defined while flushes or compactions are too far behind, or wait for space on the disk, here or in other trees of
   * the same budget. Resolves when that may be over: ask again. Rejects when the tree has failed or is closed.
   */
  writeStall(): Promise<void> | undefined {
    return this.#maintenance.stall();
  }

  /**
   * The newest version of `key` at or below `at`. A deleted key is found, as kind `delete`, while its tombstone lives, and
   * so is every key of a range that was deleted, with the version of that.
   */
  get(key: Uint8Array, at: Timestamp): MaybePromise<Found | undefined> {
    assert(!this.#closed, 'a read from a closed tree');
    checkRead(key, at);
    return this.#reads.get(key, at);
  }

  /** What {@link get} finds for each key, of one time; in the order of `keys`. */
  getMany(keys: readonly Uint8Array[], at: Timestamp): MaybePromise<readonly (Found | undefined)[]> {
    assert(!this.#closed, 'a read from a closed tree');
    checkReads(keys, at);
    return this.#reads.getMany(keys, at);
  }

  /**
   * Each key with its newest version at or below `at`, deleted keys left out, as the tree is now. All keys ascending, and
   * the newest versions, where `options` do not say otherwise. Must be closed.
   */
  openIterator(options: Partial<IteratorOptions> = {}): TreeIterator {
    assert(!this.#closed, 'a read from a closed tree');
    return this.#reads.openIterator(checkedIteratorOptions(options));
  }

  /**
   * All versions, tombstones too, by key and from the newest to the oldest, as the tree is now; also those that a range
   * tombstone hides. Must be closed.
   */
  openVersionIterator(bounds: Partial<KeyBounds> = {}): VersionIterator {
    assert(!this.#closed, 'a read from a closed tree');
    return this.#reads.openVersionIterator(checkedBounds(bounds));
  }

  /** Of the last batch that was written; after an opening, of the last one that the tree has: a log replays what comes after it. */
  get appliedIndex(): LogIndex {
    return this.#memtables.active.appliedIndex;
  }

  /**
   * Of the last batch that a crash cannot take away: a log may forget it. As {@link appliedIndex} after an opening, but 0 after
   * one on a full disk, until there is space.
   */
  get durableAppliedIndex(): LogIndex {
    return this.#versions.durableAppliedIndex;
  }

  /** `callback` learns of every new `durableAppliedIndex`. What it throws is an uncaught exception, and nothing to the tree. */
  onDurable(callback: (appliedIndex: LogIndex) => void): void {
    this.#durableCallbacks.add(callback);
  }

  /**
   * No read will be made below `version`, and no write at or below it: versions that a newer one at or below it has
   * replaced may go, and so may tombstones at or below it that hide nothing. Lower than before: no effect. It is not
   * stored: after an opening, a log replays first and then sets it.
   */
  setSafePoint(version: Timestamp): void {
    checkWhole(version, 'the safe point');
    if (this.#safePointAfterIngest === undefined) this.#maintenance.setSafePoint(version);
    else if (version > this.#safePointAfterIngest) this.#safePointAfterIngest = version;
  }

  /** Makes durable all that is written until now. */
  async flush(): Promise<void> {
    assert(!this.#closed, 'a flush of a closed tree');
    if (this.failure !== undefined) throw this.failure;
    const appliedIndex = this.appliedIndex;
    if (this.durableAppliedIndex === appliedIndex) return;
    if (this.#memtables.active.hasBatches) this.#memtables.seal();
    const flushed = this.#flushWaiters.wait(appliedIndex);
    this.#maintenance.wake();
    await flushed;
  }

  /**
   * Makes a tree of its own in a new folder of the same file system, durable when this resolves, that has all that is
   * written until now, at least, of the keys within `bounds`. It takes no space but for what compactions rewrite.
   * Resolves to its `durableAppliedIndex`. Rejects with a DiskError `exists` if there is something at `directory`; what a
   * crash leaves there is a whole tree, or none (see {@link exists}) and to be removed. A TreeClosedError leaves nothing.
   */
  checkpoint(directory: string, bounds: Partial<KeyBounds> = {}): Promise<LogIndex> {
    return this.#calls.run(async (closing) => {
      checkPath(directory, 'the directory');
      const checked = checkedBounds(bounds);
      await this.flush();
      const appliedIndex = this.durableAppliedIndex;
      const content = { version: this.#versions.current, appliedIndex, bounds: checked };
      await writeCheckpoint(this.#resources.disk, directory, content, closing);
      return appliedIndex;
    });
  }

  /**
   * Takes in the entries of tables from elsewhere, all or none of them, as if they were written now as one batch with
   * that index; of equal entries those of later tables count. The files are read whole and checked first; they must be on
   * the tree's file system and never change, and keep their own names. Durable when this resolves. No write meanwhile.
   * They take no space of their own, but for tables that point to value files: those are written again.
   * Tables that are given by themselves are taken whole. The bounds of a checkpoint are in its manifest alone: give its
   * folder, or that of any tree that nobody has open, for exactly the entries that it has as a tree.
   * Waits for {@link writeStall} by itself, when the files are checked.
   * Rejects with a CorruptionError, IngestError or DiskError that names a file, and then nothing has happened; with a
   * TreeClosedError when the tree is closed meanwhile; with `failure` if there is one.
   * @param paths of tables, and of folders of trees
   */
  ingest(paths: readonly string[], appliedIndex: LogIndex): Promise<void> {
    return this.#calls.run((closing) => this.#ingest(paths, appliedIndex, closing));
  }

  async #ingest(paths: readonly string[], appliedIndex: LogIndex, closing: AbortSignal): Promise<void> {
    assert(this.#safePointAfterIngest === undefined, 'tables are ingested already');
    checkIngestion({ paths, appliedIndex, appliedBefore: this.appliedIndex });
    requireForeign(paths, this.#versions.directory);
    const { safePoint } = this.#maintenance;
    // A tombstone that the new entries are newer than hides nothing of them, and no other may go before they are seen.
    this.#safePointAfterIngest = safePoint;
    try {
      const checked = await checkForeignFiles(this.#resources.disk, paths, { safePoint, closing });
      await this.flush();
      for (let stall = this.writeStall(); stall !== undefined; stall = this.writeStall()) await stall;
      const options = { ...tableOptions(this.#options, 0), closing };
      const taken = await takeFiles(this.#resources.disk, checked, this.#versions, options);
      await this.#maintenance.adopt(taken, appliedIndex);
      this.#memtables.write(new TreeBatch(), appliedIndex);
      this.#reads.ingested();
      this.#flushed(appliedIndex);
    } finally {
      const after = this.#safePointAfterIngest;
      this.#safePointAfterIngest = undefined;
      this.setSafePoint(after);
    }
  }

  #flushed(durable: LogIndex): void {
    this.#views.warnIfOld();
    this.#flushWaiters.flushed(durable);
    this.#durableCallbacks.call(durable);
  }

  #failed(error: Error): void {
    this.#flushWaiters.failed(error);
    this.#failureCallbacks.call(error);
  }

  /** Why flushes and compactions have ended for good: the disk failed, or an input was damaged. The node must stop. */
  get failure(): Error | undefined {
    return this.#maintenance.failure;
  }

  /** `callback` learns of the failure when it comes, at once if it has come. What it throws is as with {@link onDurable}. */
  onFailure(callback: (error: Error) => void): void {
    const callbacks = this.failure === undefined ? this.#failureCallbacks : new Callbacks<Error>();
    callbacks.add(callback);
    if (this.failure !== undefined) callbacks.call(this.failure);
  }

  /** Whether a flush or compaction waits for space on the disk: the owner does well to take no more writes. */
  get outOfSpace(): boolean {
    return this.#maintenance.outOfSpace;
  }

  stats(): TreeStats {
    const { levels, valueFiles } = this.#versions.current;
    return treeStats({
      levels,
      valueFiles,
      memtables: { bytes: this.#memtables.bytes, sealed: this.#memtables.sealedCount },
      maintenance: this.#maintenance.stats,
      stalled: this.#maintenance.isStopped,
    });
  }

  metrics(): TreeMetrics {
    const { levels, valueFiles } = this.#versions.current;
    return treeMetrics({
      values: valueFileMetrics(valueFiles),
      levels: summarizeLevels(levels),
      tables: levels,
      memtables: { bytes: this.#memtables.bytes, sealed: this.#memtables.sealedCount },
      writtenBytes: this.#writtenBytes,
      maintenance: this.#maintenance.stats,
      backlogBytes: backlogBytes(levels, this.#options),
      isStalled: this.#maintenance.isStopped,
      reads: this.#versions.readCounters,
      blockCache: this.#resources.blockCache,
      rows: this.#reads.rows,
      openFiles: this.#resources.openFiles,
      views: this.#views.metrics,
    });
  }

  /** Reads every byte of every file and checks all that can be checked. Rejects with the first CorruptionError. */
  async verify(): Promise<void> {
    assert(!this.#closed, 'a verification of a closed tree');
    const version = this.#versions.current;
    version.retain();
    try {
      await this.#versions.verify();
      for (const { reader } of version.sharedValues.values()) await reader.verify();
      const follow = (pointer: ValuePointer) => version.valueFile(pointer).verifyPointer(pointer);
      for (const { reader } of version.tables()) await verifySstable(reader, follow);
    } finally {
      version.release();
    }
  }

  /**
   * Ends the work behind the tree and closes its files. Does not flush: the log replays. Iterators that are still open
   * can only be closed afterwards; reads under way may reject with a TreeClosedError. Ingestions and checkpoints under way are cancelled and
   * waited for. A second call gives what the first one gave.
   */
  close(): Promise<void> {
    return (this.#ended ??= this.#end());
  }

  async #end(): Promise<void> {
    this.#closed = true;
    const closed = new TreeClosedError('the tree was closed');
    const cancelled = this.#calls.cancel(closed);
    try {
      await this.#maintenance.close();
      this.#flushWaiters.failed(closed);
      await cancelled;
      this.#budget.leave(this.#budgetMember);
      this.#memtables.release();
      this.#reads.rows.clear();
      await this.#versions.close();
    } finally {
      await this.#resources.owned?.[Symbol.asyncDispose]();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
