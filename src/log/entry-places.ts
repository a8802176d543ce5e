import { assert } from '../base/assert.js';
import { LogIndex } from '../base/ids.js';
import type { RecordPlace } from './record.js';

/** Counts, for each segment, the bytes of the records in it that hold a live entry. */
export interface SegmentUse {
  retain(segment: number, bytes: number): void;
  release(segment: number, bytes: number): void;
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
/** Segment of entries that a replay has not found yet. Real ones count from 1. */
const nowhere = 0;

/**
 * Where a group's durable entries lie: one row of numbers a record, in the order of the log, 32 bytes each.
 *
 * Invariants: rows are consecutive (a row ends where the next begins, the last at `lastIndex`); each row has retained
 * its record once; the first row may begin before the group's first entry, never after. Two rows may be of one record.
 */
export class EntryPlaces {
  readonly #use: SegmentUse;
  /** Rows `#head … #end - 1` are in use. */
  #rows = new Float64Array(rowsMin * columns);
  #head = 0;
  #end = 0;
  #lastIndex = 0;
  #bytes = 0;
  /** The rows' segments are not in order. */
  #isRewritten = false;

  constructor(use: SegmentUse) {
    this.#use = use;
  }

  get isEmpty(): boolean {
    return this.#head === this.#end;
  }

  /** Of all records that are in use. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The last entry that lies on disk. Call it only when there is one. */
  get lastIndex(): LogIndex {
    assert(!this.isEmpty, 'no entry is on disk');
    return LogIndex(this.#lastIndex);
  }

  /** The oldest segment that they lie in. Call it only when there is one. */
  get oldestSegment(): number {
    assert(!this.isEmpty, 'no entry is on disk');
    let oldest = this.#rows[this.#head * columns + 1];
    if (!this.#isRewritten) return oldest;
    for (let row = this.#head; row < this.#end; row++) oldest = Math.min(oldest, this.#rows[row * columns + 1]);
    return oldest;
  }

  /** Adds a record whose entries `first … last` are live. */
  push(first: LogIndex, last: LogIndex, place: RecordPlace): void {
    assert(first <= last, 'a record without live entries');
    assert(this.isEmpty || first === this.#lastIndex + 1, `a record of entry ${first} after ${this.#lastIndex}`);
    if (this.#end * columns === this.#rows.length) this.#move(2 * (this.#end - this.#head) + rowsMin);
    this.#setRow(this.#end, first, place);
    this.#end++;
    this.#lastIndex = last;
  }

  /** Replay: entries `first … last`, after those that are here, are missing so far. */
  pushMissing(first: LogIndex, last: LogIndex): void {
    this.push(first, last, { segment: nowhere, offset: 0, bytes: 0 });
  }

  /** Entries `first … last`, which are here, were written again, in this record: they count only there. */
  replace(first: LogIndex, last: LogIndex, place: RecordPlace): void {
    assert(!this.isEmpty && first <= last && last <= this.#lastIndex, `entries ${first} to ${last} are not on disk`);
    const from = this.#rowOf(first);
    const to = this.#rowOf(last);
    this.#isRewritten = true;
    const pieces: [number, RecordPlace][] = [[first, place]];
    if (this.#rows[from * columns] < first) pieces.unshift([this.#rows[from * columns], this.#placeOf(from)]);
    if (last < this.#lastOf(to)) pieces.push([last + 1, this.#placeOf(to)]);
    for (let row = from; row <= to; row++) this.#release(row);
    const added = pieces.length - (to - from + 1);
    const start = added <= 0 ? this.#shiftFront(from, -added) : this.#shiftBack(to + 1, added) - pieces.length;
    for (const [i, [index, at]] of pieces.entries()) this.#setRow(start + i, index, at);
  }

  /**
   * The first neighbouring records that lie in `segment`, cut when they reach `bytesMax` but never below one; those that
   * hold no entry from `firstIndex` on are left out.
   */
  inSegment(segment: number, firstIndex: LogIndex, bytesMax: number): EntriesPlace[] {
    const found: EntriesPlace[] = [];
    let bytes = 0;
    for (let row = this.#head; row < this.#end && bytes < bytesMax; row++) {
      if (this.#rows[row * columns + 1] !== segment) {
        if (found.length > 0) break;
        continue;
      }
      const place = this.#placeOf(row);
      const first = LogIndex(Math.max(firstIndex, this.#rows[row * columns]));
      found.push({ first, last: LogIndex(this.#lastOf(row)), ...place });
      bytes += place.bytes;
    }
    return found;
  }

  /** Entries from `index` on were replaced, or removed. */
  truncateFrom(index: LogIndex): void {
    if (this.isEmpty || index > this.#lastIndex) return;
    while (this.#end > this.#head && this.#rows[(this.#end - 1) * columns] >= index) {
      this.#end--;
      this.#release(this.#end);
    }
    this.#lastIndex = index - 1;
  }

  /** Entries up to `index` are no longer needed. */
  dropThrough(index: LogIndex): void {
    while (this.#head < this.#end && this.#lastOf(this.#head) <= index) {
      this.#release(this.#head);
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
      const first = this.#rows[at];
      if (first > to) break;
      const place = this.#placeOf(row);
      const last = Math.min(this.#lastOf(row), to);
      found.push({ first: LogIndex(Math.max(first, from)), last: LogIndex(last), ...place });
      // The first is not counted, since it may consist of entries before `from`.
      if (found.length > 1) bytes += place.bytes;
    }
    return found;
  }

  #setRow(row: number, first: number, { segment, offset, bytes }: RecordPlace): void {
    this.#rows.set([first, segment, offset, bytes], row * columns);
    this.#bytes += bytes;
    if (segment !== nowhere) this.#use.retain(segment, bytes);
  }

  #release(row: number): void {
    const at = row * columns;
    const segment = this.#rows[at + 1];
    this.#bytes -= this.#rows[at + 3];
    if (segment !== nowhere) this.#use.release(segment, this.#rows[at + 3]);
  }

  #placeOf(row: number): RecordPlace {
    const at = row * columns;
    return { segment: this.#rows[at + 1], offset: this.#rows[at + 2], bytes: this.#rows[at + 3] };
  }

  /** Moves the rows before `row` towards the end by `rows`. Returns where what follows them begins. */
  #shiftFront(row: number, rows: number): number {
    this.#rows.copyWithin((this.#head + rows) * columns, this.#head * columns, row * columns);
    this.#head += rows;
    return row + rows;
  }

  /** Makes room for `rows` before `row`. Returns where that row is now. */
  #shiftBack(row: number, rows: number): number {
    let at = row;
    if ((this.#end + rows) * columns > this.#rows.length) {
      at -= this.#head;
      this.#move(2 * (this.#end - this.#head) + rowsMin);
    }
    this.#rows.copyWithin((at + rows) * columns, at * columns, this.#end * columns);
    this.#end += rows;
    return at + rows;
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
