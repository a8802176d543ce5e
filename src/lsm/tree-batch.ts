import { assert } from '../base/assert.js';
import { compareBytes, emptyBytes } from '../base/bytes.js';
import type { Timestamp } from '../base/ids.js';
import { checkBytes, checkWhole } from './arguments.js';
import type { Entry } from './entry.js';
import type { RangeTombstone } from './range/range-tombstones.js';

/**
 * Range deletions in one batch. Of n that overlap a read or a flush makes 2n ranges with up to n versions each at once: this many
 * take some milliseconds.
 */
export const batchRangeDeletionsMax = 256;

/**
 * Entries and range tombstones that a tree takes as one: all of them or none survive a crash. The batch and the bytes that it was given
 * belong to the tree once it is written. What is no key, value or version is refused, and the batch is as it was.
 */
export class TreeBatch implements Iterable<Entry> {
  readonly #entries: Entry[] = [];
  readonly #rangeTombstones: RangeTombstone[] = [];
  #bytes = 0;
  #smallestVersion = Number.MAX_SAFE_INTEGER;

  put(key: Uint8Array, version: Timestamp, value: Uint8Array): this {
    checkBytes(value, 'the value');
    return this.#add({ key, version, kind: 'put', value });
  }

  delete(key: Uint8Array, version: Timestamp): this {
    return this.#add({ key, version, kind: 'delete', value: emptyBytes });
  }

  /**
   * Deletes from `version` on every key from `lower` up to but without `upper`: what these keys have of versions below it,
   * written before or after this, reads at `version` or above it do not see. What is written at `version` itself they do.
   * `lower` must be below `upper`, and a batch takes {@link batchRangeDeletionsMax} of these, 256.
   */
  deleteRange(lower: Uint8Array, upper: Uint8Array, version: Timestamp): this {
    checkBytes(lower, 'lower');
    checkBytes(upper, 'upper');
    assert(compareBytes(lower, upper) < 0, 'a range to delete must not be empty, nor end before it starts');
    const isFull = this.#rangeTombstones.length >= batchRangeDeletionsMax;
    assert(!isFull, `a batch deletes at most ${batchRangeDeletionsMax} ranges`);
    this.#noteVersion(version);
    this.#rangeTombstones.push({ lower, upper, version });
    this.#bytes += lower.length + upper.length;
    return this;
  }

  #add(entry: Entry): this {
    checkBytes(entry.key, 'the key');
    this.#noteVersion(entry.version);
    this.#entries.push(entry);
    this.#bytes += entry.key.length + entry.value.length;
    return this;
  }

  #noteVersion(version: Timestamp): void {
    checkWhole(version, 'the version');
    if (version < this.#smallestVersion) this.#smallestVersion = version;
  }

  /** Of entries and range tombstones; 2^53 - 1 while there is none. */
  get smallestVersion(): number {
    return this.#smallestVersion;
  }

  /** Number of entries and range tombstones. */
  get count(): number {
    return this.#entries.length + this.#rangeTombstones.length;
  }

  /** In the order in which they were added. */
  get rangeTombstones(): readonly RangeTombstone[] {
    return this.#rangeTombstones;
  }

  /** Bytes of all keys and values, bounds of ranges included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The entries in the order in which they were added. */
  [Symbol.iterator](): Iterator<Entry> {
    return this.#entries[Symbol.iterator]();
  }
}
