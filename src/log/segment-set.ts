import { assert, defined } from '../base/assert.js';
import type { SegmentUse } from './entry-places.js';
import type { SegmentFile } from './segment-file.js';

/** The open segments, oldest first, with consecutive numbers; the last one is being written. */
export class SegmentSet implements SegmentUse {
  #segments: SegmentFile[] = [];

  add(segment: SegmentFile): void {
    const last = this.#segments.at(-1);
    assert(last === undefined || segment.segment === last.segment + 1, `segment ${segment.segment} leaves a gap`);
    this.#segments.push(segment);
  }

  /** Takes out the newest, which was never used. */
  takeNewest(): void {
    assert(this.newest.liveBytes === 0, 'the newest segment is in use');
    this.#segments.pop();
  }

  get count(): number {
    return this.#segments.length;
  }

  get oldest(): SegmentFile {
    return defined(this.#segments[0], 'the oldest segment');
  }

  get newest(): SegmentFile {
    return defined(this.#segments.at(-1), 'the newest segment');
  }

  get all(): readonly SegmentFile[] {
    return this.#segments;
  }

  get(segment: number): SegmentFile {
    return defined(this.#segments[segment - this.oldest.segment], `segment ${segment}`);
  }

  get bytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.allocatedBytes;
    return bytes;
  }

  retain(segment: number, bytes: number): void {
    this.get(segment).liveBytes += bytes;
  }

  release(segment: number, bytes: number): void {
    const file = this.get(segment);
    assert(file.liveBytes >= bytes, `segment ${segment} was released too often`);
    file.liveBytes -= bytes;
  }

  /** What the segments take that cannot go yet, and how much of it is live entries. */
  get pinned(): { readonly bytes: number; readonly liveBytes: number } {
    let bytes = 0;
    let liveBytes = 0;
    for (const segment of this.#segments) {
      liveBytes += segment.liveBytes;
      if (liveBytes > 0) bytes += segment.allocatedBytes;
    }
    return { bytes, liveBytes };
  }

  /** The oldest segment that holds a live entry, or is being written: those before it hold none. */
  get firstWithEntries(): number {
    for (const segment of this.#segments) if (segment.liveBytes > 0) return segment.segment;
    return this.newest.segment;
  }

  /** Whether `segment` is of the older half. */
  isOld(segment: number): boolean {
    return segment - this.oldest.segment < Math.floor(this.count / 2);
  }

  /** Takes out the segments before `first`, oldest first. */
  takeBefore(first: number): SegmentFile[] {
    assert(first <= this.newest.segment, 'the newest segment is always needed');
    return this.#segments.splice(0, Math.max(0, first - this.oldest.segment));
  }
}
