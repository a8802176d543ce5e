import { compareBytes } from '../../base/bytes.js';
import { assert, defined } from '../../base/assert.js';
import type { Timestamp } from '../../base/ids.js';
import { rejection, type MaybePromise } from '../../base/promises.js';
import type { StoredKind } from '../entry.js';
import type { EntryIterator, KeyBounds, Pending } from '../iterator/entry-iterator.js';
import { BlockCursor } from './block-cursor.js';
import { ReadAhead } from './read-ahead.js';
import { decodeBlockHandle, type BlockHandle, type Footer, type TableMetadata } from './sstable-format.js';
import type { SstableReader } from './sstable-reader.js';

/** Of what is read ahead. */
const windowBytesMax = 256 * 1024;

/** Walks over one table: a cursor in the index, and one in the data block that it points to. */
export class SstableIterator implements EntryIterator {
  readonly #table: SstableReader;
  /** Without what was left out as hidden. */
  #bounds: KeyBounds;
  readonly #reverse: boolean;
  #index: BlockCursor | undefined;
  #indexOffset = 0;
  #handle: BlockHandle | undefined;
  #cursor: BlockCursor | undefined;
  /** For the blocks after the one where it started. */
  #readAhead: ReadAhead<BlockHandle> | undefined;
  #valid = false;

  constructor(table: SstableReader, bounds: KeyBounds, reverse: boolean) {
    this.#table = table;
    this.#bounds = table.metadata.trimmed ? within(bounds, table.metadata) : bounds;
    this.#reverse = reverse;
  }

  get valid(): boolean {
    return this.#valid;
  }

  get #current(): BlockCursor {
    return defined(this.#cursor, 'the cursor of a started iterator');
  }

  get key(): Uint8Array {
    return this.#current.key;
  }

  get version(): Timestamp {
    return this.#current.version;
  }

  get kind(): StoredKind {
    return this.#current.kind;
  }

  get value(): Uint8Array {
    return this.#current.value;
  }

  /** What fails is a promise, as if something had to be read. */
  start(): Pending {
    if (this.#table.metadata.entries === 0) return undefined;
    this.#readAhead = undefined;
    try {
      return whenThere(this.#table.footer(), this.#enterTable);
    } catch (error) {
      return rejection(error);
    }
  }

  readonly #enterTable = ({ index }: Footer): Pending => {
    this.#indexOffset = index.offset;
    return whenThere(this.#table.block(index), this.#enterIndex);
  };

  readonly #enterIndex = (contents: Uint8Array): Pending => {
    const { lower, upper } = this.#bounds;
    const index = this.#decode(this.#indexOffset, () => {
      const cursor = new BlockCursor(contents);
      // The first block that ends at or after the bound. The entry before `upper` is in it or in the one before.
      if (!this.#reverse) cursor.seek(lower, Number.MAX_SAFE_INTEGER);
      else if (upper === undefined) cursor.toLast();
      else {
        cursor.seek(upper, Number.MAX_SAFE_INTEGER);
        if (!cursor.valid) cursor.toLast();
      }
      return cursor;
    });
    this.#index = index;
    if (!index.valid) return undefined;
    return whenThere(this.#table.block(this.#readHandle(index)), this.#enterFirstBlock);
  };

  readonly #enterFirstBlock = (contents: Uint8Array): Pending => {
    const { lower, upper } = this.#bounds;
    this.#enterBlock(contents, (cursor) => {
      if (!this.#reverse) cursor.seek(lower, Number.MAX_SAFE_INTEGER);
      else if (upper === undefined) cursor.toLast();
      else cursor.seekBefore(upper);
    });
    return this.#current.valid ? undefined : this.#nextBlock();
  };

  advance(): Pending {
    assert(this.#valid, 'an iterator that is on no entry cannot advance');
    const cursor = this.#current;
    this.#decode(this.#offset, () => {
      if (this.#reverse) cursor.previous();
      else cursor.next();
    });
    if (!cursor.valid) return this.#nextBlock();
    this.#valid = this.#inBounds();
    return undefined;
  }

  advanceHidden(end: Uint8Array, below: number): Pending {
    if (this.#table.metadata.largestEntryVersion >= below) return this.advance();
    this.#valid = false;
    this.#bounds = this.#reverse ? { ...this.#bounds, upper: end } : { ...this.#bounds, lower: end };
    return this.start();
  }

  noteSkipped(): void {
    this.#table.noteSkipped();
  }

  get #offset(): number {
    return this.#handle?.offset ?? 0;
  }

  #decode<T>(offset: number, decoder: () => T): T {
    return this.#table.decode(offset, decoder);
  }

  #readHandle(index: BlockCursor): BlockHandle {
    return (this.#handle = this.#decode(this.#indexOffset, () => decodeBlockHandle(index.value)));
  }

  #nextBlock(): Pending {
    const index = defined(this.#index, 'the index of a started iterator');
    this.#valid = false;
    this.#decode(this.#indexOffset, () => {
      if (this.#reverse) index.previous();
      else index.next();
    });
    if (!index.valid) return undefined;
    const handle = this.#readHandle(index);
    const cached = this.#table.cachedBlock(handle);
    if (cached !== undefined) return this.#enterNextBlock(cached);
    this.#readAhead ??= new ReadAhead(this.#table, this.#reverse, windowBytesMax);
    return whenThere(this.#readAhead.part(handle), this.#enterNextBlock);
  }

  readonly #enterNextBlock = (contents: Uint8Array): Pending => {
    this.#enterBlock(contents, (cursor) => {
      if (this.#reverse) cursor.toLast();
      else cursor.toFirst();
    });
    return undefined;
  };

  #enterBlock(contents: Uint8Array, position: (cursor: BlockCursor) => void): void {
    this.#cursor = this.#decode(this.#offset, () => {
      const cursor = new BlockCursor(contents);
      position(cursor);
      return cursor;
    });
    this.#valid = this.#cursor.valid && this.#inBounds();
  }

  #inBounds(): boolean {
    const { lower, upper } = this.#bounds;
    const key = this.#current.key;
    return this.#reverse ? compareBytes(key, lower) >= 0 : upper === undefined || compareBytes(key, upper) < 0;
  }
}

/** Goes on at once where nothing has to be waited for. */
function whenThere<T>(value: MaybePromise<T>, goOn: (value: T) => Pending): Pending {
  return value instanceof Promise ? value.then(goOn) : goOn(value);
}

/** The bounds without what the tree does not have of the table. */
function within({ lower, upper }: KeyBounds, { smallestKey, endKey }: TableMetadata): KeyBounds {
  return {
    lower: compareBytes(lower, smallestKey) < 0 ? smallestKey : lower,
    upper: upper === undefined || compareBytes(upper, endKey) > 0 ? endKey : upper,
  };
}
