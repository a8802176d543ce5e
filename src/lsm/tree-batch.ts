import { emptyBytes } from '../base/bytes.js';
import type { Timestamp } from '../base/ids.js';
import type { Entry } from './entry.js';

/**
 * Entries that a tree takes as one: all of them or none survive a crash. The batch and the bytes that it was given
 * belong to the tree once it is written.
 */
export class TreeBatch implements Iterable<Entry> {
  readonly #entries: Entry[] = [];
  #bytes = 0;

  put(key: Uint8Array, version: Timestamp, value: Uint8Array): this {
    return this.#add({ key, version, kind: 'put', value });
  }

  delete(key: Uint8Array, version: Timestamp): this {
    return this.#add({ key, version, kind: 'delete', value: emptyBytes });
  }

  #add(entry: Entry): this {
    this.#entries.push(entry);
    this.#bytes += entry.key.length + entry.value.length;
    return this;
  }

  /** Number of entries. */
  get count(): number {
    return this.#entries.length;
  }

  /** Bytes of all keys and values. */
  get bytes(): number {
    return this.#bytes;
  }

  /** In the order in which they were added. */
  [Symbol.iterator](): Iterator<Entry> {
    return this.#entries[Symbol.iterator]();
  }
}
