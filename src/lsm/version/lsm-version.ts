import { assert, defined } from '../../base/assert.js';
import { compareBytes, emptyBytes } from '../../base/bytes.js';
import { Timestamp } from '../../base/ids.js';
import type { MaybePromise } from '../../base/promises.js';
import type { Found, StoredFound } from '../entry.js';
import type { EntryIterator, KeyBounds } from '../iterator/entry-iterator.js';
import { firstTableEndingAfter, LevelIterator } from '../iterator/level-iterator.js';
import { hiddenBelow } from '../range/range-tombstones.js';
import { bloomHash } from '../sstable/bloom-filter.js';
import { SstableIterator } from '../sstable/sstable-iterator.js';
import type { SstableReader } from '../sstable/sstable-reader.js';
import { decodeValuePointer, type ValuePointer } from '../value/value-file-format.js';
import type { ValueFileReader } from '../value/value-file-reader.js';
import type { ValueFiles } from '../value/value-files.js';
import type { Levels } from './levels.js';

/** A table that versions share. When the last of them is released nobody can read it any more, and it is obsolete. */
export interface SharedTable {
  readonly reader: SstableReader;
  /** How many versions hold it. */
  references: number;
}

/** As {@link SharedTable}. */
export interface SharedValueFile {
  readonly reader: ValueFileReader;
  references: number;
}

/**
 * The tables of the tree at one time; immutable. Whoever reads from a version over several turns of the event loop
 * retains it first and releases it afterwards, so that its tables stay.
 */
export class LsmVersion {
  readonly levels: Levels;
  /** Those that the tables name. */
  readonly valueFiles: ValueFiles;
  readonly sharedValues: ReadonlyMap<number, SharedValueFile>;
  /** The same as `levels`, with readers. */
  readonly #tables: readonly (readonly SharedTable[])[];
  readonly #readers: readonly (readonly SstableReader[])[];
  /** Those that have range tombstones. */
  readonly #rangeTables: readonly SstableReader[];
  readonly #onObsolete: (file: SharedTable | SharedValueFile) => void;
  #references = 1;

  /** Made with one reference, the maker's. */
  constructor(
    { levels, valueFiles }: { readonly levels: Levels; readonly valueFiles: ValueFiles },
    tables: readonly (readonly SharedTable[])[],
    values: ReadonlyMap<number, SharedValueFile>,
    onObsolete: (file: SharedTable | SharedValueFile) => void,
  ) {
    this.levels = levels;
    this.valueFiles = valueFiles;
    this.sharedValues = values;
    for (const file of values.values()) file.references++;
    this.#tables = tables;
    this.#readers = tables.map((level) => level.map(({ reader }) => reader));
    this.#onObsolete = onObsolete;
    const rangeTables: SstableReader[] = [];
    for (const table of this.tables()) {
      table.references++;
      if (table.reader.metadata.rangeTombstones > 0) rangeTables.push(table.reader);
    }
    this.#rangeTables = rangeTables;
  }

  *tables(): Generator<SharedTable> {
    for (const level of this.#tables) yield* level;
  }

  /** Tables whose range reaches into the bounds, level by level. */
  *tablesWithin(bounds: KeyBounds): Generator<{ readonly level: number; readonly reader: SstableReader }> {
    for (const [level, tables] of this.#tables.entries()) {
      for (const { reader } of tables) if (isInBounds(reader, bounds)) yield { level, reader };
    }
  }

  /** Numbers of the tables that iterators had to pass over too often; see SstableReader. */
  tablesSkippedThrough(): ReadonlySet<number> {
    const numbers = new Set<number>();
    for (const { reader } of this.tables()) if (reader.isSkippedThrough) numbers.add(reader.metadata.number);
    return numbers;
  }

  retain(): void {
    assert(this.#references > 0, 'a version that was given up cannot be retained');
    this.#references++;
  }

  release(): void {
    assert(this.#references > 0, 'a version was released too often');
    if (--this.#references > 0) return;
    for (const file of [...this.tables(), ...this.sharedValues.values()]) {
      if (--file.references === 0) this.#onObsolete(file);
    }
  }

  /**
   * The newest version of `key` at or below `at`, in the tables or, if that is newer still, `best`. Of versions below
   * `below` a range tombstone is known that hides them; if it hides all, it is what is found. Tables that cannot
   * have a newer one are not touched: usually the first hit ends the search, but nothing here relies on versions of a
   * key being written in their order.
   */
  get(key: Uint8Array, at: number, best: StoredFound | undefined, below: number): MaybePromise<Found | undefined> {
    const candidates = this.#candidates(key);
    if (candidates.length === 0) return this.#resolved(visible(best, below));
    const hash = bloomHash(key);
    for (let i = 0; i < candidates.length; i++) {
      const table = candidates[i];
      if (!canMatter(table, at, best, below)) continue;
      if (table.metadata.rangeTombstones > 0) {
        const ranges = table.rangeTombstones();
        if (ranges instanceof Promise)
          return this.#getReading(undefined, candidates, i, { key, hash, at }, best, below);
        below = Math.max(below, hiddenBelow(ranges, key, at));
      }
      const found = table.get(key, hash, at);
      if (found instanceof Promise) return this.#getReading(found, candidates, i + 1, { key, hash, at }, best, below);
      best = newer(best, found);
    }
    return this.#resolved(visible(best, below));
  }

  /** What the tree has where a table has `stored`. The version must be current or held when this is called. */
  #resolved(stored: StoredFound | undefined): MaybePromise<Found | undefined> {
    if (stored?.kind !== 'pointer') return stored as Found | undefined;
    const value = this.value(stored.value);
    const { version } = stored;
    if (!(value instanceof Promise)) return { version, kind: 'put', value };
    this.retain();
    return value.then((read) => ({ version, kind: 'put' as const, value: read })).finally(() => this.release());
  }

  /** The value to which an entry of kind pointer points. The version must be held until it is there. */
  value(pointer: Uint8Array): MaybePromise<Uint8Array> {
    const decoded = decodeValuePointer(pointer);
    return this.valueFile(decoded).value(decoded);
  }

  valueFile({ file }: ValuePointer): ValueFileReader {
    return defined(this.sharedValues.get(file), 'a value file that a table names').reader;
  }

  /** The rest of {@link get}, from the first table on that had to be read. */
  async #getReading(
    pending: Promise<StoredFound | undefined> | undefined,
    candidates: readonly SstableReader[],
    from: number,
    { key, hash, at }: { readonly key: Uint8Array; readonly hash: number; readonly at: number },
    best: StoredFound | undefined,
    below: number,
  ): Promise<Found | undefined> {
    this.retain();
    try {
      if (pending !== undefined) best = newer(best, await pending);
      for (let i = from; i < candidates.length; i++) {
        const table = candidates[i];
        if (!canMatter(table, at, best, below)) continue;
        if (table.metadata.rangeTombstones > 0) {
          below = Math.max(below, hiddenBelow(await table.rangeTombstones(), key, at));
        }
        best = newer(best, await table.get(key, hash, at));
      }
      return await this.#resolved(visible(best, below));
    } finally {
      this.release();
    }
  }

  /** Tables whose range has the key, the newest first. */
  #candidates(key: Uint8Array): SstableReader[] {
    const candidates: SstableReader[] = [];
    for (const reader of this.#readers[0]) {
      const { smallestKey, endKey } = reader.metadata;
      if (compareBytes(smallestKey, key) <= 0 && compareBytes(key, endKey) < 0) candidates.push(reader);
    }
    for (let level = 1; level < this.#readers.length; level++) {
      const tables = this.#readers[level];
      const at = firstTableEndingAfter(tables, key);
      if (at < tables.length && compareBytes(tables[at].metadata.smallestKey, key) <= 0) candidates.push(tables[at]);
    }
    return candidates;
  }

  /** The tables within the bounds that have range tombstones. */
  rangeSources(bounds: KeyBounds): readonly SstableReader[] {
    return this.#rangeTables.filter((reader) => isInBounds(reader, bounds));
  }

  /** One source for each table of level 0 within the bounds and for each other level that has tables, newest first. */
  iterators(bounds: KeyBounds, reverse: boolean): EntryIterator[] {
    const sources: EntryIterator[] = [];
    for (const reader of this.#readers[0]) {
      if (isInBounds(reader, bounds)) sources.push(new SstableIterator(reader, bounds, reverse));
    }
    for (let level = 1; level < this.#readers.length; level++) {
      const tables = this.#readers[level];
      if (tables.length > 0) sources.push(new LevelIterator(tables, bounds, reverse));
    }
    return sources;
  }
}

/** Whether the table can have a version, or a range tombstone, that is not hidden and newer than `best`. */
function canMatter({ metadata }: SstableReader, at: number, best: StoredFound | undefined, below: number): boolean {
  const { smallestVersion, largestVersion } = metadata;
  return smallestVersion <= at && largestVersion >= below && (best === undefined || largestVersion > best.version);
}

/** `best` unless it is hidden: then a deletion as old as the range tombstone. */
function visible(best: StoredFound | undefined, below: number): StoredFound | undefined {
  if (below === 0 || (best !== undefined && best.version >= below)) return best;
  return { version: Timestamp(below), kind: 'delete', value: emptyBytes };
}

/** `later` was read from an older source: of equals the first one stays. */
function newer(best: StoredFound | undefined, later: StoredFound | undefined): StoredFound | undefined {
  return best === undefined || (later !== undefined && later.version > best.version) ? later : best;
}

function isInBounds({ metadata }: SstableReader, { lower, upper }: KeyBounds): boolean {
  return (
    compareBytes(metadata.endKey, lower) > 0 && (upper === undefined || compareBytes(metadata.smallestKey, upper) < 0)
  );
}
