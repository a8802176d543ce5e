import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { Retention } from '../../../src/lsm/compaction/retention.js';
import { RangeCover } from '../../../src/lsm/range/range-cover.js';
import type { RangeFragments } from '../../../src/lsm/range/range-tombstones.js';
import { fragments } from '../fragments.js';

/** Entries as `key version`, with `!` for a tombstone; gives those that stay. */
function keep(
  safePoint: number,
  tombstoneDropVersionMax: number,
  entries: string,
  ranges: RangeFragments = [],
): string {
  const retention = new Retention({ safePoint, tombstoneDropVersionMax }, new RangeCover([ranges], safePoint));
  return entries
    .split(', ')
    .filter((entry) => {
      const [key, version] = entry.replace('!', '').split(' ');
      return retention.keeps(utf8(key), Number(version), entry.endsWith('!') ? 'delete' : 'put');
    })
    .join(', ');
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
    expect(keep(safePoint, -1, entries, fragments(line))).toBe(expected);
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
