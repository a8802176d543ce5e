import { assert } from '../base/assert.js';
import { LogIndex } from '../base/ids.js';
import type { RecordPlace } from './record.js';

/** Counts, for each segment, the records in it that hold a live entry. */
export interface SegmentUse {
  retain(segment: number): void;
  release(segment: number): void;
}

/** A record of entries, and which of them are wanted; others in it were replaced or dropped. */
export interface EntriesPlace extends RecordPlace {
  readonly first: LogIndex;
  readonly last: LogIndex;
}

/** Numbers of one record: first index, segment, offset, length. */
const columns = 4;
/** Room for this many records is always there. */
const rowsMin = 4;

/**
 * Where a group's durable entries lie: one row of numbers a record, in the order of the log, 32 bytes each.
 *
 * Invariants: rows are consecutive (a row ends where the next begins, the last at `lastIndex`); each row has retained
 * its segment once; the first row may begin before the group's first entry, never after.
 */
export class EntryPlaces {
  readonly #use: SegmentUse;
  /** Rows `#head … #end - 1` are in use. */
  #rows = new Float64Array(rowsMin * columns);
  #head = 0;
  #end = 0;
  #lastIndex = 0;

  constructor(use: SegmentUse) {
    this.#use = use;
  }

  get isEmpty(): boolean {
    return this.#head === this.#end;
  }

  /** The last entry that lies on disk. Call it only when there is one. */
  get lastIndex(): LogIndex {
    assert(!this.isEmpty, 'no entry is on disk');
    return LogIndex(this.#lastIndex);
  }

  /** Where the first of them lies. Call it only when there is one. */
  get firstSegment(): number {
    assert(!this.isEmpty, 'no entry is on disk');
    return this.#rows[this.#head * columns + 1];
  }

  /** Adds a record whose entries `first … last` are live. */
  push(first: LogIndex, last: LogIndex, place: RecordPlace): void {
    assert(first <= last, 'a record without live entries');
    assert(this.isEmpty || first === this.#lastIndex + 1, `a record of entry ${first} after ${this.#lastIndex}`);
    if (this.#end * columns === this.#rows.length) this.#move(2 * (this.#end - this.#head) + rowsMin);
    this.#rows.set([first, place.segment, place.offset, place.bytes], this.#end * columns);
    this.#end++;
    this.#lastIndex = last;
    this.#use.retain(place.segment);
  }

  /** Entries from `index` on were replaced, or removed. */
  truncateFrom(index: LogIndex): void {
    if (this.isEmpty || index > this.#lastIndex) return;
    while (this.#end > this.#head && this.#rows[(this.#end - 1) * columns] >= index) {
      this.#end--;
      this.#use.release(this.#rows[this.#end * columns + 1]);
    }
    this.#lastIndex = index - 1;
  }

  /** Entries up to `index` are no longer needed. */
  dropThrough(index: LogIndex): void {
    while (this.#head < this.#end && this.#lastOf(this.#head) <= index) {
      this.#use.release(this.#rows[this.#head * columns + 1]);
      this.#head++;
    }
    const live = this.#end - this.#head;
    if (this.#rows.length > 8 * columns * (live + rowsMin)) this.#move(2 * live + rowsMin);
  }

  /** The records that hold the entries `from … to`, in order, cut when they reach `bytesMax`; at least one. */
  find(from: LogIndex, to: LogIndex, bytesMax: number): EntriesPlace[] {
    assert(!this.isEmpty && from <= to && to <= this.#lastIndex, `entries ${from} to ${to} are not on disk`);
    const found: EntriesPlace[] = [];
    let bytes = 0;
    for (let row = this.#rowOf(from); row < this.#end && bytes < bytesMax; row++) {
      const at = row * columns;
      const [first, segment, offset, length] = this.#rows.subarray(at, at + columns);
      if (first > to) break;
      const last = Math.min(this.#lastOf(row), to);
      found.push({ first: LogIndex(Math.max(first, from)), last: LogIndex(last), segment, offset, bytes: length });
      // The first is not counted, since it may consist of entries before `from`.
      if (found.length > 1) bytes += length;
    }
    return found;
  }

  #lastOf(row: number): number {
    return row + 1 === this.#end ? this.#lastIndex : this.#rows[(row + 1) * columns] - 1;
  }

  #rowOf(index: LogIndex): number {
    let low = this.#head;
    let high = this.#end - 1;
    assert(this.#rows[low * columns] <= index, `entry ${index} is not on disk`);
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#rows[middle * columns] <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #move(rows: number): void {
    const moved = new Float64Array(rows * columns);
    moved.set(this.#rows.subarray(this.#head * columns, this.#end * columns));
    this.#rows = moved;
    this.#end -= this.#head;
    this.#head = 0;
  }
}
