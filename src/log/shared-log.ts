import { assert } from '../base/assert.js';
import type { ShardId } from '../base/ids.js';
import { DiskError, makeDurableDirectory, type Disk } from '../env/disk.js';
import type { Logger } from '../env/logger.js';
import type { Entry, HardState } from '../raft/types.js';
import { BatchWriter, writeSizes } from './batch-writer.js';
import { CacheMeter } from './entry-cache.js';
import { readEntries } from './entry-reader.js';
import { GroupLog, type GroupLogHost } from './group-log.js';
import { GroupState } from './group-state.js';
import { recover, type Recovered } from './recovery.js';
import { RecoveryPoint } from './recovery-point.js';
import type { TruncationType } from './record.js';
import { SegmentFile } from './segment-file.js';
import { segmentHeaderBytes, segmentName, type SegmentHeader } from './segment-format.js';
import { Rewriter } from './rewriter.js';
import type { SegmentSet } from './segment-set.js';
import { SpareSegments } from './spare-segments.js';

export interface SharedLogOptions {
  readonly disk: Disk;
  /** Holds nothing but the log's segments and what is said of them. Made where it is missing; the folder around it must be durable. */
  readonly directory: string;
  /**
   * A segment of this size is followed by a new one. A larger one comes only from a single batch that is larger, or
   * from a device without room for another segment.
   */
  readonly segmentBytesMax: number;
  /**
   * A log of more than this, of which less than a third is needed, has its oldest needed entries written again at its
   * end. So it takes no more than this or three times what is needed, but for a few segments.
   */
  readonly rewriteBytesMin: number;
  /** Files of segments that are no longer needed which are kept to be overwritten by new ones; 0 for none. */
  readonly spareSegmentsMax: number;
  /** Entries of all groups that are kept in memory though they are on disk. */
  readonly cacheBytesMax: number;
  readonly logger: Logger;
}

/** What one replica hands over, as in its Raft `Ready`. */
export interface Append {
  readonly hardState?: HardState | undefined;
  readonly entries: readonly Entry[];
  /** False, and no entries: the hard state is written with the next batch or at `close`; nobody waits for it. */
  readonly mustSync: boolean;
}

export interface SharedLogStats {
  readonly segments: number;
  /** Of all segment files, with room that was made ahead. */
  readonly bytes: number;
  /** Of files that are kept to be overwritten. */
  readonly spareBytes: number;
  readonly cachedBytes: number;
  /** Since the log was opened, as the following. */
  readonly syncs: number;
  readonly appends: number;
  /** The largest that was written at a time. */
  readonly batchBytesMax: number;
  /** Entries that were written again so that old segments could go. */
  readonly rewrittenBytes: number;
  /** Segments that were written over old ones. */
  readonly recycledSegments: number;
  /** The disk had no room for the log to grow ahead: hard states can be written, entries hardly. */
  readonly isDiskFull: boolean;
}

/**
 * The node's one write-ahead log, which all its Raft groups share. It has one writer at a time in its directory.
 *
 * A write that fails ends the log for good: that append, all that wait and all later ones reject, and nothing is tried
 * again, since nobody knows then what is on disk. Open it anew to go on.
 */
export class SharedLog {
  readonly #options: SharedLogOptions;
  readonly #states: Map<ShardId, GroupState>;
  readonly #logs = new Map<ShardId, GroupLog>();
  readonly #segments: SegmentSet;
  readonly #spares: SpareSegments;
  readonly #meter: CacheMeter;
  /** Groups with entries in memory, the one that appended least recently first. */
  readonly #cachedGroups = new Set<GroupState>();
  readonly #writer: BatchWriter;
  readonly #recoveryPoint: RecoveryPoint;
  readonly #rewriter: Rewriter;
  readonly #host: GroupLogHost;
  readonly #failureCallbacks: ((error: Error) => void)[] = [];
  /** Segments are being dropped. */
  #dropping: Promise<void> | undefined;
  #isClosed = false;
  #appends = 0;

  /**
   * Opens the log, or makes a new one where there is no directory. Rejects with a CorruptionError that names file and
   * offset when anything is damaged that may have been acknowledged, and with a DiskError (`noSpace`) where there is not even
   * room for a reserve.
   */
  static async open(options: SharedLogOptions): Promise<SharedLog> {
    const { disk, directory } = options;
    await makeDurableDirectory(disk, directory);
    const meter = new CacheMeter();
    const recovered = await recover({ disk, directory, meter, logger: options.logger });
    try {
      recovered.segments.add(await newestSegment(options, recovered.next));
    } catch (error) {
      for (const file of recovered.segments.all) await file.close().catch(() => undefined);
      throw error;
    }
    const log = new SharedLog(options, recovered, meter);
    log.#dropSegments();
    return log;
  }

  private constructor(options: SharedLogOptions, recovered: Recovered, meter: CacheMeter) {
    this.#options = options;
    this.#states = recovered.groups;
    this.#segments = recovered.segments;
    this.#spares = new SpareSegments(options);
    this.#meter = meter;
    this.#writer = new BatchWriter(
      { ...options, segments: recovered.segments, spares: this.#spares, nextBatch: recovered.next.firstBatch },
      { onDurable: () => this.#batchDurable(), onFailure: (error) => this.#writerFailed(error) },
    );
    this.#recoveryPoint = new RecoveryPoint({ ...options, onFailure: (error) => this.#writer.fail(error) });
    this.#rewriter = new Rewriter({ ...options, segments: this.#segments, groups: this.#states, writer: this.#writer });
    this.#host = {
      isOld: (segment) => this.#segments.isOld(segment),
      readEntries: (places, bytesMax) => readEntries(this.#segments, places, bytesMax),
      truncated: (group, type) => this.#recordTruncation(group, type),
    };
  }

  /** Groups with any record, in ascending order. */
  get groups(): readonly ShardId[] {
    const ids: ShardId[] = [];
    for (const state of this.#states.values()) if (state.hasRecords) ids.push(state.id);
    return ids.sort((a, b) => a - b);
  }

  /** The log of this group; an empty one, of which nothing is on disk, if it has no record yet. */
  group(id: ShardId): GroupLog {
    let log = this.#logs.get(id);
    if (log === undefined) {
      log = new GroupLog(this.#state(id), this.#host);
      this.#logs.set(id, log);
    }
    return log;
  }

  /**
   * Takes over `what`, entries included; it shows in the group's log at once. Entries replace what is there from the
   * first one's index on. Resolves when it is durable; in the order of the calls, of all groups.
   */
  append(id: ShardId, what: Append): Promise<void> {
    assert(!this.#isClosed, 'append to a closed log');
    if (this.#writer.failed !== undefined) return Promise.reject(this.#writer.failed);
    assert(what.mustSync || what.entries.length === 0, 'entries must be synced');
    const state = this.#state(id);
    const batch = this.#writer.gathering;
    this.#appends++;
    if (what.hardState !== undefined) {
      state.setHardState(what.hardState);
      batch.addHardState(state, what.hardState);
    }
    if (what.entries.length > 0) {
      batch.addEntries(state, state.append(what.entries));
      this.#cachedGroups.delete(state);
      this.#cachedGroups.add(state);
    }
    return what.mustSync ? this.#writer.want(batch) : Promise.resolve();
  }

  /**
   * The shard's replica here is gone: its group is forgotten at once, and durably when this resolves. {@link group} gives a
   * new one from now on; nobody uses what it gave before.
   */
  drop(id: ShardId): Promise<void> {
    assert(!this.#isClosed, 'a group is dropped of a closed log');
    if (this.#writer.failed !== undefined) return Promise.reject(this.#writer.failed);
    const state = this.#state(id);
    const batch = this.#writer.gathering;
    batch.addDropGroup(state);
    state.discard();
    this.#states.delete(id);
    this.#logs.delete(id);
    this.#cachedGroups.delete(state);
    return this.#writer.want(batch);
  }

  /** Set once a write failed: a DiskError, unless it was a bug. */
  get failed(): Error | undefined {
    return this.#writer.failed;
  }

  /** Calls `callback` when the log fails; at once if it has. */
  onFailure(callback: (error: Error) => void): void {
    if (this.#writer.failed !== undefined) callback(this.#writer.failed);
    else this.#failureCallbacks.push(callback);
  }

  /** What is being written or synced, by a number that is another for whatever comes next; undefined while nothing is. */
  get underWay(): number | undefined {
    return this.#writer.underWay;
  }

  /** The device had no room when the log was last to grow: it lives on its reserve. */
  get isDiskFull(): boolean {
    return this.#writer.isDeviceFull;
  }

  /** To be called now and then while the disk is full: has {@link isDiskFull} end when there is room again. */
  lookForSpace(): void {
    if (!this.#isClosed) this.#writer.lookForSpace();
  }

  /** There is no room on the disk, for whatever it may be: what is kept to be overwritten goes first. */
  giveUpSpares(): void {
    if (!this.#isClosed) this.#spares.giveUp().catch((error: unknown) => this.#writer.fail(error));
  }

  /** To be called at regular times. A batch that none follows from one to the next gets its proof on disk. */
  tick(): void {
    if (this.#isClosed || this.#writer.failed !== undefined) return;
    this.#writer.tick();
    this.#recoveryPoint.tick(this.#writer.durableBefore);
  }

  stats(): SharedLogStats {
    return {
      segments: this.#segments.count,
      bytes: this.#segments.bytes,
      spareBytes: this.#spares.bytes,
      cachedBytes: this.#meter.bytes,
      syncs: this.#writer.syncs,
      appends: this.#appends,
      batchBytesMax: this.#writer.largestBatchBytes,
      rewrittenBytes: this.#rewriter.rewrittenBytes,
      recycledSegments: this.#writer.recycledSegments,
      isDiskFull: this.isDiskFull,
    };
  }

  /** Waits for what is under way, reads too, and writes hard states that nobody waited for; rejects if that fails. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const rewriterClosed = this.#rewriter.close();
    try {
      await this.#writer.finish();
      await rewriterClosed;
      await this.#dropping;
    } finally {
      await this.#recoveryPoint.close(() =>
        this.#writer.failed === undefined ? this.#writer.durableBefore : undefined,
      );
      for (const file of this.#segments.all) await file.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #state(id: ShardId): GroupState {
    let state = this.#states.get(id);
    if (state === undefined) {
      state = new GroupState(id, this.#segments, this.#meter);
      this.#states.set(id, state);
    }
    return state;
  }

  #batchDurable(): void {
    this.#evict();
    this.#dropSegments();
    this.#rewriter.run();
  }

  #evict(): void {
    const { cacheBytesMax } = this.#options;
    for (const group of this.#cachedGroups) {
      if (this.#meter.bytes <= cacheBytesMax) return;
      group.evict(cacheBytesMax);
      if (!group.hasCachedEntries) this.#cachedGroups.delete(group);
    }
  }

  #recordTruncation(group: GroupState, type: TruncationType): void {
    if (this.#writer.failed !== undefined || this.#isClosed) return;
    const batch = this.#writer.gathering;
    batch.addTruncation(group, type);
    this.#writer.want(batch).catch(() => undefined);
    this.#dropSegments();
  }

  /**
   * Drops the oldest segments once they hold no live entry. Small records that still count and lie there are written
   * again first, with the number of the first segment that stays. They go through the one queue: once they are
   * durable, so is everything (truncations, replaced entries) that made the segments superfluous.
   */
  #dropSegments(): void {
    if (this.#dropping !== undefined || this.#isClosed || this.#writer.failed !== undefined) return;
    const first = this.#segments.firstWithEntries;
    if (first === this.#segments.oldest.segment) return;
    const batch = this.#writer.gathering;
    for (const group of this.#states.values()) {
      if (group.hardStateSegment !== undefined && group.hardStateSegment < first) {
        batch.addHardState(group, group.hardState);
      }
      if (group.truncationSegment !== undefined && group.truncationSegment < first) {
        batch.addTruncation(group, 'truncatePrefix');
      }
    }
    batch.addFirstSegment(first);
    this.#dropping = this.#writer
      .want(batch)
      .then(() => this.#spares.retire(this.#segments.takeBefore(first), { keep: !this.isDiskFull }))
      .catch((error: unknown) => this.#writer.fail(error))
      .finally(() => {
        this.#dropping = undefined;
        this.#dropSegments();
      });
  }

  #writerFailed(error: Error): void {
    for (const callback of this.#failureCallbacks) callback(error);
  }
}

/** On a disk that is nearly full, one that is no more than a reserve: hard states can be written, and room be waited for. */
async function newestSegment(
  { disk, directory, segmentBytesMax }: SharedLogOptions,
  header: SegmentHeader,
): Promise<SegmentFile> {
  const whole = await SegmentFile.createIfRoom(disk, directory, header, segmentBytesMax);
  if (whole !== undefined) return whole;
  const smallestBytes = segmentHeaderBytes + writeSizes(segmentBytesMax).reserveBytes;
  const smallest = await SegmentFile.createIfRoom(disk, directory, header, smallestBytes);
  if (smallest !== undefined) return smallest;
  const cause = new Error(`the log needs ${smallestBytes} free bytes to open`);
  throw new DiskError('noSpace', `${directory}/${segmentName(header.segment)}`, 'create', cause);
}
