import { assert, assertWholeNumber } from '../base/assert.js';
import { putVarint } from '../base/coding.js';
import { copyOfPart } from './copies.js';
import { WireType } from './wire-format.js';

/**
 * Appends protobuf fields to a buffer that doubles when it is full. As proto3 has it, `uint`, `bool`, `bytes` and
 * `text` leave out zero, false and empty; the `present…` forms and nested messages are always written.
 */
export class WireWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** A whole number from 0, below 2^53; also an enum. */
  uint(field: number, value: number): void {
    if (value !== 0) this.presentUint(field, value);
  }

  /** For `optional` fields and members of a oneof, where zero is something else than nothing. */
  presentUint(field: number, value: number): void {
    assertWholeNumber(value);
    this.#reserve(16);
    this.#tag(field, WireType.varint);
    this.#varint(value);
  }

  bool(field: number, value: boolean): void {
    if (value) this.presentUint(field, 1);
  }

  /** Copies `value`. */
  bytes(field: number, value: Uint8Array): void {
    if (value.length !== 0) this.presentBytes(field, value);
  }

  /** For `optional` fields, members of a oneof, and messages that are encoded already. Copies `value`. */
  presentBytes(field: number, value: Uint8Array): void {
    this.#reserve(value.length + 16);
    this.#tag(field, WireType.lengthDelimited);
    this.#varint(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  text(field: number, value: string): void {
    if (value.length !== 0) this.presentBytes(field, Buffer.from(value, 'utf8'));
  }

  /** A nested message without fields. */
  emptyMessage(field: number): void {
    this.#reserve(16);
    this.#tag(field, WireType.lengthDelimited);
    this.#buffer[this.#length++] = 0;
  }

  /** Begins a nested message; what is written until {@link end} is its content. Returns the mark that `end` wants. */
  begin(field: number): number {
    this.#reserve(16);
    this.#tag(field, WireType.lengthDelimited);
    this.#length++;
    return this.#length;
  }

  /** One byte was left for the length; content of 128 bytes or more moves to make room. */
  end(mark: number): void {
    const contentLength = this.#length - mark;
    assert(contentLength >= 0, 'end of a nested message that did not begin');
    if (contentLength >= 0x80) {
      this.#reserve(8);
      const extra = contentLength < 0x4000 ? 1 : contentLength < 0x20_0000 ? 2 : contentLength < 0x1000_0000 ? 3 : 4;
      this.#buffer.copyWithin(mark + extra, mark, this.#length);
      this.#length += extra;
    }
    const end = this.#length;
    this.#length = mark - 1;
    this.#varint(contentLength);
    this.#length = end;
  }

  /** What was written, owned by the caller; the writer is not used any more. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** A copy of what was written: for what is kept in great number, and would take more than it has. The writer is as new then. */
  finishCopy(): Uint8Array {
    const copy = copyOfPart(this.#buffer, 0, this.#length);
    this.#length = 0;
    return copy;
  }

  #reserve(extra: number): void {
    const needed = this.#length + extra;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }

  /** One byte for the fields that are written often, two from field 16 on. */
  #tag(field: number, wireType: WireType): void {
    assert(field >= 1 && field <= 2047, 'a field number that takes more than two bytes');
    const tag = (field << 3) | wireType;
    if (tag < 0x80) {
      this.#buffer[this.#length++] = tag;
    } else {
      this.#buffer[this.#length++] = (tag & 0x7f) | 0x80;
      this.#buffer[this.#length++] = tag >>> 7;
    }
  }

  #varint(value: number): void {
    this.#length = putVarint(this.#buffer, this.#length, value);
  }
}
