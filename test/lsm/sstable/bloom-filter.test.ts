import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../../src/base/bytes.js';
import { bloomHash, bloomMayContain, buildBloomFilter } from '../../../src/lsm/sstable/bloom-filter.js';

function hashes(prefix: string, count: number): number[] {
  return Array.from({ length: count }, (_, i) => bloomHash(utf8(`${prefix}${i}`)));
}

describe('a bloom filter', () => {
  it.each([1, 10, 1000, 20_000])('knows all of %i keys', (count) => {
    const filter = buildBloomFilter(hashes('key-', count), 10);
    expect(hashes('key-', count).every((hash) => bloomMayContain(filter, hash))).toBe(true);
  });

  it('takes few other keys for its own: under 2 % with 10 bits', () => {
    const filter = buildBloomFilter(hashes('key-', 20_000), 10);
    const wrong = hashes('other-', 20_000).filter((hash) => bloomMayContain(filter, hash)).length;
    expect(wrong / 20_000).toBeLessThan(0.02);
    expect(filter.length).toBeLessThan(20_000 * 1.3);
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
