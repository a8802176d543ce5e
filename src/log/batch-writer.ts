import { defined } from '../base/assert.js';
import { errorOf } from '../base/errors.js';
import { DiskError, type Disk } from '../env/disk.js';
import type { Logger } from '../env/logger.js';
import { Batch } from './batch.js';
import { SegmentFile } from './segment-file.js';
import { batchHeaderBytes, proofOffset, segmentHeaderBytes } from './segment-format.js';
import type { SegmentSet } from './segment-set.js';
import type { SpareSegments } from './spare-segments.js';
import { BatchEncoder, encodeProof } from './segment-writer.js';

/**
 * Room in the newest segment that is made before it is needed, beyond its size too: when the device is full, hard
 * states and other small batches can still be written for a while, whether or not a new segment is due.
 */
const reserveBytesMax = 64 * 1024;

/** The reserve, and what gathers in one batch before the next one begins, of a log with segments of this size. */
export function writeSizes(segmentBytesMax: number): { readonly reserveBytes: number; readonly batchBytesMax: number } {
  const batchBytesMax = Math.floor(segmentBytesMax / 4);
  return { reserveBytes: Math.min(reserveBytesMax, batchBytesMax), batchBytesMax };
}

export interface BatchWriterOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly segmentBytesMax: number;
  readonly segments: SegmentSet;
  readonly spares: SpareSegments;
  /** Sequence number of the first batch that will be written. */
  readonly nextBatch: number;
  readonly logger: Logger;
}

/**
 * Group commit: one batch is written at a time, and what is asked for meanwhile gathers in the next. There is no timer;
 * the first batch after a pause takes what comes in the same turn. Each write to a segment is durable when it resolves.
 *
 * Order on disk, on which recovery relies: a batch is written only after the one before is durable; a segment is made only
 * after the last batch before it is durable, and is durable before it is used.
 */
export class BatchWriter {
  readonly #options: BatchWriterOptions;
  readonly #encoder = new BatchEncoder();
  /** Full batches that wait, and at the end the open one, which may be empty. */
  readonly #queue: Batch[] = [new Batch()];
  readonly #batchBytesMax: number;
  readonly #reserveBytes: number;
  #nextBatch: number;
  #nextBatchAtTick: number;
  /** The disk says of the batches below this one that they are durable. */
  #provenBefore: number;
  #running: Promise<void> | undefined;
  #failed: Error | undefined;
  #isDeviceFull = false;
  #syncs = 0;
  #writtenBytes = 0;
  #largestBatchBytes = 0;
  #recycledSegments = 0;
  /** Steps of {@link #run} that are done. */
  #stepsDone = 0;
  readonly #onDurable: () => void;
  readonly #onFailure: (error: Error) => void;

  constructor(
    options: BatchWriterOptions,
    events: { readonly onDurable: () => void; readonly onFailure: (error: Error) => void },
  ) {
    this.#options = options;
    const { batchBytesMax, reserveBytes } = writeSizes(options.segmentBytesMax);
    this.#batchBytesMax = batchBytesMax;
    this.#reserveBytes = reserveBytes;
    this.#nextBatch = options.nextBatch;
    this.#nextBatchAtTick = options.nextBatch;
    this.#provenBefore = options.nextBatch;
    this.#onDurable = events.onDurable;
    this.#onFailure = events.onFailure;
  }

  get failed(): Error | undefined {
    return this.#failed;
  }

  /** The device was full when room was to be made ahead, or a new segment. */
  get isDeviceFull(): boolean {
    return this.#isDeviceFull;
  }

  /** All batches below this one are durable. */
  get durableBefore(): number {
    return this.#nextBatch;
  }

  get syncs(): number {
    return this.#syncs;
  }

  /** What is being written or synced, by a number that is another for whatever comes next; undefined while nothing is. */
  get underWay(): number | undefined {
    return this.#running === undefined ? undefined : this.#stepsDone;
  }

  /** Of all batches that are durable. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  get largestBatchBytes(): number {
    return this.#largestBatchBytes;
  }

  /** Segments that were begun in a spare file. */
  get recycledSegments(): number {
    return this.#recycledSegments;
  }

  /** The batch that takes what is asked for now. It is written when it is wanted, or a later one is. */
  get gathering(): Batch {
    const last = this.#queue[this.#queue.length - 1];
    if (last.bytes < this.#batchBytesMax) return last;
    const next = new Batch();
    this.#queue.push(next);
    return next;
  }

  /** Resolves when `batch`, and so all before it, is durable; rejects when that can no longer come true. */
  want(batch: Batch): Promise<void> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    batch.isWanted = true;
    this.#running ??= this.#run('batch');
    return batch.durable.promise;
  }

  /** On a full device: looks whether there is room again. Writes no record, so that it costs nothing of the reserve. */
  lookForSpace(): void {
    if (this.#isDeviceFull && this.#failed === undefined) void this.want(this.gathering).catch(() => undefined);
  }

  /** To be called at regular times: when nothing was written since the last one, the last batch gets its proof. */
  tick(): void {
    const isPause = this.#nextBatch === this.#nextBatchAtTick && this.#running === undefined;
    this.#nextBatchAtTick = this.#nextBatch;
    if (isPause && this.#lacksProof) this.#running = this.#run('proof');
  }

  /** Makes everything durable that was asked for, and ends. Rejects when that failed. */
  async finish(): Promise<void> {
    const last = this.#queue[this.#queue.length - 1];
    if (!last.isEmpty && this.#failed === undefined) await this.want(last);
    await this.#running;
    if (this.#lacksProof) await this.#run('proof');
  }

  /** Ends everything: after a failed write nobody knows what is on disk, and trying again would hide it. */
  fail(thrown: unknown): void {
    if (this.#failed !== undefined) return;
    const error = errorOf(thrown);
    this.#failed = error;
    this.#options.logger.error('the log failed; nothing more is written', { error: error.message });
    for (const batch of this.#queue) batch.durable.reject(error);
    this.#onFailure(error);
  }

  get #lacksProof(): boolean {
    return this.#failed === undefined && this.#provenBefore < this.#nextBatch;
  }

  get #isWanted(): boolean {
    return this.#failed === undefined && (this.#queue.length > 1 || this.#queue[0].isWanted);
  }

  async #run(first: 'batch' | 'proof'): Promise<void> {
    try {
      // What else this turn asks for joins the first batch.
      await Promise.resolve();
      if (first === 'proof') await this.#writeProof();
      while (this.#isWanted) {
        const batch = this.#take();
        try {
          if (!batch.isEmpty) await this.#write(batch);
          else if (this.#isDeviceFull) await this.#tryToGrow();
        } catch (error) {
          batch.durable.reject(error);
          throw error;
        }
        batch.durable.resolve();
        this.#stepsDone++;
      }
    } catch (error) {
      this.fail(error);
    }
    this.#stepsDone++;
    this.#running = undefined;
  }

  /** From here on the batch gathers no more. */
  #take(): Batch {
    const batch = defined(this.#queue.shift(), 'the gathering batch');
    if (this.#queue.length === 0) this.#queue.push(new Batch());
    return batch;
  }

  async #write(batch: Batch): Promise<void> {
    const { segments, segmentBytesMax } = this.#options;
    const isSegmentDue =
      segments.newest.end > segmentHeaderBytes &&
      segments.newest.end + batch.bytes + batchHeaderBytes > segmentBytesMax;
    const isStuck = isSegmentDue && !(await this.#startSegment());
    this.#throwIfFailed();
    const file = segments.newest;
    const place = { segment: file.segment, offset: file.end, sequence: this.#nextBatch };
    const bytes = batch.encode(this.#encoder, place);
    const end = file.end + bytes.length;
    await this.#writeBatch(file, bytes);
    this.#syncs++;
    const hasReserve = await this.#growAhead(end);
    this.#throwIfFailed();
    const isDeviceFull = isStuck || !hasReserve;
    if (this.#isDeviceFull !== isDeviceFull) this.#deviceChanged(isDeviceFull);
    this.#writtenBytes += bytes.length;
    this.#largestBatchBytes = Math.max(this.#largestBatchBytes, bytes.length);
    file.end = end;
    this.#nextBatch++;
    batch.applyDurable(file.segment);
    this.#onDurable();
  }

  /** Of a sync of the folder elsewhere, perhaps, that has lost the name of the newest segment: its own succeeded all the same. */
  #throwIfFailed(): void {
    if (this.#failed !== undefined) throw this.#failed;
  }

  /**
   * One that is larger than the room ahead may find none while spares hold it. They go, and all of it is written again to its
   * place, so that nothing rests on the write that failed.
   */
  async #writeBatch(file: SegmentFile, bytes: Uint8Array): Promise<void> {
    try {
      await file.write(bytes, file.end);
    } catch (error) {
      const isFull = error instanceof DiskError && error.code === 'noSpace';
      if (!isFull || !(await this.#options.spares.giveUp())) throw error;
      await file.write(bytes, file.end);
    }
  }

  /** Makes room behind `end` of the newest segment; spares are given up for it. */
  async #growAhead(end: number): Promise<boolean> {
    const { segments, segmentBytesMax, spares } = this.#options;
    const grow = (): Promise<boolean> => segments.newest.growAhead(end, this.#reserveBytes, segmentBytesMax);
    return (await grow()) || ((await spares.giveUp()) && (await grow()));
  }

  async #tryToGrow(): Promise<void> {
    const { newest } = this.#options.segments;
    const { segmentBytesMax } = this.#options;
    const isSegmentDue = newest.end > segmentHeaderBytes && newest.end + this.#batchBytesMax > segmentBytesMax;
    const hasRoom = isSegmentDue ? await this.#startSegment() : await this.#growAhead(newest.end);
    if (hasRoom) this.#deviceChanged(false);
  }

  /** False when the device has no room for another segment: the newest one goes on, on its reserve. */
  async #startSegment(): Promise<boolean> {
    const { disk, directory, segments, segmentBytesMax, spares, logger } = this.#options;
    const header = { segment: segments.newest.segment + 1, firstBatch: this.#nextBatch };
    const spare = spares.take();
    let file = await SegmentFile.createIfRoom(disk, directory, header, segmentBytesMax, spare);
    if (file !== undefined && spare !== undefined) {
      this.#recycledSegments++;
      logger.debug('a log segment is written over an old one', { segment: header.segment });
    }
    if (file === undefined && (await spares.giveUp())) {
      file = await SegmentFile.createIfRoom(disk, directory, header, segmentBytesMax);
    }
    if (file === undefined) return false;
    segments.add(file);
    this.#provenBefore = this.#nextBatch;
    return true;
  }

  /**
   * Says on disk that the last batch is durable, so that damage to it is not taken for a torn write. The next batch
   * is such a proof itself, and so is a new segment; so while batches come one is written only where they pause. A full device
   * may refuse it: what is missing proves nothing, and nothing false. Later batches overwrite it.
   */
  async #writeProof(): Promise<void> {
    const file = this.#options.segments.newest;
    const place = { segment: file.segment, offset: proofOffset(file.end), sequence: this.#nextBatch };
    try {
      await file.write(encodeProof(place), place.offset);
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'noSpace')) throw error;
    }
    this.#provenBefore = this.#nextBatch;
  }

  #deviceChanged(isDeviceFull: boolean): void {
    this.#isDeviceFull = isDeviceFull;
    if (isDeviceFull) this.#options.logger.warn('the disk is full; the log lives on its reserve');
    else this.#options.logger.info('the log can grow again');
  }
}
