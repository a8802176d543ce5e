import { assert } from '../../base/assert.js';
import { DecodeError, getU32 } from '../../base/coding.js';
import { Timestamp } from '../../base/ids.js';
import { storedKindOfByte, type StoredKind } from '../entry.js';
import { BlockSearch } from './block-search.js';

/**
 * A place in a block, on an entry while `valid`. Every method may throw a {@link DecodeError}: the checksum was right,
 * so the bytes are what was written, but what was written is not a block.
 */
export class BlockCursor {
  readonly #block: Uint8Array;
  readonly #restartCount: number;
  /** Where the entries end and the restart offsets begin. */
  readonly #entriesEnd: number;

  /** Start of the current entry, and of the next one. */
  #offset = 0;
  #nextOffset = 0;
  #valid = false;
  /** The current key, in the first `#keyLength` bytes: the next entry's key is built over it. */
  #keyBuffer = new Uint8Array(64);
  #keyLength = 0;
  /** A copy of it that outlives the step; made when somebody asks. */
  #key: Uint8Array | undefined;
  #version = 0;
  #kind: StoredKind = 'put';
  #valueOffset = 0;
  /** Where {@link #varint} reads. */
  #at = 0;

  /** `block` as {@link BlockWriter.finish} made it. */
  constructor(block: Uint8Array) {
    this.#block = block;
    if (block.length < 8) throw new DecodeError('a block of less than 8 bytes');
    this.#restartCount = getU32(block, block.length - 4);
    this.#entriesEnd = block.length - 4 - 4 * this.#restartCount;
    if (this.#restartCount < 1 || this.#entriesEnd < 1) throw new DecodeError('a block without entries');
  }

  get valid(): boolean {
    return this.#valid;
  }

  get key(): Uint8Array {
    return (this.#key ??= this.#keyBuffer.slice(0, this.#keyLength));
  }

  get version(): Timestamp {
    return Timestamp(this.#version);
  }

  get kind(): StoredKind {
    return this.#kind;
  }

  /** A view of the block. */
  get value(): Uint8Array {
    return this.#block.subarray(this.#valueOffset, this.#nextOffset);
  }

  toFirst(): void {
    this.#toRestart(0);
  }

  toLast(): void {
    this.#toRestart(this.#restartCount - 1);
    while (this.#nextOffset < this.#entriesEnd) this.#decode(this.#nextOffset);
  }

  next(): void {
    assert(this.#valid, 'a cursor that is on no entry cannot go on');
    if (this.#nextOffset < this.#entriesEnd) this.#decode(this.#nextOffset);
    else this.#valid = false;
  }

  previous(): void {
    assert(this.#valid, 'a cursor that is on no entry cannot go back');
    const target = this.#offset;
    if (target === 0) {
      this.#valid = false;
      return;
    }
    let restart = this.#restartCount - 1;
    while (this.#restartOffset(restart) >= target) restart--;
    this.#toRestart(restart);
    while (this.#nextOffset < target) this.#decode(this.#nextOffset);
    if (this.#nextOffset !== target) throw new DecodeError('entries and restart offsets disagree');
  }

  /** To the first entry at or after (key, version). */
  seek(key: Uint8Array, version: number): void {
    const { found, offset, shared } = new BlockSearch(this.#block, key, version);
    this.#valid = false;
    if (!found) return;
    // What the entry shares with the one before is a part of `key`, too.
    this.#reserve(shared);
    for (let i = 0; i < shared; i++) this.#keyBuffer[i] = key[i];
    this.#keyLength = shared;
    this.#decode(offset);
  }

  /** To the last entry whose user key comes before `key`. */
  seekBefore(key: Uint8Array): void {
    this.seek(key, Number.MAX_SAFE_INTEGER);
    if (this.#valid) this.previous();
    else this.toLast();
  }

  #restartOffset(restart: number): number {
    return getU32(this.#block, this.#entriesEnd + 4 * restart);
  }

  #toRestart(restart: number): void {
    this.#keyLength = 0;
    this.#decode(this.#restartOffset(restart));
  }

  #decode(offset: number): void {
    this.#at = offset;
    const shared = this.#varint();
    const unshared = this.#varint();
    const valueLength = this.#varint();
    const version = this.#varint();
    const keyOffset = this.#at + 1;
    const valueOffset = keyOffset + unshared;
    const nextOffset = valueOffset + valueLength;
    if (shared > this.#keyLength) throw new DecodeError(`an entry shares ${shared} bytes of a shorter key`);
    if (!(nextOffset <= this.#entriesEnd)) throw new DecodeError('an entry runs out of its block');
    const kind = storedKindOfByte(this.#block[keyOffset - 1]);

    const keyLength = shared + unshared;
    this.#reserve(keyLength);
    for (let i = 0; i < unshared; i++) this.#keyBuffer[shared + i] = this.#block[keyOffset + i];

    this.#keyLength = keyLength;
    this.#key = undefined;
    this.#version = version;
    this.#kind = kind;
    this.#valueOffset = valueOffset;
    this.#offset = offset;
    this.#nextOffset = nextOffset;
    this.#valid = true;
  }

  /** Makes room for a key of that length; keeps the current one. */
  #reserve(keyLength: number): void {
    if (keyLength <= this.#keyBuffer.length) return;
    const grown = new Uint8Array(Math.max(keyLength, this.#keyBuffer.length * 2));
    grown.set(this.#keyBuffer);
    this.#keyBuffer = grown;
  }

  /** As ByteReader.varint, without an object of its own. */
  #varint(): number {
    let byte = this.#block[this.#at++];
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let scale = 0x80, length = 2; ; scale *= 0x80, length++) {
      if (length > 8 || this.#at >= this.#entriesEnd) throw new DecodeError('a varint does not end');
      byte = this.#block[this.#at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    if (value > Number.MAX_SAFE_INTEGER) throw new DecodeError('a varint above 2^53 - 1');
    return value;
  }
}
