import { fromUtf8, viewOf } from '../base/bytes.js';
import { DecodeError } from '../base/coding.js';
import { copyOfPart } from './copies.js';
import { WireType } from './wire-format.js';

const two32 = 0x1_0000_0000;

/**
 * Reads the fields of one protobuf message:
 *
 *     while (reader.next()) {
 *       switch (reader.field) {
 *         case 1: key = reader.ownedBytes(); break;
 *         default: reader.skip();
 *       }
 *     }
 *
 * Every case reads the value or skips it. Stricter than the format where leniency would lose something: a number that
 * its type cannot hold is refused, not cut, and so is a field whose layout is not the declared one. Whatever the bytes,
 * only {@link DecodeError} is thrown. Of a field that is not repeated the last one counts.
 */
export class WireReader {
  readonly #source: Uint8Array;
  #offset: number;
  readonly #end: number;
  #field = 0;
  #wireType: WireType = WireType.varint;
  #low = 0;
  #high = 0;

  constructor(source: Uint8Array, offset = 0, end = source.length) {
    this.#source = source;
    this.#offset = offset;
    this.#end = end;
  }

  /** Number of the field whose value comes next. */
  get field(): number {
    return this.#field;
  }

  /** Moves to the next field; false at the end of the message. */
  next(): boolean {
    if (this.#offset === this.#end) return false;
    this.#varint();
    if (this.#high !== 0) throw new DecodeError('a field number out of range');
    this.#field = this.#low >>> 3;
    if (this.#field === 0) throw new DecodeError('field number 0');
    const wireType = (this.#low & 7) as WireType;
    switch (wireType) {
      case WireType.varint:
      case WireType.fixed64:
      case WireType.lengthDelimited:
      case WireType.fixed32:
        this.#wireType = wireType;
        return true;
      default:
        throw new DecodeError(`field ${this.#field} has a wire type that proto3 does not use`);
    }
  }

  /** uint64 below 2^53. */
  uint(): number {
    this.#readVarint();
    if (this.#high >= 0x20_0000) throw new DecodeError(`field ${this.#field} is above 2^53 - 1`);
    return this.#high * two32 + this.#low;
  }

  uint32(): number {
    this.#readVarint();
    if (this.#high !== 0) throw new DecodeError(`field ${this.#field} is above 2^32 - 1`);
    return this.#low;
  }

  /** int64 between -(2^53 - 1) and 2^53 - 1. */
  int(): number {
    this.#readVarint();
    const value = (this.#high | 0) * two32 + this.#low;
    if (!Number.isSafeInteger(value)) throw new DecodeError(`field ${this.#field} is beyond 2^53 - 1`);
    return value;
  }

  /** The number of an enum value: an int32. */
  enumNumber(): number {
    this.#readVarint();
    const value = this.#low | 0;
    if (this.#high !== 0 && !(this.#high === 0xffff_ffff && value < 0)) {
      throw new DecodeError(`field ${this.#field} is no number of an enum`);
    }
    return value;
  }

  bool(): boolean {
    this.#readVarint();
    return this.#low !== 0 || this.#high !== 0;
  }

  /**
   * The whole of a message whose fields 1 … `count` are all uint64, not repeated: their values in this order, 0 where
   * one is absent. A bool is 0 or 1.
   */
  uints(count: number): number[] {
    const values = new Array<number>(count).fill(0);
    while (this.next()) {
      if (this.#field <= count) values[this.#field - 1] = this.uint();
      else this.skip();
    }
    return values;
  }

  /** A view of the source: copy what outlives it. */
  viewedBytes(): Uint8Array {
    const start = this.#takeLengthDelimited();
    return viewOf(this.#source, start, this.#offset);
  }

  /** A copy. */
  ownedBytes(): Uint8Array {
    const start = this.#takeLengthDelimited();
    return copyOfPart(this.#source, start, this.#offset);
  }

  text(): string {
    return fromUtf8(this.viewedBytes());
  }

  /** A reader of the nested message. */
  message(): WireReader {
    const start = this.#takeLengthDelimited();
    return new WireReader(this.#source, start, this.#offset);
  }

  /** Passes over the value: for fields of a later release. */
  skip(): void {
    switch (this.#wireType) {
      case WireType.varint:
        this.#varint();
        return;
      case WireType.fixed64:
        this.#take(8);
        return;
      case WireType.fixed32:
        this.#take(4);
        return;
      case WireType.lengthDelimited:
        this.#takeLengthDelimited();
        return;
    }
  }

  #readVarint(): void {
    if (this.#wireType !== WireType.varint) throw new DecodeError(`field ${this.#field} is not a number`);
    this.#varint();
  }

  /** Into `#high` and `#low`, 32 bits each, unsigned. */
  #varint(): void {
    const first = this.#byte();
    if (first < 0x80) {
      this.#low = first;
      this.#high = 0;
      return;
    }
    let low = first & 0x7f;
    let high = 0;
    for (let shift = 7; shift < 70; shift += 7) {
      const byte = this.#byte();
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else {
        if (bits > 1) throw new DecodeError('a varint of more than 64 bits');
        high |= bits << 31;
      }
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    throw new DecodeError('a varint of more than 10 bytes');
  }

  #byte(): number {
    if (this.#offset >= this.#end) throw new DecodeError('the message ends inside a number');
    return this.#source[this.#offset++];
  }

  #takeLengthDelimited(): number {
    if (this.#wireType !== WireType.lengthDelimited) {
      throw new DecodeError(`field ${this.#field} is neither bytes nor a message`);
    }
    this.#varint();
    return this.#take(this.#high * two32 + this.#low);
  }

  #take(count: number): number {
    const left = this.#end - this.#offset;
    if (count > left) throw new DecodeError(`field ${this.#field}: ${count} bytes wanted, ${left} left`);
    const start = this.#offset;
    this.#offset += count;
    return start;
  }
}
