import { emptyBytes } from '../../base/bytes.js';
import { DecodeError, getU32 } from '../../base/coding.js';
import { Timestamp } from '../../base/ids.js';
import { storedKindOfByte, type StoredKind } from '../entry.js';

/**
 * The first entry of a block at or after (key, version). No key is put together: how much of the sought key the last
 * entry had is enough to compare the next one.
 *
 * Throws a DecodeError on bytes that are not a block, as the cursor does.
 */
export class BlockSearch {
  /** Whether there is such an entry. */
  found = false;
  /** Whether it is one of the sought key. */
  isOfKey = false;
  /** Where the entry begins, and how many bytes of its key are left out there: all of them are those of the sought key. */
  offset = 0;
  shared = 0;
  version = Timestamp(0);
  kind: StoredKind = 'put';
  /** A view of the block. */
  value: Uint8Array = emptyBytes;
  readonly #block: Uint8Array;
  /** Where the entries end, and the restarts begin. */
  readonly #entriesEnd: number;
  readonly #key: Uint8Array;
  /** Where {@link #varint} reads. */
  #at = 0;

  constructor(block: Uint8Array, key: Uint8Array, version: number) {
    this.#key = key;
    this.#block = block;
    const { length } = block;
    if (length < 8) throw new DecodeError('a block of less than 8 bytes');
    const restartCount = getU32(block, length - 4);
    this.#entriesEnd = length - 4 - 4 * restartCount;
    if (restartCount < 1 || this.#entriesEnd < 1) throw new DecodeError('a block without entries');
    this.#walk(this.#lastRestartBefore(restartCount, version), version);
  }

  /** Offset of the last restart whose entry comes before the sought one, or of the first restart. */
  #lastRestartBefore(restartCount: number, version: number): number {
    let low = 0;
    let high = restartCount - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#comesBefore(this.#restartOffset(middle), version)) low = middle;
      else high = middle - 1;
    }
    return this.#restartOffset(low);
  }

  #restartOffset(restart: number): number {
    const offset = getU32(this.#block, this.#entriesEnd + 4 * restart);
    if (offset >= this.#entriesEnd) throw new DecodeError('a restart outside of the entries');
    return offset;
  }

  #comesBefore(restartOffset: number, version: number): boolean {
    this.#at = restartOffset;
    const shared = this.#varint();
    const length = this.#varint();
    this.#varint();
    const entryVersion = this.#varint();
    const keyOffset = this.#at + 1;
    if (shared !== 0) throw new DecodeError('a restart that shares bytes with the key before it');
    if (!(keyOffset + length <= this.#entriesEnd)) throw new DecodeError('an entry runs out of its block');
    const equal = this.#equalBytes(keyOffset, length, 0);
    if (equal === length) return equal < this.#key.length || entryVersion > version;
    return equal < this.#key.length && this.#block[keyOffset + equal] < this.#key[equal];
  }

  /** How many bytes from `offset` on, of `length`, are those of the key from `keyFrom` on. */
  #equalBytes(offset: number, length: number, keyFrom: number): number {
    const block = this.#block;
    const key = this.#key;
    const end = Math.min(length, key.length - keyFrom);
    let equal = 0;
    while (equal < end && block[offset + equal] === key[keyFrom + equal]) equal++;
    return equal;
  }

  #walk(from: number, version: number): void {
    const block = this.#block;
    const key = this.#key;
    /** Bytes that the entry before has of the key, from the first on. Of the entry: it comes before the sought one. */
    let matched = 0;
    let lengthBefore = 0;
    for (let offset = from; offset < this.#entriesEnd;) {
      const start = offset;
      this.#at = start;
      const shared = this.#varint();
      const unshared = this.#varint();
      const valueLength = this.#varint();
      const entryVersion = this.#varint();
      const keyOffset = this.#at + 1;
      const valueOffset = keyOffset + unshared;
      offset = valueOffset + valueLength;
      if (shared > lengthBefore) throw new DecodeError(`an entry shares ${shared} bytes of a shorter key`);
      if (!(offset <= this.#entriesEnd)) throw new DecodeError('an entry runs out of its block');
      lengthBefore = shared + unshared;
      // It shares the byte by which the entry before was smaller.
      if (shared > matched) continue;
      const equal = this.#equalBytes(keyOffset, unshared, shared);
      matched = shared + equal;
      if (equal === unshared ? matched < key.length : matched < key.length && block[keyOffset + equal] < key[matched]) {
        continue;
      }
      const isOfKey = equal === unshared && matched === key.length;
      if (isOfKey && entryVersion > version) continue;
      this.found = true;
      this.isOfKey = isOfKey;
      this.offset = start;
      this.shared = shared;
      this.version = Timestamp(entryVersion);
      this.kind = storedKindOfByte(block[keyOffset - 1]);
      this.value = block.subarray(valueOffset, offset);
      return;
    }
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
