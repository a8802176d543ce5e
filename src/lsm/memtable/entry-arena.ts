/**
 * Entries one after the other in a few large chunks, so that a million of them are no work for the garbage collector.
 * Bytes are never moved or changed: views stay good as long as somebody holds them. Freed as a whole.
 *
 * An entry begins at a multiple of 8 bytes: version (8, a double), key length and kind (4: length * 2 + kind), value
 * length (4), key, value. It is known by a reference, a number from 1 to 2^31 - 1: chunk * 2^17 + offset / 8.
 * References grow in the order of adding.
 */
import { assert } from '../../base/assert.js';
import { Timestamp } from '../../base/ids.js';
import { byteOfKind, kindOfByte, type Found, type Kind } from '../entry.js';

const chunkBytesMin = 4 * 1024;
const chunkBytesMax = 1024 * 1024;
const unitBytes = 8;
const chunkShift = 17;
const unitMask = (1 << chunkShift) - 1;
const chunksMax = 1 << (31 - chunkShift);
const headerBytes = 16;
/** So many bytes are copied by a loop as fast as by a call. */
const loopBytesMax = 32;

/** The same memory as bytes, whole numbers and doubles. */
interface Chunk {
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
}

export class EntryArena {
  readonly #chunks: Chunk[] = [];
  /** Bytes used of the last chunk. The first unit of the first one stays free: no entry has reference 0. */
  #used = unitBytes;
  #memoryBytes = 0;

  /** The arena with these chunks, in another thread; not to be added to. */
  static of(buffers: readonly ArrayBuffer[]): EntryArena {
    const arena = new EntryArena();
    for (const buffer of buffers) arena.#addChunk(buffer);
    return arena;
  }

  /** The memory of its chunks, 1 MiB each at most unless an entry is larger. Not to be given away: readers have views of it. */
  get buffers(): readonly ArrayBuffer[] {
    return this.#chunks.map(({ buffer }) => buffer);
  }

  /** Bytes of all chunks. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** Copies an entry and returns its reference. */
  add(key: Uint8Array, version: number, kind: Kind, value: Uint8Array): number {
    const bytes = headerBytes + key.length + value.length;
    const chunk = this.#reserve(bytes);
    const offset = this.#used;
    const unit = offset / unitBytes;
    chunk.doubles[unit] = version;
    chunk.words[2 * unit + 2] = key.length * 2 + byteOfKind(kind);
    chunk.words[2 * unit + 3] = value.length;
    const keyAt = offset + headerBytes;
    if (key.length > loopBytesMax) chunk.bytes.set(key, keyAt);
    else for (let i = 0; i < key.length; i++) chunk.bytes[keyAt + i] = key[i];
    const valueAt = keyAt + key.length;
    chunk.bytes.set(value, valueAt);
    this.#used = offset + Math.ceil(bytes / unitBytes) * unitBytes;
    return ((this.#chunks.length - 1) << chunkShift) | unit;
  }

  /** Chunks double from 4 KiB to 1 MiB: a tree that holds little costs little. A larger entry has one of its own. */
  #reserve(bytes: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last !== undefined && this.#used + bytes <= last.bytes.length) return last;
    assert(this.#chunks.length < chunksMax, 'a memtable has at most 16384 chunks');
    const next = last === undefined ? chunkBytesMin : Math.min(last.bytes.length * 2, chunkBytesMax);
    if (last !== undefined) this.#used = 0;
    const length = Math.max(next, Math.ceil((this.#used + bytes) / unitBytes) * unitBytes);
    return this.#addChunk(new ArrayBuffer(length));
  }

  #addChunk(buffer: ArrayBuffer): Chunk {
    const chunk = {
      buffer,
      bytes: new Uint8Array(buffer),
      words: new Uint32Array(buffer),
      doubles: new Float64Array(buffer),
    };
    this.#chunks.push(chunk);
    this.#memoryBytes += buffer.byteLength;
    return chunk;
  }

  /** < 0 when the entry comes before (key, version). The first `skip` bytes of the keys are known to be equal. */
  compare(reference: number, key: Uint8Array, version: number, skip: number): number {
    const { bytes, words, doubles } = this.#chunks[reference >>> chunkShift];
    const unit = reference & unitMask;
    const offset = unit * unitBytes + headerBytes;
    const length = words[2 * unit + 2] >>> 1;
    const shared = length < key.length ? length : key.length;
    for (let i = skip; i < shared; i++) {
      const difference = bytes[offset + i] - key[i];
      if (difference !== 0) return difference;
    }
    return length === key.length ? version - doubles[unit] : length - key.length;
  }

  /** Whether the key of the entry is `key`. */
  hasKey(reference: number, key: Uint8Array): boolean {
    return this.compare(reference, key, this.versionOf(reference), 0) === 0;
  }

  /** How many of the first bytes the keys of both entries share. */
  sharedPrefix(a: number, b: number): number {
    return this.sharedPrefixWith(a, this.keyOf(b), 0x7fffffff);
  }

  /** How many of the first bytes, up to `max`, the entry's key shares with `key`. */
  sharedPrefixWith(reference: number, key: Uint8Array, max: number): number {
    const { bytes, words } = this.#chunks[reference >>> chunkShift];
    const unit = reference & unitMask;
    const offset = unit * unitBytes + headerBytes;
    const shared = Math.min(words[2 * unit + 2] >>> 1, key.length, max);
    let length = 0;
    while (length < shared && bytes[offset + length] === key[length]) length++;
    return length;
  }

  /** See {@link headOf}. */
  headAt(reference: number, from: number): number {
    const { bytes, words } = this.#chunks[reference >>> chunkShift];
    const unit = reference & unitMask;
    const offset = unit * unitBytes + headerBytes;
    return headOf(bytes, offset + from, offset + (words[2 * unit + 2] >>> 1));
  }

  versionOf(reference: number): Timestamp {
    return Timestamp(this.#chunks[reference >>> chunkShift].doubles[reference & unitMask]);
  }

  kindOf(reference: number): Kind {
    return kindOfByte(this.#chunks[reference >>> chunkShift].words[2 * (reference & unitMask) + 2] & 1);
  }

  /** A view. */
  keyOf(reference: number): Uint8Array {
    const { bytes, words } = this.#chunks[reference >>> chunkShift];
    const unit = reference & unitMask;
    const offset = unit * unitBytes + headerBytes;
    return bytes.subarray(offset, offset + (words[2 * unit + 2] >>> 1));
  }

  /** A view. */
  valueOf(reference: number): Uint8Array {
    const { bytes, words } = this.#chunks[reference >>> chunkShift];
    const unit = reference & unitMask;
    const offset = unit * unitBytes + headerBytes + (words[2 * unit + 2] >>> 1);
    return bytes.subarray(offset, offset + words[2 * unit + 3]);
  }

  found(reference: number): Found {
    return { version: this.versionOf(reference), kind: this.kindOf(reference), value: this.valueOf(reference) };
  }
}

/**
 * The four bytes from `from` on as a number that orders as they do, zeros where `end` comes first. Keys that agree up to
 * `from` and have different heads are in the order of their heads.
 */
export function headOf(bytes: Uint8Array, from: number, end: number): number {
  if (from + 4 <= end) {
    return ((bytes[from] ^ 0x80) << 24) | (bytes[from + 1] << 16) | (bytes[from + 2] << 8) | bytes[from + 3];
  }
  let head = 0;
  for (let i = from; i < from + 4; i++) head = (head << 8) | (i < end ? bytes[i] : 0);
  return head ^ 0x80000000;
}
