import type { MaybePromise } from '../../base/promises.js';
import { ReadAhead } from '../sstable/read-ahead.js';
import { decodeValuePointer, type ValuePointer } from './value-file-format.js';
import type { ValueFileReader } from './value-file-reader.js';

/** Read at a time; several values for each of which a read of its own costs much, and as much as the calling thread may read. */
const windowBytesMax = 64 * 1024;
/** Flushes write values in the order of keys, so that a scan takes turns with as many files as there were flushes. */
const filesMax = 16;

/**
 * The values that one iterator asks for, in its order. A flush and a merge write values in the order of keys: those that
 * follow each other in a value file, but for some garbage, are read some at a time. Its memory is 64 KiB for each file, of the
 * last 16 that it was in. A value that does not come after the one before it in its file is read by itself.
 */
export class ValuesAhead {
  readonly #fileOf: (pointer: ValuePointer) => ValueFileReader;
  readonly #reverse: boolean;
  /** By number; the one that was asked the longest ago first. */
  readonly #files = new Map<number, ReadAhead<ValuePointer>>();

  constructor(fileOf: (pointer: ValuePointer) => ValueFileReader, reverse: boolean) {
    this.#fileOf = fileOf;
    this.#reverse = reverse;
  }

  /** One call at a time. */
  value(encoded: Uint8Array): MaybePromise<Uint8Array> {
    const pointer = decodeValuePointer(encoded);
    const cached = this.#fileOf(pointer).cached(pointer);
    if (cached !== undefined) return cached;
    const before = this.#files.get(pointer.file);
    const ahead = before?.isNear(pointer) === true ? before : this.#from(pointer);
    this.#files.delete(pointer.file);
    this.#files.set(pointer.file, ahead);
    if (this.#files.size > filesMax) this.#forgetOldest();
    return ahead.part(pointer);
  }

  #from(pointer: ValuePointer): ReadAhead<ValuePointer> {
    return new ReadAhead(this.#fileOf(pointer), this.#reverse, windowBytesMax);
  }

  #forgetOldest(): void {
    for (const oldest of this.#files.keys()) {
      this.#files.delete(oldest);
      return;
    }
  }
}
