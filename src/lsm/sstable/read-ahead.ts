import { assert } from '../../base/assert.js';
import { emptyBytes } from '../../base/bytes.js';
import { rejection, type MaybePromise } from '../../base/promises.js';
import type { BlockHandle } from './sstable-format.js';
import type { SstableReader } from './sstable-reader.js';

/** Blocks that are read one by one before it is sure enough that more will be wanted: most iterators end soon. */
const singleReads = 1;

/** What is read at a time, at first; four times as much each time after. So what is read in vain stays in proportion. */
const windowBytesMin = 16 * 1024;
const windowBytesMax = 256 * 1024;

/** Of a window that is read in the calling thread: a larger one saves nothing there, and takes the thread for longer. */
const windowBytesMaxNow = 64 * 1024;

/**
 * The blocks of one table in the order of one iterator, those after its first: what is not cached is read some blocks at a
 * time. Its memory, 256 KiB at most, is its own and goes with it: what it reads in vain costs the cache nothing, and what
 * is handed out is no part of it. Why: docs/decisions/2026-11-21-lsm-read-ahead.md.
 */
export class ReadAhead {
  readonly #table: SstableReader;
  readonly #reverse: boolean;
  #misses = 0;
  #memory: Uint8Array = emptyBytes;
  /** Bytes of the file from `#start` on: the part of the memory that was read last. Not checked yet. */
  #window: Uint8Array = emptyBytes;
  #start = 0;
  #nextBytes = windowBytesMin;

  constructor(table: SstableReader, reverse: boolean) {
    this.#table = table;
    this.#reverse = reverse;
  }

  /** What fails is a promise, as if something had to be read. One call at a time. */
  block(handle: BlockHandle): MaybePromise<Uint8Array> {
    const cached = this.#table.cachedBlock(handle);
    if (cached !== undefined) return cached;
    try {
      if (this.#covers(handle)) return this.#take(handle);
      if (++this.#misses <= singleReads) return this.#table.uncachedBlock(handle);
      return this.#readWindow(handle);
    } catch (error) {
      return rejection(error);
    }
  }

  #covers({ offset, length }: BlockHandle): boolean {
    return offset >= this.#start && offset + length <= this.#start + this.#window.length;
  }

  #take(handle: BlockHandle): Uint8Array {
    const from = handle.offset - this.#start;
    return this.#table.blockOf(handle, this.#window.subarray(from, from + handle.length));
  }

  #readWindow(handle: BlockHandle): MaybePromise<Uint8Array> {
    const bytes = this.#nextBytes;
    this.#nextBytes = Math.min(4 * bytes, windowBytesMax);
    const now = this.#place(handle, Math.min(bytes, windowBytesMaxNow));
    const got = this.#table.readNow(now, this.#start);
    if (got !== undefined) return this.#takeOf(handle, now, got);
    const window = this.#place(handle, bytes);
    return this.#table.read(window, this.#start).then((read) => this.#takeOf(handle, window, read));
  }

  /** Memory for so many bytes, or those of the block if they are more; without what lies beyond the file. */
  #place(handle: BlockHandle, bytes: number): Uint8Array {
    const { offset } = handle;
    const length = this.#table.lengthOf(handle);
    const wanted = Math.max(bytes, length);
    const end = this.#reverse ? offset + length : Math.min(offset + wanted, this.#table.metadata.bytes);
    const start = this.#reverse ? Math.max(end - wanted, 0) : offset;
    assert(end - start >= length, 'a window holds the block that it is read for');
    if (this.#memory.length < end - start) this.#memory = new Uint8Array(end - start);
    this.#window = emptyBytes;
    this.#start = start;
    return this.#memory.subarray(0, end - start);
  }

  /** @param got how many bytes of the window could be read */
  #takeOf(handle: BlockHandle, window: Uint8Array, got: number): Uint8Array {
    this.#window = window.subarray(0, got);
    return this.#take(handle);
  }
}
