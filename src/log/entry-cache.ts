import { assert } from '../base/assert.js';
import { LogIndex } from '../base/ids.js';
import type { Entry } from '../raft/types.js';

/** What an entry costs besides its data, about. */
const entryOverheadBytes = 64;

/** Bytes of all caches of a node. */
export class CacheMeter {
  bytes = 0;
}

/**
 * The newest entries of one group, in memory: a consecutive run that ends with the log's last entry. It holds at
 * least what is not on disk yet; who evicts sees to that.
 */
export class EntryCache {
  readonly #meter: CacheMeter;
  /** Slots before `#head` are free. */
  #entries: (Entry | undefined)[] = [];
  #head = 0;
  #firstIndex: number;

  /** @param firstIndex of the entry that will be added first */
  constructor(meter: CacheMeter, firstIndex: LogIndex) {
    this.#meter = meter;
    this.#firstIndex = firstIndex;
  }

  /** The oldest entry that is in memory; one after the log's last when none is. */
  get firstIndex(): LogIndex {
    return LogIndex(this.#firstIndex);
  }

  get #lastIndex(): number {
    return this.#firstIndex + this.#entries.length - this.#head - 1;
  }

  push(entry: Entry): void {
    assert(entry.index === this.#lastIndex + 1, `entry ${entry.index} after ${this.#lastIndex}`);
    this.#entries.push(entry);
    this.#meter.bytes += entryBytes(entry);
  }

  /** Removes the entries from `index` on; the next one that is added is `index`. */
  truncateFrom(index: LogIndex): void {
    while (this.#lastIndex >= index && this.#entries.length > this.#head) {
      const entry = this.#entries.pop();
      if (entry !== undefined) this.#meter.bytes -= entryBytes(entry);
    }
    if (this.#firstIndex > index) this.#firstIndex = index;
  }

  /** Removes the entries up to `index`. */
  dropThrough(index: LogIndex): void {
    while (this.#firstIndex <= index && this.#evictOldest());
  }

  /** Removes the oldest entries, none after `last`, while the node's caches hold more than `bytesMax`. */
  evict(last: LogIndex, bytesMax: number): void {
    while (this.#meter.bytes > bytesMax && this.#firstIndex <= last && this.#evictOldest());
  }

  /** Removes all; the next one that is added is `firstIndex`. */
  reset(firstIndex: LogIndex): void {
    while (this.#evictOldest());
    this.#firstIndex = firstIndex;
  }

  /** Entries `from … to`, which must be here, cut after `bytesMax` bytes of data but never below one. */
  slice(from: LogIndex, to: LogIndex, bytesMax: number): Entry[] {
    assert(from >= this.#firstIndex && from <= to && to <= this.#lastIndex, `entries ${from} to ${to} are not cached`);
    const taken: Entry[] = [];
    let bytes = 0;
    for (let index: number = from; index <= to; index++) {
      const entry = this.#entries[this.#head + index - this.#firstIndex];
      assert(entry !== undefined, 'a free slot among cached entries');
      bytes += entry.data.length;
      if (taken.length > 0 && bytes > bytesMax) break;
      taken.push(entry);
    }
    return taken;
  }

  #evictOldest(): boolean {
    if (this.#head === this.#entries.length) return false;
    const entry = this.#entries[this.#head];
    this.#entries[this.#head] = undefined;
    this.#head++;
    this.#firstIndex++;
    if (entry !== undefined) this.#meter.bytes -= entryBytes(entry);
    if (this.#head > 32 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return true;
  }
}

function entryBytes(entry: Entry): number {
  return entry.data.length + entryOverheadBytes;
}
