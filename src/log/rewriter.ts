/**
 * Keeps a few live entries from pinning a long log: writes those of the oldest segments again, at the log's end, as
 * records that replace nothing but where the entries lie. They go through the one queue like everything else, a little at
 * a time, and the segment goes once they are durable.
 *
 * It begins when the log is long and most of what it keeps is dead, so that a byte that is rewritten makes room for at
 * least `deadPerLiveMin`. And for each there must have been as many that were not, lest segments that come out half empty
 * are rewritten for ever: what is rewritten adds at most half to what is written anyway.
 */
import type { ShardId } from '../base/ids.js';
import { entriesBytes } from './batch.js';
import type { BatchWriter } from './batch-writer.js';
import type { EntriesPlace } from './entry-places.js';
import { readEntries } from './entry-reader.js';
import type { GroupState } from './group-state.js';
import type { SegmentSet } from './segment-set.js';

/** Dead bytes for each live one in what the log keeps, from which on it is rewritten; and written for each rewritten. */
const deadPerLiveMin = 2;
/** Entries that are in memory at a time, and go into one batch along with what is appended. */
const stepBytesMax = 1024 * 1024;

export interface RewriterOptions {
  readonly segments: SegmentSet;
  readonly groups: ReadonlyMap<ShardId, GroupState>;
  readonly writer: BatchWriter;
  readonly segmentBytesMax: number;
  /** A log of no more than this is left as it is. */
  readonly rewriteBytesMin: number;
}

export class Rewriter {
  readonly #options: RewriterOptions;
  readonly #stepBytesMax: number;
  #running: Promise<void> | undefined;
  #isClosed = false;
  /** In the segments that the log was opened with. */
  readonly #foundBytes: number;
  #rewrittenBytes = 0;

  constructor(options: RewriterOptions) {
    this.#options = options;
    this.#foundBytes = options.segments.bytes;
    this.#stepBytesMax = Math.min(stepBytesMax, Math.floor(options.segmentBytesMax / 4));
  }

  /** Records of entries that were written again, about. */
  get rewrittenBytes(): number {
    return this.#rewrittenBytes;
  }

  /** To be called when batches have become durable: rewrites for as long as it is worth it. */
  run(): void {
    if (this.#running !== undefined || !this.#isDue) return;
    this.#running = this.#rewriteOldest()
      .catch((error: unknown) => this.#options.writer.fail(error))
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Resolves when nothing is under way; nothing begins any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }

  get #isDue(): boolean {
    const { segments, writer, rewriteBytesMin } = this.#options;
    // On a full device the reserve is for hard states.
    if (this.#isClosed || writer.failed !== undefined || writer.isDeviceFull) return false;
    const { bytes, liveBytes } = segments.pinned;
    if (bytes <= rewriteBytesMin || bytes - liveBytes < deadPerLiveMin * liveBytes) return false;
    return this.#foundBytes + writer.writtenBytes >= (1 + deadPerLiveMin) * this.#rewrittenBytes;
  }

  async #rewriteOldest(): Promise<void> {
    const { segments, groups } = this.#options;
    const end = segments.newest.segment;
    for (let segment = segments.firstWithEntries; segment < end; segment = segments.firstWithEntries) {
      for (const group of groups.values()) {
        for (;;) {
          const places = group.planRewrite(segment, this.#stepBytesMax);
          if (places.length === 0) break;
          await this.#rewrite(group, places);
          if (!this.#isDue) return;
        }
      }
      if (segments.firstWithEntries === segment) return;
    }
  }

  /** Throws what the disk throws, and a CorruptionError when the entries are damaged. */
  async #rewrite(group: GroupState, places: readonly EntriesPlace[]): Promise<void> {
    const { segments, writer } = this.#options;
    const entries = await readEntries(segments, places, Infinity);
    if (!this.#isDue) return;
    const batch = writer.gathering;
    const rewrite = group.rewrite(entries);
    if (rewrite === undefined) return;
    batch.addEntries(group, rewrite);
    this.#rewrittenBytes += entriesBytes(rewrite.entries);
    await writer.want(batch);
  }
}
