/**
 * Little-endian fixed numbers and LEB128 variable ones, over growing and given buffers.
 * Whole numbers go up to 2^53 - 1; a decoder that meets more, or runs off the end, throws {@link DecodeError}.
 */
import { assert, assertWholeNumber } from './assert.js';
import { fromUtf8, utf8, viewOf } from './bytes.js';

/** The bytes do not have the form that the reader expects; whoever knows the file turns it into a corruption error. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

const two28 = 0x1000_0000;
const two32 = 0x1_0000_0000;

export function putU32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value;
  target[offset + 1] = value >>> 8;
  target[offset + 2] = value >>> 16;
  target[offset + 3] = value >>> 24;
}

export function getU32(source: Uint8Array, offset: number): number {
  return (source[offset] | (source[offset + 1] << 8) | (source[offset + 2] << 16) | (source[offset + 3] << 24)) >>> 0;
}

/** 8 bytes, of which the upper 11 bits are zero. */
export function putU53(target: Uint8Array, offset: number, value: number): void {
  const high = Math.floor(value / two32);
  putU32(target, offset, (value - high * two32) >>> 0);
  putU32(target, offset + 4, high);
}

export function getU53(source: Uint8Array, offset: number): number {
  const high = getU32(source, offset + 4);
  if (high >= 0x20_0000) throw new DecodeError('a number above 2^53 - 1');
  return high * two32 + getU32(source, offset);
}

/** Puts a whole number from 0 to 2^53 - 1, for which there is room; where it ends, 8 bytes further at most. */
export function putVarint(target: Uint8Array, offset: number, value: number): number {
  let rest = value;
  if (value >= two28) {
    // Whole numbers of 31 bits are many times as fast as larger ones: its lowest four groups by themselves.
    rest = Math.floor(value / two28);
    const low = value - rest * two28;
    target[offset++] = low | 0x80;
    target[offset++] = (low >>> 7) | 0x80;
    target[offset++] = (low >>> 14) | 0x80;
    target[offset++] = (low >>> 21) | 0x80;
  }
  while (rest >= 0x80) {
    target[offset++] = rest | 0x80;
    rest >>>= 7;
  }
  target[offset++] = rest;
  return offset;
}

/** Number of bytes that {@link ByteWriter.varint} takes for `value`. */
export function varintLength(value: number): number {
  let length = 1;
  while (value >= 0x80) {
    value = Math.floor(value / 0x80);
    length++;
  }
  return length;
}

/** Appends to a buffer that doubles when it is full. `finish` hands out the written part. */
export class ByteWriter {
  #buffer: Uint8Array;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#buffer = new Uint8Array(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  #grow(extra: number): void {
    const needed = this.#length + extra;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }

  u8(value: number): this {
    this.#grow(1);
    this.#buffer[this.#length++] = value;
    return this;
  }

  u32(value: number): this {
    this.#grow(4);
    putU32(this.#buffer, this.#length, value);
    this.#length += 4;
    return this;
  }

  u53(value: number): this {
    assertWholeNumber(value);
    this.#grow(8);
    putU53(this.#buffer, this.#length, value);
    this.#length += 8;
    return this;
  }

  varint(value: number): this {
    assertWholeNumber(value);
    this.#grow(8);
    this.#length = putVarint(this.#buffer, this.#length, value);
    return this;
  }

  /** The bytes as they are, without a length. */
  raw(bytes: Uint8Array): this {
    this.#grow(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** A varint length, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** A varint length, then the text as UTF-8. */
  text(text: string): this {
    return this.bytes(utf8(text));
  }

  /** Overwrites 4 bytes that were written before, for a length or checksum that is known only at the end. */
  patchU32(offset: number, value: number): void {
    assert(offset + 4 <= this.#length, 'patch beyond what was written');
    putU32(this.#buffer, offset, value);
  }

  /** A view of what was written; valid until the next write. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** What was written, owned by the caller. */
  finish(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }

  reset(): void {
    this.#length = 0;
  }
}

/** Reads what a {@link ByteWriter} wrote. Byte strings that it returns are views of the source. */
export class ByteReader {
  readonly #source: Uint8Array;
  #offset: number;
  readonly #end: number;

  constructor(source: Uint8Array, offset = 0, end = source.length) {
    this.#source = source;
    this.#offset = offset;
    this.#end = end;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#end - this.#offset;
  }

  #take(count: number): number {
    if (count > this.remaining) throw new DecodeError(`${count} bytes wanted, ${this.remaining} left`);
    const at = this.#offset;
    this.#offset += count;
    return at;
  }

  u8(): number {
    return this.#source[this.#take(1)];
  }

  u32(): number {
    return getU32(this.#source, this.#take(4));
  }

  u53(): number {
    return getU53(this.#source, this.#take(8));
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let length = 1; ; length++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 0x80;
      if (length === 8) throw new DecodeError('a varint of more than 8 bytes');
    }
    if (value > Number.MAX_SAFE_INTEGER) throw new DecodeError('a varint above 2^53 - 1');
    return value;
  }

  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return viewOf(this.#source, at, at + length);
  }

  bytes(): Uint8Array {
    return this.raw(this.varint());
  }

  text(): string {
    return fromUtf8(this.bytes());
  }

  /** Throws unless everything was read: trailing bytes mean that writer and reader disagree. */
  end(): void {
    if (this.remaining !== 0) throw new DecodeError(`${this.remaining} bytes too many`);
  }
}
