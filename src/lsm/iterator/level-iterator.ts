import { assert, defined } from '../../base/assert.js';
import { compareBytes } from '../../base/bytes.js';
import type { Timestamp } from '../../base/ids.js';
import type { StoredKind } from '../entry.js';
import { SstableIterator } from '../sstable/sstable-iterator.js';
import type { SstableReader } from '../sstable/sstable-reader.js';
import type { EntryIterator, KeyBounds, Pending } from './entry-iterator.js';

/** Walks over tables that do not overlap, one after the other. A table is not touched before it is its turn. */
export class LevelIterator implements EntryIterator {
  readonly #tables: readonly SstableReader[];
  readonly #bounds: KeyBounds;
  readonly #reverse: boolean;
  /** Position in `#tables` of the table that comes next. */
  #next: number;
  #current: SstableIterator | undefined;

  /** @param tables of a level, in ascending order of keys, whichever the direction */
  constructor(tables: readonly SstableReader[], bounds: KeyBounds, reverse: boolean) {
    this.#tables = tables;
    this.#bounds = bounds;
    this.#reverse = reverse;
    this.#next = reverse ? lastStartingBefore(tables, bounds.upper) : firstTableEndingAfter(tables, bounds.lower);
  }

  get valid(): boolean {
    return this.#current?.valid ?? false;
  }

  get #entry(): SstableIterator {
    return defined(this.#current, 'the table of a valid iterator');
  }

  get key(): Uint8Array {
    return this.#entry.key;
  }

  get version(): Timestamp {
    return this.#entry.version;
  }

  get kind(): StoredKind {
    return this.#entry.kind;
  }

  get value(): Uint8Array {
    return this.#entry.value;
  }

  start(): Pending {
    return this.#settle();
  }

  advance(): Pending {
    assert(this.valid, 'an iterator that is on no entry cannot advance');
    const pending = this.#entry.advance();
    return pending === undefined ? this.#settle() : pending.then(this.#settle);
  }

  advanceHidden(end: Uint8Array, below: number): Pending {
    assert(this.valid, 'an iterator that is on no entry cannot advance');
    while (this.#hasNext && this.#isNextHidden(end, below)) this.#next += this.#reverse ? -1 : 1;
    const pending = this.#entry.advanceHidden(end, below);
    return pending === undefined ? this.#settle() : pending.then(this.#settle);
  }

  /** Whether all of the next table is before `end`, and below `below`: see {@link advanceHidden}. */
  #isNextHidden(end: Uint8Array, below: number): boolean {
    const { smallestKey, endKey, largestEntryVersion } = this.#tables[this.#next].metadata;
    const isBeforeEnd = this.#reverse ? compareBytes(smallestKey, end) >= 0 : compareBytes(endKey, end) <= 0;
    return largestEntryVersion < below && isBeforeEnd;
  }

  noteSkipped(): void {
    this.#entry.noteSkipped();
  }

  /** Whether there is another table that reaches into the bounds. */
  get #hasNext(): boolean {
    if (this.#next < 0 || this.#next >= this.#tables.length) return false;
    const { smallestKey, endKey } = this.#tables[this.#next].metadata;
    const { lower, upper } = this.#bounds;
    if (this.#reverse) return compareBytes(endKey, lower) > 0;
    return upper === undefined || compareBytes(smallestKey, upper) < 0;
  }

  /** Goes on to the next table that has an entry, unless the current one has. */
  readonly #settle = (): Pending => {
    while (!this.valid && this.#hasNext) {
      this.#current = new SstableIterator(this.#tables[this.#next], this.#bounds, this.#reverse);
      this.#next += this.#reverse ? -1 : 1;
      const pending = this.#current.start();
      if (pending !== undefined) return pending.then(this.#settle);
    }
    return undefined;
  };
}

/** Of tables that do not overlap, in order: position of the one that has `key` or else comes after it. */
export function firstTableEndingAfter(tables: readonly SstableReader[], key: Uint8Array): number {
  let low = 0;
  let high = tables.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(tables[middle].metadata.endKey, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function lastStartingBefore(tables: readonly SstableReader[], key: Uint8Array | undefined): number {
  if (key === undefined) return tables.length - 1;
  const at = firstTableEndingAfter(tables, key);
  return at < tables.length && compareBytes(tables[at].metadata.smallestKey, key) < 0 ? at : at - 1;
}
