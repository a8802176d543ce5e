import { describe, expect, test } from 'vitest';
import {
  compareBytes,
  fromUtf8,
  keySuccessor,
  mapKey,
  prefixEnd,
  printable,
  toHex,
  utf8,
} from '../../src/base/bytes.js';
import { ByteReader, ByteWriter, DecodeError, varintLength } from '../../src/base/coding.js';
import { Prng } from '../../src/base/prng.js';

const edges = [
  0,
  1,
  0x7f,
  0x80,
  0x3fff,
  0x4000,
  2 ** 28 - 1,
  2 ** 28,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 49,
  2 ** 53 - 1,
];

describe('ByteWriter and ByteReader', () => {
  test.each(edges)('%i goes through u53 and varint', (value) => {
    const bytes = new ByteWriter(1).u53(value).varint(value).finish();
    expect(bytes.length).toBe(8 + varintLength(value));
    const reader = new ByteReader(bytes);
    expect([reader.u53(), reader.varint()]).toEqual([value, value]);
    reader.end();
  });

  test('bytes on disk', () => {
    const bytes = new ByteWriter(1)
      .u8(1)
      .u32(0x01020304)
      .u53(2 ** 40)
      .varint(300)
      .bytes(Uint8Array.of(7))
      .text('é')
      .finish();
    expect(toHex(bytes)).toBe('01' + '04030201' + '0000000000010000' + 'ac02' + '0107' + '02c3a9');
  });

  test.each([
    ['a u53 above 2^53 - 1', Uint8Array.of(0, 0, 0, 0, 0, 0, 0x20, 0), (r: ByteReader) => r.u53()],
    ['a varint of more than 8 bytes', new Uint8Array(9).fill(0x80), (r: ByteReader) => r.varint()],
    [
      'a varint above 2^53 - 1',
      Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
      (r: ByteReader) => r.varint(),
    ],
    ['a length beyond the end', Uint8Array.of(5, 1), (r: ByteReader) => r.bytes()],
    ['a u32 that is cut off', Uint8Array.of(1, 2, 3), (r: ByteReader) => r.u32()],
  ])('%s is refused', (_what, bytes, read) => {
    expect(() => read(new ByteReader(bytes))).toThrow(DecodeError);
  });

  test('a number that is not whole is not written', () => {
    expect(() => new ByteWriter().varint(0.5)).toThrow('not a whole number');
    expect(() => new ByteWriter().u53(-1)).toThrow('not a whole number');
  });

  test('patching what was not written is refused', () => {
    expect(() => new ByteWriter().u8(1).patchU32(0, 1)).toThrow('beyond');
  });
});

describe('byte strings', () => {
  test('mapKey keeps equality and order', () => {
    const random = new Prng(3);
    const strings = Array.from({ length: 200 }, () => random.bytes(random.int(0, 3)));
    for (const a of strings) {
      for (const b of strings) {
        const order = compareBytes(a, b);
        const [left, right] = [mapKey(a), mapKey(b)];
        expect(Math.sign(order)).toBe(left < right ? -1 : left > right ? 1 : 0);
      }
    }
    expect(mapKey(new Uint8Array(5000).fill(200))).toHaveLength(5000);
  });

  test('text comes back as it was, with a byte order mark too', () => {
    expect(fromUtf8(utf8('\ufeffä'))).toBe('\ufeffä');
  });

  test('prefixEnd is the first key beyond the prefix', () => {
    expect(prefixEnd(utf8('ab'))).toEqual(utf8('ac'));
    expect(prefixEnd(Uint8Array.of(1, 0xff, 0xff))).toEqual(Uint8Array.of(2));
    expect(prefixEnd(Uint8Array.of(0xff))).toBeUndefined();
    expect(prefixEnd(new Uint8Array(0))).toBeUndefined();
  });

  test('nothing is between a key and its successor', () => {
    expect(toHex(keySuccessor(utf8('a')))).toBe('6100');
  });

  test('printable shows text as text, the rest as hex, and cuts', () => {
    expect(printable(utf8('a"b'))).toBe('"a\\"b"');
    expect(printable(Uint8Array.of(0, 255))).toBe('0x00ff');
    expect(printable(utf8('x'.repeat(70)))).toBe(`"${'x'.repeat(64)}"… (70 bytes)`);
  });
});
