import { assert, defined } from '../../base/assert.js';
import { compareBytes } from '../../base/bytes.js';
import type { Timestamp } from '../../base/ids.js';
import type { Kind } from '../entry.js';
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

  /** @param tables in ascending order of keys, whichever the direction */
  constructor(tables: readonly SstableReader[], bounds: KeyBounds, reverse: boolean) {
    this.#tables = tables;
    this.#bounds = bounds;
    this.#reverse = reverse;
    this.#next = reverse ? tables.length - 1 : 0;
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

  get kind(): Kind {
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
    while (this.#next >= 0 && this.#next < this.#tables.length && this.#isNextHidden(end, below)) {
      this.#next += this.#reverse ? -1 : 1;
    }
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

  /** Goes on to the next table that has an entry, unless the current one has. */
  readonly #settle = (): Pending => {
    if (this.valid || this.#next < 0 || this.#next >= this.#tables.length) return undefined;
    this.#current = new SstableIterator(this.#tables[this.#next], this.#bounds, this.#reverse);
    this.#next += this.#reverse ? -1 : 1;
    return this.#current.start().then(this.#settle);
  };
}
