import { compareBytes, emptyBytes } from '../../base/bytes.js';
import type { Timestamp } from '../../base/ids.js';
import type { Kind } from '../entry.js';
import type { EntryIterator, KeyBounds } from '../iterator/entry-iterator.js';
import { noPlace } from './entry-index.js';
import type { Memtable } from './memtable.js';

/** Sees the memtable as it was when the iterator was made. Every step is done at once. */
export class MemtableIterator implements EntryIterator {
  readonly #memtable: Memtable;
  readonly #bounds: KeyBounds;
  readonly #reverse: boolean;
  /** Entries above this one were written later. */
  readonly #lastVisible: number;
  /** 0 when it is on no entry. */
  #reference = 0;
  #place = noPlace;
  /** Of the index, when `#place` was good. */
  #changes = 0;
  #key = emptyBytes;

  constructor(memtable: Memtable, bounds: KeyBounds, reverse: boolean) {
    this.#memtable = memtable;
    this.#bounds = bounds;
    this.#reverse = reverse;
    this.#lastVisible = memtable.lastReference;
  }

  get valid(): boolean {
    return this.#reference !== 0;
  }

  get key(): Uint8Array {
    return this.#key;
  }

  get version(): Timestamp {
    return this.#memtable.entries.versionOf(this.#reference);
  }

  get kind(): Kind {
    return this.#memtable.entries.kindOf(this.#reference);
  }

  get value(): Uint8Array {
    return this.#memtable.entries.valueOf(this.#reference);
  }

  start(): undefined {
    const { index } = this.#memtable;
    const { lower, upper } = this.#bounds;
    if (!this.#reverse) this.#settle(index.seek(lower, Number.MAX_SAFE_INTEGER));
    else this.#settle(upper === undefined ? index.last() : index.seekBefore(upper, Number.MAX_SAFE_INTEGER));
  }

  advance(): undefined {
    const { index } = this.#memtable;
    const isMoved = index.changes !== this.#changes;
    this.#settle(this.#step(isMoved ? index.placeOf(this.#reference) : this.#place));
  }

  advanceHidden(end: Uint8Array, below: number): undefined {
    const { index, largestEntryVersion } = this.#memtable;
    if (largestEntryVersion >= below) this.advance();
    else if (this.#reverse) this.#settle(index.seekBefore(end, Number.MAX_SAFE_INTEGER));
    else this.#settle(index.seek(end, Number.MAX_SAFE_INTEGER));
  }

  /** Not counted: a memtable is bounded, and lives for a short time. */
  noteSkipped(): void {}

  #step(place: number): number {
    const { index } = this.#memtable;
    return this.#reverse ? index.before(place) : index.after(place);
  }

  /** Goes on to a visible entry and stays there unless it is out of bounds. */
  #settle(place: number): void {
    const { index, entries } = this.#memtable;
    while (place !== noPlace && index.at(place) > this.#lastVisible) place = this.#step(place);
    this.#reference = 0;
    if (place === noPlace) return;
    const reference = index.at(place);
    const key = entries.keyOf(reference);
    if (!this.#inBounds(key)) return;
    this.#reference = reference;
    this.#place = place;
    this.#changes = index.changes;
    this.#key = key;
  }

  #inBounds(key: Uint8Array): boolean {
    const { lower, upper } = this.#bounds;
    return this.#reverse ? compareBytes(key, lower) >= 0 : upper === undefined || compareBytes(key, upper) < 0;
  }
}
