/**
 * The newest writes, in order, in memory: entries in an arena, and an index of references to them; range tombstones
 * beside them. No entry is an object of its own to the garbage collector
 * (docs/decisions/2026-11-21-memtable-structure.md).
 *
 * Invariants:
 * - Entries are only added, and their references grow. A reader that remembers `lastReference` and passes over higher
 *   ones therefore sees the memtable as it was, whatever is written meanwhile.
 * - An entry written again (same key, same version) goes before the old one: the first of equals counts.
 * - A sealed memtable never changes again.
 */
import { assert } from '../../base/assert.js';
import type { LogIndex, Timestamp } from '../../base/ids.js';
import type { Found, Kind } from '../entry.js';
import type { TreeBatch } from '../tree-batch.js';
import { EntryArena } from './entry-arena.js';
import { EntryIndex, noPlace } from './entry-index.js';
import { MemtableRanges } from './memtable-ranges.js';

/** What an entry takes besides key and value: its header, and its share of a node that is two thirds full. */
export const entryOverheadBytes = 28;

export class Memtable {
  readonly entries = new EntryArena();
  readonly index = new EntryIndex(this.entries);
  readonly ranges = new MemtableRanges();
  #count = 0;
  #bytes = 0;
  #lastReference = 0;
  #smallestVersion = Number.MAX_SAFE_INTEGER;
  #largestVersion = 0;
  #largestEntryVersion = 0;
  readonly #startIndex: LogIndex;
  #appliedIndex: LogIndex;

  /** @param startIndex of the last batch before those that it will take */
  constructor(startIndex: LogIndex) {
    this.#startIndex = startIndex;
    this.#appliedIndex = startIndex;
  }

  /** Whether a batch was written to it; a batch may have no entries. */
  get hasBatches(): boolean {
    return this.#appliedIndex > this.#startIndex;
  }

  /** Number of entries and range tombstones. */
  get count(): number {
    return this.#count + this.ranges.count;
  }

  /** Of its entries and range tombstones, with what each costs besides key and value. */
  get bytes(): number {
    return this.#bytes + this.ranges.bytes;
  }

  /** What it has allocated: more than `bytes`, since it grows in steps. */
  get memoryBytes(): number {
    return this.entries.memoryBytes + this.index.memoryBytes + this.ranges.bytes;
  }

  /** Of the entry that was written last; 0 while it is empty. */
  get lastReference(): number {
    return this.#lastReference;
  }

  /** Of entries and range tombstones; 2^53 - 1 while it is empty. */
  get smallestVersion(): number {
    return this.#smallestVersion;
  }

  /** 0 while it is empty. */
  get largestVersion(): number {
    return this.#largestVersion;
  }

  /** Of entries alone; 0 while there is none. */
  get largestEntryVersion(): number {
    return this.#largestEntryVersion;
  }

  /** Of the last batch in it, or before it. */
  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  write(batch: TreeBatch, appliedIndex: LogIndex): void {
    if (appliedIndex <= this.#appliedIndex) assert(false, `applied index ${appliedIndex} after ${this.#appliedIndex}`);
    for (const { key, version, kind, value } of batch) this.#insert(key, version, kind, value);
    for (const tombstone of batch.rangeTombstones) {
      this.ranges.add(tombstone);
      this.#noteVersion(tombstone.version);
    }
    this.#appliedIndex = appliedIndex;
  }

  #insert(key: Uint8Array, version: number, kind: Kind, value: Uint8Array): void {
    const reference = this.entries.add(key, version, kind, value);
    this.index.insert(reference, key, version);
    this.#lastReference = reference;
    this.#count++;
    this.#bytes += key.length + value.length + entryOverheadBytes;
    if (version > this.#largestEntryVersion) this.#largestEntryVersion = version;
    this.#noteVersion(version);
  }

  #noteVersion(version: number): void {
    if (version < this.#smallestVersion) this.#smallestVersion = version;
    if (version > this.#largestVersion) this.#largestVersion = version;
  }

  /** The newest version of `key` at or below `at`, of the entries alone: not of range tombstones. */
  get(key: Uint8Array, at: Timestamp): Found | undefined {
    if (at < this.#smallestVersion) return undefined;
    const place = this.index.seek(key, at);
    if (place === noPlace) return undefined;
    const reference = this.index.at(place);
    return this.entries.hasKey(reference, key) ? this.entries.found(reference) : undefined;
  }
}
