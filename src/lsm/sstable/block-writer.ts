import { assert } from '../../base/assert.js';
import { emptyBytes } from '../../base/bytes.js';
import { putU32, putVarint } from '../../base/coding.js';
import { restartInterval } from './sstable-format.js';

/** The numbers of an entry: three varints for lengths, one for the version, the kind. */
const entryNumbersBytesMax = 4 * 8 + 1;

/**
 * Builds one block after another: entries in order, through all of the blocks, each key without what it shares with the
 * one before. Everything that is written to a table goes through here: no object is made for an entry.
 */
export class BlockWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;
  #restarts: number[] = [];
  #entries = 0;
  /** Of the entry before, in whichever block; at first a place before all entries. */
  #lastKey = emptyBytes;
  #lastVersion = Infinity;

  get empty(): boolean {
    return this.#entries === 0;
  }

  /** Size that the block would have now. */
  get length(): number {
    return this.#length + 4 * (this.#restarts.length + 1);
  }

  /**
   * Whether the key is not that of the entry before, or that is not known yet to be any.
   * @param key stays unchanged until the next call
   * @param value is copied
   */
  add(key: Uint8Array, version: number, kindByte: number, value: Uint8Array): boolean {
    const lastKey = this.#lastKey;
    const common = sharedPrefixLength(lastKey, key);
    const isSameKey = common === key.length && common === lastKey.length;
    assert(
      isSameKey ? version < this.#lastVersion : common === lastKey.length || key[common] > lastKey[common],
      'entries must come in order, and each once',
    );
    let shared = common;
    if (this.#entries % restartInterval === 0) {
      this.#restarts.push(this.#length);
      shared = 0;
    }
    const unshared = key.length - shared;
    const bytes = this.#reserve(entryNumbersBytesMax + unshared + value.length);
    let at = putVarint(bytes, this.#length, shared);
    at = putVarint(bytes, at, unshared);
    at = putVarint(bytes, at, value.length);
    at = putVarint(bytes, at, version);
    bytes[at++] = kindByte;
    for (let i = shared; i < key.length; i++) bytes[at++] = key[i];
    bytes.set(value, at);
    this.#length = at + value.length;
    this.#entries++;
    this.#lastKey = key;
    this.#lastVersion = version;
    return !isSameKey;
  }

  /** The block, valid until the next call; the writer is then ready for the next block. */
  finish(): Uint8Array {
    assert(!this.empty, 'a block has at least one entry');
    const bytes = this.#reserve(4 * (this.#restarts.length + 1));
    let at = this.#length;
    for (const restart of [...this.#restarts, this.#restarts.length]) {
      putU32(bytes, at, restart);
      at += 4;
    }
    this.#length = 0;
    this.#restarts = [];
    this.#entries = 0;
    return bytes.subarray(0, at);
  }

  /** The buffer, with room for so many bytes more. */
  #reserve(extra: number): Uint8Array {
    const needed = this.#length + extra;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    return this.#bytes;
  }
}

function sharedPrefixLength(a: Uint8Array, b: Uint8Array): number {
  const max = a.length < b.length ? a.length : b.length;
  let length = 0;
  while (length < max && a[length] === b[length]) length++;
  return length;
}
