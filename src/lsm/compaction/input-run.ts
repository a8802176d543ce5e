import { defined } from '../../base/assert.js';
import { compareBytes } from '../../base/bytes.js';
import { DecodeError } from '../../base/coding.js';
import type { Timestamp } from '../../base/ids.js';
import type { Disk } from '../../env/disk.js';
import type { StoredKind } from '../entry.js';
import type { EntryIterator, Pending } from '../iterator/entry-iterator.js';
import { BlockCursor } from '../sstable/block-cursor.js';
import type { SstableReader } from '../sstable/sstable-reader.js';
import { scanTable, type ScannedBlock } from '../sstable/table-scan.js';

/** Blocks that were read together. */
interface Piece {
  readonly table: SstableReader;
  readonly blocks: readonly ScannedBlock[];
}

/**
 * Walks over all entries of tables that do not overlap, front to back, for a merge. Two pieces are in memory: the one that
 * is walked over, and the next one, which is read meanwhile. Must be closed.
 */
export class InputRun implements EntryIterator {
  readonly #pieces: AsyncGenerator<Piece, void>;
  /** The piece after `#piece`; undefined before the start. */
  #ahead: Promise<IteratorResult<Piece, void>> | undefined;
  #piece: Piece | undefined;
  /** Position of the current block in `#piece`. */
  #block = 0;
  /** On the current entry; undefined before the start and after the end. */
  #cursor: BlockCursor | undefined;
  /** Where the tree's part of a trimmed table ends: the first key beyond. */
  #endKey: Uint8Array | undefined;

  /** @param tables in order of keys */
  constructor(tables: readonly SstableReader[], disk: Disk) {
    this.#pieces = piecesOf(tables, disk);
  }

  get valid(): boolean {
    return this.#cursor !== undefined;
  }

  get #entry(): BlockCursor {
    return defined(this.#cursor, 'the entry of a valid iterator');
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
    this.#readAhead();
    return this.#nextPiece();
  }

  advance(): Pending {
    const cursor = this.#entry;
    try {
      cursor.next();
    } catch (error) {
      throw this.#damage(error);
    }
    return cursor.valid && this.#isInTree(cursor) ? undefined : this.#nextBlock();
  }

  advanceHidden(): Pending {
    return this.advance();
  }

  /** Not counted: nobody reads for an answer. */
  noteSkipped(): void {}

  async close(): Promise<void> {
    // A piece that is being read is waited for: its file is closed after that.
    await this.#pieces.return();
  }

  #nextBlock(): Pending {
    const piece = defined(this.#piece, 'the piece of a started iterator');
    this.#block++;
    return this.#block < piece.blocks.length ? this.#enterBlock(piece) : this.#nextPiece();
  }

  async #nextPiece(): Promise<void> {
    const { value: piece } = await defined(this.#ahead, 'the piece ahead of a started iterator');
    this.#cursor = undefined;
    if (piece === undefined) return;
    this.#readAhead();
    this.#piece = piece;
    this.#block = 0;
    const { trimmed, endKey } = piece.table.metadata;
    this.#endKey = trimmed ? endKey : undefined;
    await this.#enterBlock(piece);
  }

  #readAhead(): void {
    this.#ahead = this.#pieces.next();
    // Whoever awaits it learns what went wrong; if nobody does any more, it does not matter.
    this.#ahead.catch(() => undefined);
  }

  #enterBlock({ table, blocks }: Piece): Pending {
    let cursor: BlockCursor;
    try {
      cursor = new BlockCursor(blocks[this.#block].contents);
      if (this.#endKey === undefined) cursor.toFirst();
      else cursor.seek(table.metadata.smallestKey, Number.MAX_SAFE_INTEGER);
    } catch (error) {
      throw this.#damage(error);
    }
    this.#cursor = cursor;
    return cursor.valid && this.#isInTree(cursor) ? undefined : this.#nextBlock();
  }

  #isInTree(cursor: BlockCursor): boolean {
    return this.#endKey === undefined || compareBytes(cursor.key, this.#endKey) < 0;
  }

  #damage(error: unknown): unknown {
    const { table, blocks } = defined(this.#piece, 'the piece of a started iterator');
    return error instanceof DecodeError ? table.corruption(blocks[this.#block].offset, error.message) : error;
  }
}

async function* piecesOf(tables: readonly SstableReader[], disk: Disk): AsyncGenerator<Piece, void> {
  for (const table of tables) {
    for await (const blocks of scanTable(table, disk)) yield { table, blocks };
  }
}
