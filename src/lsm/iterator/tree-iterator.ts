import { assert } from '../../base/assert.js';
import { emptyBytes, equalBytes, keySuccessor } from '../../base/bytes.js';
import type { Timestamp } from '../../base/ids.js';
import type { MaybePromise } from '../../base/promises.js';
import type { Entry, StoredKind } from '../entry.js';
import type { EntryIterator, KeyBounds } from './entry-iterator.js';

/** A gap is told of where so many entries or more were passed over. */
const gapEntriesMin = 64;

/** A key with the value that it has at the iterator's version. Ownership as in Found. */
export interface TreeRecord {
  readonly key: Uint8Array;
  readonly version: Timestamp;
  readonly value: Uint8Array;
}

/** Reads the values to which entries of kind pointer point; from what the iterator holds. */
export interface ValueSource {
  value(pointer: Uint8Array): MaybePromise<Uint8Array>;
}

/** What an iterator holds while it is open. */
export interface Hold {
  /** Whether the tree was closed: then nothing may be read any more. */
  readonly isVoid: boolean;
  /** Called once, when nothing is read any more. */
  release(): void;
}

/** Hands out what `entries` walks over, and holds what it reads from until it is closed. */
abstract class PinnedIterator<Result> {
  protected readonly entries: EntryIterator;
  protected readonly values: ValueSource;
  readonly #hold: Hold;
  #state: 'new' | 'idle' | 'busy' | 'closed' = 'new';
  #released = false;

  constructor(entries: EntryIterator, values: ValueSource, hold: Hold) {
    this.entries = entries;
    this.values = values;
    this.#hold = hold;
  }

  /**
   * The next one, or undefined when there is none. At once when what is needed is in memory. Not before the last call
   * has resolved, and not after `close`, of the tree either. After a rejection only `close` makes sense; it is a
   * TreeClosedError if the tree was closed meanwhile.
   */
  next(): MaybePromise<Result | undefined> {
    assert(this.#state === 'new' || this.#state === 'idle', `next of an iterator that is ${this.#state}`);
    assert(!this.#hold.isVoid, 'next of an iterator of a closed tree');
    const pending = this.#state === 'new' ? this.entries.start() : undefined;
    this.#state = 'idle';
    const result = pending === undefined ? this.find() : pending.then(this.resume);
    return result instanceof Promise ? this.#whileBusy(result) : result;
  }

  async #whileBusy(result: Promise<Result | undefined>): Promise<Result | undefined> {
    this.#state = 'busy';
    try {
      return await result;
    } finally {
      if (this.#isClosed()) this.#releaseOnce();
      else this.#state = 'idle';
    }
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** From where `entries` stands, goes to the next result. */
  protected abstract find(): MaybePromise<Result | undefined>;

  /** {@link find} after a step that had to wait. */
  protected readonly resume = (): MaybePromise<Result | undefined> => this.find();

  /** Releases what the iterator holds; at once, or when the read that is under way ends. May be called again. */
  close(): void {
    const busy = this.#state === 'busy';
    this.#state = 'closed';
    if (!busy) this.#releaseOnce();
  }

  /** For `for await`: leaving the loop, in whatever way, closes the iterator. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Result, void, undefined> {
    try {
      for (let result = await this.next(); result !== undefined; result = await this.next()) yield result;
    } finally {
      this.close();
    }
  }

  #releaseOnce(): void {
    if (this.#released) return;
    this.#released = true;
    this.#hold.release();
  }
}

export interface IteratorOptions extends KeyBounds {
  /** Versions above this one are not seen. */
  readonly at: Timestamp;
  /** Descending order of keys. */
  readonly reverse: boolean;
  /** Every value is given as empty: those in value files are not read. */
  readonly keysOnly: boolean;
}

export interface TreeView {
  readonly at: Timestamp;
  readonly keysOnly: boolean;
  readonly bounds: KeyBounds;
  readonly values: ValueSource;
  /** How many entries were left out by now before they came to the iterator. */
  readonly hiddenEntries: () => number;
  /** Called with keys that have nothing to read, where there was much to pass over. */
  readonly onGap: (gap: KeyBounds) => void;
}

/** As an iterator stands on it. */
type StoredEntry = Pick<EntryIterator, 'key' | 'version' | 'kind' | 'value'>;

/** For each key its newest version at or below `at`, without deleted keys. */
export abstract class TreeIterator extends PinnedIterator<TreeRecord> {
  protected readonly at: Timestamp;
  readonly #keysOnly: boolean;
  readonly #bounds: KeyBounds;
  readonly #hiddenEntries: () => number;
  readonly #onGap: (gap: KeyBounds) => void;
  /** Entries since the last record, without hidden ones. */
  #passed = 0;
  /** Hidden entries until the last record. */
  #hiddenBefore = 0;
  #lastKey: Uint8Array | undefined;

  constructor(entries: EntryIterator, view: TreeView, hold: Hold) {
    super(entries, view.values, hold);
    this.at = view.at;
    this.#keysOnly = view.keysOnly;
    this.#bounds = view.bounds;
    this.#hiddenEntries = view.hiddenEntries;
    this.#onGap = view.onGap;
  }

  protected record({ key, version, kind, value }: StoredEntry): MaybePromise<TreeRecord> {
    if (this.#keysOnly) return { key, version, value: emptyBytes };
    if (kind !== 'pointer') return { key, version, value };
    const read = this.values.value(value);
    return read instanceof Promise
      ? read.then((later) => ({ key, version, value: later }))
      : { key, version, value: read };
  }

  /** `entries` stands on an entry that gives nothing to the reader. */
  protected pass(): void {
    this.#passed++;
    this.entries.noteSkipped();
  }

  /** The next record is that of `key`; undefined when there is no other. */
  protected reach(key: Uint8Array | undefined): void {
    const hidden = this.#hiddenEntries();
    const passed = this.#passed + hidden - this.#hiddenBefore;
    if (passed >= gapEntriesMin) this.#onGap(this.gapBetween(this.#lastKey, key, this.#bounds));
    this.#passed = 0;
    this.#hiddenBefore = hidden;
    this.#lastKey = key;
  }

  /** The keys after that of one record and before that of the next; undefined where there was or is none. */
  protected abstract gapBetween(
    last: Uint8Array | undefined,
    next: Uint8Array | undefined,
    bounds: KeyBounds,
  ): KeyBounds;
}

/** Versions come newest first: the first one that is visible decides, the rest of the key is passed over. */
export class ForwardTreeIterator extends TreeIterator {
  #decidedKey: Uint8Array | undefined;
  /** Whether the entry on which `entries` stands was handed out. */
  #isGiven = false;

  protected override find(): MaybePromise<TreeRecord | undefined> {
    const entries = this.entries;
    if (this.#isGiven) {
      this.#isGiven = false;
      const pending = entries.advance();
      if (pending !== undefined) return pending.then(this.resume);
    }
    while (entries.valid) {
      if (entries.version <= this.at) {
        if (!this.#isDecided(entries.key)) {
          this.#decidedKey = entries.key;
          if (entries.kind !== 'delete') {
            this.#isGiven = true;
            this.reach(entries.key);
            return this.record(entries);
          }
        }
        this.pass();
      }
      const pending = entries.advance();
      if (pending !== undefined) return pending.then(this.resume);
    }
    this.reach(undefined);
    return undefined;
  }

  protected override gapBetween(
    last: Uint8Array | undefined,
    next: Uint8Array | undefined,
    { lower, upper }: KeyBounds,
  ): KeyBounds {
    return { lower: last === undefined ? lower : keySuccessor(last), upper: next ?? upper };
  }

  #isDecided(key: Uint8Array): boolean {
    return this.#decidedKey !== undefined && equalBytes(this.#decidedKey, key);
  }
}

/** Versions come oldest first: the last one that is visible decides, which shows when the key ends. */
export class ReverseTreeIterator extends TreeIterator {
  #candidate: { readonly key: Uint8Array; version: Timestamp; kind: StoredKind; value: Uint8Array } | undefined;

  protected override find(): MaybePromise<TreeRecord | undefined> {
    const entries = this.entries;
    for (;;) {
      const candidate = this.#candidate;
      if (candidate !== undefined && (!entries.valid || !equalBytes(candidate.key, entries.key))) {
        this.#candidate = undefined;
        if (candidate.kind !== 'delete') {
          this.reach(candidate.key);
          return this.record(candidate);
        }
      }
      if (!entries.valid) {
        this.reach(undefined);
        return undefined;
      }
      if (entries.version <= this.at) {
        // A newer version stands for the one that it replaces: they are mostly in one table.
        if (entries.kind === 'delete' || this.#candidate !== undefined) this.pass();
        this.#candidate = { key: entries.key, version: entries.version, kind: entries.kind, value: entries.value };
      }
      const pending = entries.advance();
      if (pending !== undefined) return pending.then(this.resume);
    }
  }

  protected override gapBetween(
    last: Uint8Array | undefined,
    next: Uint8Array | undefined,
    { lower, upper }: KeyBounds,
  ): KeyBounds {
    return { lower: next === undefined ? lower : keySuccessor(next), upper: last ?? upper };
  }
}

/** All versions that the tree still has, deletions too, in the order of entries. */
export class VersionIterator extends PinnedIterator<Entry> {
  #last: Pick<Entry, 'key' | 'version'> | undefined;

  protected override find(): MaybePromise<Entry | undefined> {
    const entries = this.entries;
    while (entries.valid) {
      const { key, version } = entries;
      if (this.#last === undefined || this.#last.version !== version || !equalBytes(this.#last.key, key)) {
        this.#last = { key, version };
        return this.#entry(entries);
      }
      const pending = entries.advance();
      if (pending !== undefined) return pending.then(this.resume);
    }
    return undefined;
  }

  #entry({ key, version, kind, value }: StoredEntry): MaybePromise<Entry> {
    if (kind !== 'pointer') return { key, version, kind, value };
    const read = this.values.value(value);
    if (!(read instanceof Promise)) return { key, version, kind: 'put', value: read };
    return read.then((later) => ({ key, version, kind: 'put', value: later }));
  }
}
