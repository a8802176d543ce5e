import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { Timestamp } from '../../../src/base/ids.js';
import type { RangeFragments } from '../../../src/lsm/range/range-tombstones.js';
import { Retention } from '../../../src/lsm/compaction/retention.js';

/** Entries as `key version`, with `!` for a tombstone; gives those that stay. */
function keep(
  safePoint: number,
  tombstoneDropVersionMax: number,
  entries: string,
  ranges: RangeFragments = [],
): string {
  const retention = new Retention({ safePoint, tombstoneDropVersionMax }, [ranges]);
  return entries
    .split(', ')
    .filter((entry) => {
      const [key, version] = entry.replace('!', '').split(' ');
      return retention.keeps(utf8(key), Number(version), entry.endsWith('!') ? 'delete' : 'put');
    })
    .join(', ');
}

/** `a-c@5,3` is a range from a up to c with two versions. */
function ranges(text: string): RangeFragments {
  return text
    .split(' ')
    .filter(Boolean)
    .map((one) => {
      const [lower, upper, versions] = one.split(/[-@]/);
      return {
        lower: utf8(lower),
        upper: utf8(upper),
        versions: versions.split(',').map((each) => Timestamp(Number(each))),
      };
    });
}

describe('Retention of deleted ranges', () => {
  it.each([
    [
      'what is above them, at their own version and beside them',
      8,
      'b-c@5',
      'a 4, b 5, bb 6, c 4',
      'a 4, b 5, bb 6, c 4',
    ],
    ['nothing below them', 8, 'b-c@5', 'b 4, b 3!, bb 1', ''],
    ['what they hide above the safe point', 4, 'b-c@5', 'b 4, b 3, bb 1', 'b 4, bb 1'],
    ['what only those above the safe point hide', 4, 'b-c@7,3', 'b 6, b 3, b 2', 'b 6, b 3'],
  ])('keeps %s', (_, safePoint, line, entries, expected) => {
    expect(keep(safePoint, -1, entries, ranges(line))).toBe(expected);
  });

  it.each([
    ['above the safe point', 4, -1, 'a-b@7,5', 'a-b@7,5'],
    ['the newest one below it', 6, -1, 'a-b@7,5,3', 'a-b@7,5'],
    ['that one too, but not at the bottom', 6, 6, 'a-b@7,5,3 b-c@5', 'a-b@7'],
    ['what may hide something above', 6, 4, 'a-b@5,3 b-c@4', 'a-b@5'],
    ['neighbours that have become alike as one', 6, -1, 'a-b@5,3 b-c@5', 'a-c@5'],
  ])('keeps of the tombstones %s', (_, safePoint, tombstoneDropVersionMax, line, expected) => {
    const kept = new Retention({ safePoint, tombstoneDropVersionMax }, [ranges(line)]).ranges;
    expect(kept).toEqual(ranges(expected));
  });

  it('takes lists that overlap together', () => {
    const lists = ['a-c@9,5,3 d-e@4', 'b-d@6,4 d-f@2'].map(ranges);
    const retention = new Retention({ safePoint: 7, tombstoneDropVersionMax: -1 }, lists);
    expect(retention.ranges).toEqual(ranges('a-b@9,5 b-c@9,6 c-d@6 d-e@4 e-f@2'));
    expect(retention.keeps(utf8('b'), 5, 'put')).toBe(false);
    expect(retention.keeps(utf8('b'), 6, 'put')).toBe(true);
  });
});

describe('Retention', () => {
  it.each([
    ['everything above the safe point', 0, -1, 'a 9, a 8!, a 7, b 5', 'a 9, a 8!, a 7, b 5'],
    ['the newest at the safe point, nothing older', 8, -1, 'a 9, a 8, a 7, a 1', 'a 9, a 8'],
    ['the newest below the safe point', 8, -1, 'a 9, a 7, a 6, b 3, b 2', 'a 9, a 7, b 3'],
    ['tombstones above the bottom', 8, -1, 'a 7!, a 6, b 3!', 'a 7!, b 3!'],
    ['no tombstone at the bottom', 8, 8, 'a 7!, a 6, b 3!', ''],
    ['tombstones above the safe point', 5, 5, 'a 7!, a 6, b 3', 'a 7!, a 6, b 3'],
    ['tombstones that may hide something above', 8, 5, 'a 7!, a 6, b 3!, c 5!', 'a 7!'],
    ['what is written twice once', 0, -1, 'a 9, a 9, a 8, b 8, b 8', 'a 9, a 8, b 8'],
    ['versions of each key for themselves', 8, 8, 'a 8, b 8, c 9, c 1!, d 2', 'a 8, b 8, c 9, d 2'],
  ])('keeps %s', (_, safePoint, tombstoneDropVersionMax, entries, expected) => {
    expect(keep(safePoint, tombstoneDropVersionMax, entries)).toBe(expected);
  });
});
