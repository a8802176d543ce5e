import { defined } from '../../base/assert.js';
import type { Timestamp } from '../../base/ids.js';
import type { MaybePromise } from '../../base/promises.js';
import type { StoredKind } from '../entry.js';
import { RangeCover } from '../range/range-cover.js';
import type { RangeFragments } from '../range/range-tombstones.js';
import type { EntryIterator, Pending } from './entry-iterator.js';

/** A memtable or a table that has range tombstones. */
export interface RangeSource {
  rangeTombstones(): MaybePromise<RangeFragments>;
}

/** So many hidden entries are walked over before a search for the end of the range: it costs as much as they do. */
const walkedMax = 16;

/**
 * Leaves out the entries that range tombstones hide from reads at `at`. Only for iterators over places that have some:
 * others do without it.
 */
export class RangeFilter implements EntryIterator {
  readonly #entries: EntryIterator;
  readonly #sources: readonly RangeSource[];
  readonly #at: number;
  readonly #reverse: boolean;
  #cover: RangeCover | undefined;
  /** Hidden entries since the last one that was not, or since the last search. */
  #walked = 0;
  #passed = 0;

  constructor(
    entries: EntryIterator,
    sources: readonly RangeSource[],
    { at, reverse }: { readonly at: number; readonly reverse: boolean },
  ) {
    this.#entries = entries;
    this.#sources = sources;
    this.#at = at;
    this.#reverse = reverse;
  }

  /** Hidden entries that it has passed over by now; a search counts as many as it costs. */
  get passed(): number {
    return this.#passed;
  }

  get valid(): boolean {
    return this.#entries.valid;
  }

  get key(): Uint8Array {
    return this.#entries.key;
  }

  get version(): Timestamp {
    return this.#entries.version;
  }

  get kind(): StoredKind {
    return this.#entries.kind;
  }

  get value(): Uint8Array {
    return this.#entries.value;
  }

  start(): Pending {
    const fragments: RangeFragments[] = [];
    const pending: Promise<void>[] = [];
    this.#sources.forEach((source, i) => {
      const ranges = source.rangeTombstones();
      if (!(ranges instanceof Promise)) fragments[i] = ranges;
      else pending.push(ranges.then((read) => void (fragments[i] = read)));
    });
    const started = this.#entries.start();
    if (started !== undefined) pending.push(started);
    this.#cover = new RangeCover(fragments, this.#at);
    return pending.length === 0 ? this.#settle() : Promise.all(pending).then(this.#settle);
  }

  advance(): Pending {
    const pending = this.#entries.advance();
    return pending === undefined ? this.#settle() : pending.then(this.#settle);
  }

  advanceHidden(end: Uint8Array, below: number): Pending {
    const pending = this.#entries.advanceHidden(end, below);
    return pending === undefined ? this.#settle() : pending.then(this.#settle);
  }

  noteSkipped(): void {
    this.#entries.noteSkipped();
  }

  /** Goes on to an entry that is not hidden. */
  readonly #settle = (): Pending => {
    const entries = this.#entries;
    const cover = defined(this.#cover, 'the range tombstones of a started iterator');
    while (entries.valid) {
      const below = cover.hiddenBelow(entries.key);
      if (entries.version >= below) {
        this.#walked = 0;
        return undefined;
      }
      entries.noteSkipped();
      this.#passed++;
      const pending = ++this.#walked < walkedMax ? entries.advance() : this.#skipRange(cover, below);
      if (pending !== undefined) return pending.then(this.#settle);
    }
    return undefined;
  };

  #skipRange(cover: RangeCover, below: number): Pending {
    this.#walked = 0;
    this.#passed += walkedMax;
    const end = defined(cover.hiddenTo(this.#reverse), 'the end of the range that hides an entry');
    return this.#entries.advanceHidden(end, below);
  }
}
