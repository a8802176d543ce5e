import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { crc32, maskedCrc32 } from '../../src/base/checksum.js';
import { Prng } from '../../src/base/prng.js';

/** Bit by bit, from the definition. */
function naiveCrc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

describe('crc32', () => {
  test('the check value of the standard', () => {
    expect(crc32(utf8('123456789'))).toBe(0xcbf43926);
  });

  test('agrees with the definition, whole and in parts', () => {
    const random = new Prng(1);
    for (let i = 0; i < 200; i++) {
      const bytes = random.bytes(random.int(0, 100));
      const cut = random.int(0, bytes.length);
      expect(crc32(bytes)).toBe(naiveCrc32(bytes));
      expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(naiveCrc32(bytes));
    }
  });

  test.each([
    ['a view', new Uint8Array(8).subarray(3, 3)],
    ['an array without memory', new TextEncoder().encode('')],
    ['a new array', new Uint8Array(0)],
  ])('goes on from what came before over %s of no bytes', (_what, empty) => {
    expect(crc32(empty, 0x12345678)).toBe(0x12345678);
    expect(maskedCrc32(empty, 0x12345678)).toBe(maskedCrc32(new Uint8Array(0), 0x12345678));
  });

  test('the mask hides zeros', () => {
    expect(maskedCrc32(new Uint8Array(0))).toBe(0xa282ead8);
  });
});
