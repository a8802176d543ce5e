import { describe, expect, it } from 'vitest';
import { Prng } from '../../../src/base/prng.js';
import { realignedFrom, realignedTo } from '../../../src/lsm/memtable/realign.js';

const kib = 1024;
const random = new Prng(1);
const source = random.bytes(70 * kib);
const shared = new Uint8Array(new SharedArrayBuffer(source.length));
shared.set(source);
const places = [0, 1, 2, 3, 4, 5, 6, 7];

describe('bytes beside shared memory', () => {
  it.each([0, 1, 511, 512, 513, 4096, 64 * kib, 64 * kib + 1])('are the same after they were moved: %i', (length) => {
    for (const from of places) {
      const expected = Buffer.from(source.slice(from, from + length));
      for (const to of places) {
        const bytes = source.subarray(from, from + length);
        expect(expected.equals(realignedTo(bytes, 8000 + to))).toBe(true);
      }
      expect(expected.equals(realignedFrom(shared.subarray(from, from + length)))).toBe(true);
    }
  });

  it.each([512, 4096, 64 * kib])('have the place of the other side, modulo 8: %i', (length) => {
    for (const from of places) {
      for (const to of places) {
        expect(realignedTo(source.subarray(from, from + length), 8000 + to).byteOffset % 8).toBe(to);
      }
      const moved = realignedFrom(shared.subarray(from, from + length));
      expect([moved.byteOffset % 8, moved.buffer === shared.buffer]).toEqual([from, false]);
    }
  });
});
