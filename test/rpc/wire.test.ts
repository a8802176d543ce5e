import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../src/base/coding.js';
import { WireReader } from '../../src/rpc/wire-reader.js';
import { WireWriter } from '../../src/rpc/wire-writer.js';

function firstField(bytes: number[]): WireReader {
  const reader = new WireReader(new Uint8Array(bytes));
  reader.next();
  return reader;
}

/** Field 1 as a varint of 64 bits. */
function varintField(value: bigint): number[] {
  const bytes = [0x08];
  let rest = BigInt.asUintN(64, value);
  do {
    const more = rest >= 0x80n;
    bytes.push(Number(rest & 0x7fn) | (more ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return bytes;
}

const max53 = BigInt(Number.MAX_SAFE_INTEGER);

describe('numbers', () => {
  it.each([0n, 1n, 127n, 128n, 0xffff_ffffn, 0x1_0000_0000n, 0x7_ffff_ffffn, max53])('reads %s', (value) => {
    expect(firstField(varintField(value)).uint()).toBe(Number(value));
    expect(firstField(varintField(value)).int()).toBe(Number(value));
  });

  it.each([-1n, -128n, -0x8000_0000n, -0x1_0000_0000n, -max53])('reads %s as an int', (value) => {
    expect(firstField(varintField(value)).int()).toBe(Number(value));
    expect(() => firstField(varintField(value)).uint()).toThrow(DecodeError);
  });

  it.each([max53 + 1n, 2n ** 63n, 2n ** 64n - 1n])('refuses %s as a uint', (value) => {
    expect(() => firstField(varintField(value)).uint()).toThrow(/above 2\^53 - 1/);
  });

  it.each([max53 + 1n, -max53 - 1n, 2n ** 63n])('refuses %s as an int', (value) => {
    expect(() => firstField(varintField(value)).int()).toThrow(/beyond 2\^53 - 1/);
  });

  it('agrees with arithmetic of 64 bits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (value) => {
        const unsigned = BigInt.asUintN(64, value);
        if (unsigned <= max53) expect(firstField(varintField(value)).uint()).toBe(Number(unsigned));
        else expect(() => firstField(varintField(value)).uint()).toThrow(DecodeError);
        expect(firstField(varintField(value)).bool()).toBe(unsigned !== 0n);
      }),
    );
  });

  it('reads enums as int32', () => {
    expect(firstField(varintField(7n)).enumNumber()).toBe(7);
    expect(firstField(varintField(-7n)).enumNumber()).toBe(-7);
    expect(() => firstField(varintField(2n ** 40n)).enumNumber()).toThrow(DecodeError);
  });

  it('refuses a uint32 above its range', () => {
    expect(firstField(varintField(0xffff_ffffn)).uint32()).toBe(0xffff_ffff);
    expect(() => firstField(varintField(0x1_0000_0000n)).uint32()).toThrow(DecodeError);
  });

  it.each([
    ['ends inside a number', [0x08, 0x80]],
    ['has a varint of 11 bytes', [0x08, ...new Array<number>(10).fill(0x80), 0]],
    ['has a varint of 65 bits', [0x08, ...new Array<number>(9).fill(0x80), 2]],
  ])('refuses what %s', (_, bytes) => {
    expect(() => firstField(bytes).uint()).toThrow(DecodeError);
  });

  it('does not write what is no whole number below 2^53', () => {
    for (const value of [-1, 1.5, 2 ** 53, NaN]) expect(() => new WireWriter().uint(1, value)).toThrow(/whole number/);
  });
});

describe('fields', () => {
  it.each([
    ['field number 0', [0x00, 0]],
    ['a group', [0x0b]],
    ['bytes beyond the end', [0x0a, 5, 1]],
    ['bytes of 2^63', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a fixed64 beyond the end', [0x09, 1, 2]],
  ])('refuses %s', (_, bytes) => {
    expect(() => {
      const reader = firstField(bytes);
      reader.skip();
    }).toThrow(DecodeError);
  });

  it('refuses a layout that is not the declared one', () => {
    expect(() => firstField([0x0a, 0]).uint()).toThrow(/not a number/);
    expect(() => firstField([0x08, 0]).ownedBytes()).toThrow(/neither bytes nor a message/);
  });

  it('nests messages of every length', () => {
    for (const length of [0, 1, 125, 126, 127, 128, 16_380, 16_381, 16_384, 2_097_148, 2_097_152]) {
      const writer = new WireWriter(1);
      const outer = writer.begin(1);
      const inner = writer.begin(2);
      writer.presentBytes(3, new Uint8Array(length).fill(5));
      writer.end(inner);
      writer.uint(4, 9);
      writer.end(outer);
      const reader = new WireReader(writer.finish());
      expect(reader.next()).toBe(true);
      const middle = reader.message();
      expect(middle.next()).toBe(true);
      const innermost = middle.message();
      expect(innermost.next()).toBe(true);
      const bytes = innermost.viewedBytes();
      expect([bytes.length, bytes[0], bytes[length - 1]]).toEqual(
        length === 0 ? [0, undefined, undefined] : [length, 5, 5],
      );
      expect(middle.next()).toBe(true);
      expect(middle.uint()).toBe(9);
      expect([innermost.next(), middle.next(), reader.next()]).toEqual([false, false, false]);
    }
  });
});

describe('fields', () => {
  it.each([1, 15, 16, 127, 128, 2047])('of number %s are read as they were written', (field) => {
    const writer = new WireWriter(1);
    writer.bool(field, true);
    const mark = writer.begin(field);
    writer.presentBytes(field, new Uint8Array(200));
    writer.end(mark);
    writer.emptyMessage(field);
    const reader = new WireReader(writer.finish());
    expect([reader.next(), reader.field, reader.bool()]).toEqual([true, field, true]);
    expect([reader.next(), reader.field]).toEqual([true, field]);
    const nested = reader.message();
    expect([nested.next(), nested.field, nested.ownedBytes().length]).toEqual([true, field, 200]);
    expect([reader.next(), reader.field, reader.message().next(), reader.next()]).toEqual([true, field, false, false]);
  });
});
