import { emptyBytes } from '../../base/bytes.js';
import type { MaybePromise } from '../../base/promises.js';

/** Read at a time, or what is asked for if that is more. */
const pieceBytes = 256 * 1024;

/** Fills `target` with what the file has from `offset` on, or rejects. */
type ReadBytes = (target: Uint8Array, offset: number) => Promise<void>;

/** A stretch of a file from front to back: it is read in large pieces, and handed out in whatever parts are asked for. */
export class SequentialBytes {
  readonly #read: ReadBytes;
  readonly #end: number;
  #memory: Uint8Array = emptyBytes;
  /** Bytes of the file from `#start` on: the part of the memory that was read last. */
  #piece: Uint8Array = emptyBytes;
  #start: number;
  /** In the file, of what comes next. */
  #offset: number;

  constructor(read: ReadBytes, start: number, end: number) {
    this.#read = read;
    this.#start = start;
    this.#offset = start;
    this.#end = end;
  }

  /** The next bytes, of which there are so many; a view until the next call. One call at a time. */
  take(length: number): MaybePromise<Uint8Array> {
    if (this.#offset + length > this.#start + this.#piece.length) return this.#takeOfNext(length);
    const from = this.#offset - this.#start;
    this.#offset += length;
    return this.#piece.subarray(from, from + length);
  }

  async #takeOfNext(length: number): Promise<Uint8Array> {
    const rest = this.#piece.subarray(this.#offset - this.#start);
    const bytes = Math.min(Math.max(length, pieceBytes), this.#end - this.#offset);
    if (this.#memory.length < bytes) this.#memory = new Uint8Array(bytes);
    this.#memory.set(rest);
    this.#piece = this.#memory.subarray(0, bytes);
    this.#start = this.#offset;
    await this.#read(this.#piece.subarray(rest.length), this.#start + rest.length);
    this.#offset += length;
    return this.#piece.subarray(0, length);
  }
}
