/**
 * The read side of a tree: memtables and tables together, and what it remembers of earlier reads: the rows of keys that are read
 * often, and the ranges where nothing was found. Both say what the newest reads find, and only those add to them.
 */
import type { Timestamp } from '../base/ids.js';
import type { MaybePromise } from '../base/promises.js';
import { EmptyGaps } from './empty-gaps.js';
import type { Found } from './entry.js';
import { getFromTables, type TableGet } from './get-many.js';
import type { EntryIterator, KeyBounds } from './iterator/entry-iterator.js';
import { MergingIterator } from './iterator/merging-iterator.js';
import { RangeFilter } from './iterator/range-filter.js';
import {
  ForwardTreeIterator,
  ReverseTreeIterator,
  VersionIterator,
  type Hold,
  type IteratorOptions,
  type TreeIterator,
  type ValueSource,
} from './iterator/tree-iterator.js';
import type { MemtableQueue } from './memtable/memtable-queue.js';
import type { ReadViews } from './read-views.js';
import type { RowCachePartition } from './row-cache.js';
import type { TreeBatch } from './tree-batch.js';
import { largestVersionOf } from './version/levels.js';
import { ValuesAhead } from './value/values-ahead.js';
import type { VersionSet } from './version/version-set.js';

/** More than the queues that a shard can be expected to hold; each costs a put two comparisons at most. */
const emptyGapsMax = 8;

interface Places {
  readonly memtables: MemtableQueue;
  readonly versions: VersionSet;
  readonly rows: RowCachePartition;
  readonly views: ReadViews;
}

interface ReadEvents {
  /** Whether tables are taken in now: they come into sight without naming their keys. */
  readonly isIngesting: () => boolean;
  /** Of the tree. */
  readonly isClosed: () => boolean;
  /** An iterator has ended. */
  readonly onIterated: () => void;
}

/** For reads see Tree, whose methods have the same names. */
export class TreeReads {
  readonly #memtables: MemtableQueue;
  readonly #versions: VersionSet;
  readonly #events: ReadEvents;
  readonly rows: RowCachePartition;
  readonly #views: ReadViews;
  readonly #gaps = new EmptyGaps(emptyGapsMax);
  /** No version is larger. */
  #largestVersion: number;

  constructor({ memtables, versions, rows, views }: Places, events: ReadEvents) {
    this.#memtables = memtables;
    this.#versions = versions;
    this.rows = rows;
    this.#views = views;
    this.#events = events;
    this.#largestVersion = largestVersionOf(versions.current.levels);
  }

  /** The batch is in the memtable now. */
  wrote(batch: TreeBatch): void {
    for (const { key, version, kind } of batch) {
      this.rows.remove(key);
      if (kind === 'put') this.#gaps.put(key);
      if (version > this.#largestVersion) this.#largestVersion = version;
    }
    for (const { version } of batch.rangeTombstones) {
      this.rows.clear();
      if (version > this.#largestVersion) this.#largestVersion = version;
    }
  }

  /** Tables from elsewhere have come into sight. */
  ingested(): void {
    this.rows.clear();
    this.#gaps.clear();
    this.#largestVersion = Math.max(this.#largestVersion, largestVersionOf(this.#versions.current.levels));
  }

  get(key: Uint8Array, at: Timestamp): MaybePromise<Found | undefined> {
    const row = this.#usableRows?.get(key, at);
    if (row !== undefined) return row;
    const written = this.#memtables.get(key, at);
    const found = this.#versions.current.get(key, at, written, this.#memtables.hiddenBelow(key, at));
    if (written === undefined || found !== written) this.#missed(key, at, found);
    return found;
  }

  getMany(keys: readonly Uint8Array[], at: Timestamp): MaybePromise<readonly (Found | undefined)[]> {
    const gets: TableGet[] = [];
    const found = keys.map((key, position) => {
      const row = this.#usableRows?.get(key, at);
      if (row !== undefined) return row;
      const hiddenBelow = this.#memtables.hiddenBelow(key, at);
      gets.push({ key, position, written: this.#memtables.get(key, at), hiddenBelow });
      return undefined;
    });
    const tables = this.#versions.current;
    const isNow = this.#asNow();
    const get = ({ key, written, hiddenBelow }: TableGet): MaybePromise<Found | undefined> => {
      const one = tables.get(key, at, written, hiddenBelow);
      if (written === undefined || one !== written) this.#missed(key, at, isNow() ? one : undefined);
      return one;
    };
    return getFromTables(found, gets, get, tables);
  }

  get #usableRows(): RowCachePartition | undefined {
    return this.#events.isIngesting() ? undefined : this.rows;
  }

  /**
   * Neither the rows nor the memtables alone had the answer. What had to be read first is not hot yet; the next get finds it in
   * the block cache, and in the same turn.
   */
  #missed(key: Uint8Array, at: Timestamp, found: MaybePromise<Found | undefined>): void {
    this.#usableRows?.noteMiss();
    if (found === undefined || found instanceof Promise || at < this.#largestVersion) return;
    this.#usableRows?.offer(key, found);
  }

  /** Tells whether nothing was written since. */
  #asNow(): () => boolean {
    const { appliedIndex } = this.#memtables.active;
    return () => appliedIndex === this.#memtables.active.appliedIndex;
  }

  openIterator({ at, reverse, keysOnly, ...bounds }: IteratorOptions): TreeIterator {
    const within = this.#events.isIngesting() ? bounds : this.#gaps.without(bounds, reverse, at);
    const { entries: all, values, hold } = this.#pinnedEntries(within, reverse);
    const ranges = [...this.#memtables.rangeSources(), ...this.#versions.current.rangeSources(within)];
    const filter = ranges.length === 0 ? undefined : new RangeFilter(all, ranges, { at, reverse });
    const entries = filter ?? all;
    const isNow = this.#asNow();
    const onGap = (gap: KeyBounds): void => {
      // What this iterator does not see, no later one sees.
      const isKnown = at >= this.#largestVersion && isNow() && !this.#events.isIngesting();
      if (isKnown) this.#gaps.add(gap, this.#largestVersion);
    };
    const view = { at, keysOnly, bounds, values, hiddenEntries: () => filter?.passed ?? 0, onGap };
    return reverse ? new ReverseTreeIterator(entries, view, hold) : new ForwardTreeIterator(entries, view, hold);
  }

  openVersionIterator(bounds: KeyBounds): VersionIterator {
    const { entries, values, hold } = this.#pinnedEntries(bounds, false);
    return new VersionIterator(entries, values, hold);
  }

  /** A read view: the memtables as they are now, and the current version, whose files stay until it is released. */
  #pinnedEntries(bounds: KeyBounds, reverse: boolean): { entries: EntryIterator; values: ValueSource; hold: Hold } {
    const version = this.#versions.current;
    const sources = [...this.#memtables.iterators(bounds, reverse), ...version.iterators(bounds, reverse)];
    const giveBack = this.#views.open();
    const { isClosed } = this.#events;
    const hold: Hold = {
      get isVoid(): boolean {
        return isClosed();
      },
      release: () => {
        giveBack();
        this.#events.onIterated();
      },
    };
    const values = new ValuesAhead((pointer) => version.valueFile(pointer), reverse);
    return { entries: new MergingIterator(sources, reverse), values, hold };
  }
}
