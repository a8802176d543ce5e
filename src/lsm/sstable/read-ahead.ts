import { assert } from '../../base/assert.js';
import { emptyBytes } from '../../base/bytes.js';
import { rejection, type MaybePromise } from '../../base/promises.js';

/** Where something is in a file. */
export interface Place {
  readonly offset: number;
  readonly length: number;
}

/** A file whose parts are read ahead: the blocks of a table, or the values of a value file. */
export interface ReadAheadSource<Part extends Place> {
  readonly fileBytes: number;
  /** Of a part that is within the file, or else throws. */
  lengthOf(part: Part): number;
  /** See DiskFile. What is read is not checked. */
  readNow(target: Uint8Array, offset: number): number | undefined;
  read(target: Uint8Array, offset: number): Promise<number>;
  /** What the part holds. */
  readAlone(part: Part): MaybePromise<Uint8Array>;
  /** As {@link readAlone}, of a part that was read with others, and is checked now. @param stored its bytes in the file; not kept */
  fromStored(part: Part, stored: Uint8Array): Uint8Array;
}

/** Parts that are read one by one before it is sure enough that more will be wanted: most iterators end soon. */
const singleReads = 1;

/** What is read at a time, at first; four times as much each time after. So what is read in vain stays in proportion. */
const windowBytesMin = 16 * 1024;

/** Of a window that is read in the calling thread: a larger one saves nothing there, and takes the thread for longer. */
const windowBytesMaxNow = 64 * 1024;

/** What is missing of a window, and where it goes. */
interface Extension {
  /** In the file, of the window. */
  readonly start: number;
  /** Of the window. */
  readonly length: number;
  readonly target: Uint8Array;
  /** In the file, of what goes to `target`. */
  readonly offset: number;
}

/**
 * The parts of one file in the order of one iterator, those after its first: they are read some at a time. The memory for that
 * is its own and goes with it: what it reads in vain costs no cache anything, and what is handed out is no part of it. What a window
 * has of a part that it cuts off stays for the next one. A part of which a window has no two is read by itself. Why:
 * docs/decisions/2026-11-21-lsm-read-ahead.md.
 */
export class ReadAhead<Part extends Place> {
  readonly #source: ReadAheadSource<Part>;
  readonly #reverse: boolean;
  readonly #windowBytesMax: number;
  #misses = 0;
  #last: Place | undefined;
  #memory: Uint8Array = emptyBytes;
  /** Bytes of the file from `#start` on: the part of the memory that was read last. Not checked yet. */
  #window: Uint8Array = emptyBytes;
  #start = 0;
  #nextBytes = windowBytesMin;

  /** @param windowBytesMax read at a time */
  constructor(source: ReadAheadSource<Part>, reverse: boolean, windowBytesMax: number) {
    this.#source = source;
    this.#reverse = reverse;
    this.#windowBytesMax = windowBytesMax;
  }

  /** What fails is a promise, as if something had to be read. One call at a time. */
  part(part: Part): MaybePromise<Uint8Array> {
    this.#last = part;
    try {
      if (this.#covers(part)) return this.#take(part);
      if (2 * part.length > this.#windowBytesMax) return this.#source.readAlone(part);
      if (++this.#misses <= singleReads) return this.#source.readAlone(part);
      return this.#readWindow(part);
    } catch (error) {
      return rejection(error);
    }
  }

  /** Whether the part comes soon after the last one, in this direction. */
  isNear({ offset, length }: Place): boolean {
    if (this.#last === undefined) return false;
    const gap = this.#reverse
      ? this.#last.offset - (offset + length)
      : offset - (this.#last.offset + this.#last.length);
    return gap >= 0 && gap < windowBytesMin;
  }

  #covers({ offset, length }: Place): boolean {
    return offset >= this.#start && offset + length <= this.#start + this.#window.length;
  }

  #take(part: Part): Uint8Array {
    const from = part.offset - this.#start;
    return this.#source.fromStored(part, this.#window.subarray(from, from + part.length));
  }

  #readWindow(part: Part): MaybePromise<Uint8Array> {
    const bytes = this.#nextBytes;
    this.#nextBytes = Math.min(4 * bytes, this.#windowBytesMax);
    this.#keepStartOf(part);
    const now = this.#extend(part, Math.min(bytes, windowBytesMaxNow));
    const got = this.#source.readNow(now.target, now.offset);
    if (got !== undefined) return this.#takeOf(part, now, got);
    const extension = this.#extend(part, bytes);
    return this.#source.read(extension.target, extension.offset).then((read) => this.#takeOf(part, extension, read));
  }

  /** Of the window only what the part has of it stays: its first bytes, or its last ones in reverse. */
  #keepStartOf({ offset, length }: Place): void {
    const windowEnd = this.#start + this.#window.length;
    const from = this.#reverse ? this.#start : offset;
    const end = this.#reverse ? offset + length : windowEnd;
    const isCut = from < end && from >= this.#start && end <= windowEnd;
    this.#window = isCut ? this.#window.subarray(from - this.#start, end - this.#start) : emptyBytes;
    this.#start = isCut || !this.#reverse ? from : end;
  }

  /**
   * Memory for a window of so many bytes, or those of the part if they are more; without what lies beyond the file. What there
   * is of it already is put in its place: the rest is to be read.
   */
  #extend(part: Part, bytes: number): Extension {
    const { offset } = part;
    const length = this.#source.lengthOf(part);
    const wanted = Math.max(bytes, length);
    const end = this.#reverse ? offset + length : Math.min(offset + wanted, this.#source.fileBytes);
    const start = this.#reverse ? Math.max(end - wanted, 0) : offset;
    assert(end - start >= length, 'a window holds the part that it is read for');
    const kept = this.#window;
    const keptAt = this.#start - start;
    if (this.#memory.length < end - start) this.#memory = new Uint8Array(end - start);
    this.#memory.set(kept, keptAt);
    this.#window = this.#memory.subarray(keptAt, keptAt + kept.length);
    const [from, to] = this.#reverse ? [0, keptAt] : [kept.length, end - start];
    return { start, target: this.#memory.subarray(from, to), offset: start + from, length: end - start };
  }

  /** @param got how many bytes could be read */
  #takeOf(part: Part, { start, target, length }: Extension, got: number): Uint8Array {
    const missing = target.length - got;
    // In reverse what was kept comes behind what is missing.
    const there = missing > 0 && this.#reverse ? got : length - missing;
    this.#start = start;
    this.#window = this.#memory.subarray(0, there);
    return this.#take(part);
  }
}
