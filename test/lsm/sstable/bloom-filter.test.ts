import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../../src/base/bytes.js';
import { DecodeError } from '../../../src/base/coding.js';
import { bloomHash, bloomMayContain, buildBloomFilter } from '../../../src/lsm/sstable/bloom-filter.js';

function hashes(prefix: string, count: number): number[] {
  return Array.from({ length: count }, (_, i) => bloomHash(utf8(`${prefix}${i}`)));
}

describe('a bloom filter', () => {
  it.each([1, 10, 1000, 20_000])('knows all of %i keys', (count) => {
    const filter = buildBloomFilter(hashes('key-', count), 10);
    expect(hashes('key-', count).every((hash) => bloomMayContain(filter, hash))).toBe(true);
  });

  // What an ideal filter of that many bits would take wrongly is 14.7, 2.1, 0.8 and 0.1 %; one line for each key costs
  // some of that.
  it.each([
    { bitsPerKey: 4, percentMax: 17 },
    { bitsPerKey: 8, percentMax: 3 },
    { bitsPerKey: 10, percentMax: 1.4 },
    { bitsPerKey: 14, percentMax: 0.5 },
  ])('takes few other keys for its own: $percentMax % with $bitsPerKey bits', ({ bitsPerKey, percentMax }) => {
    const others = [...hashes('other-', 50_000), ...hashes('key-0', 50_000)];
    for (const count of [1000, 10_000, 100_000, 300_000]) {
      const filter = buildBloomFilter(hashes('key-', count), bitsPerKey);
      const wrong = others.filter((hash) => bloomMayContain(filter, hash)).length;
      expect((100 * wrong) / others.length, `${count} keys`).toBeLessThan(percentMax);
      expect(filter.length).toBeLessThan((count * bitsPerKey) / 8 + 66);
    }
  });

  it('is refused when it is not made of lines', () => {
    for (const length of [0, 1, 64, 66, 128]) {
      expect(() => bloomMayContain(new Uint8Array(length), 1), String(length)).toThrow(DecodeError);
    }
  });

  it('has hashes and bits that are part of the format', () => {
    const keys = ['', 'a', 'key', 'a longer key, of several words'];
    expect(keys.map((key) => bloomHash(utf8(key)).toString(16))).toMatchInlineSnapshot(`
      [
        "ab3e7c0b",
        "e6db3b26",
        "8838440b",
        "e3b4636e",
      ]
    `);
    expect(
      toHex(
        buildBloomFilter(
          keys.map((key) => bloomHash(utf8(key))),
          10,
        ),
      ),
    ).toMatchInlineSnapshot(
      `"0000000000001000010000840000000008000002880000000040021000002000004804000000200000010000001024000240000000000080000000028800010007"`,
    );
  });
});
