import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { Retention } from '../../../src/lsm/compaction/retention.js';

/** Entries as `key version`, with `!` for a tombstone; gives those that stay. */
function keep(safePoint: number, tombstoneDropVersionMax: number, entries: string): string {
  const retention = new Retention({ safePoint, tombstoneDropVersionMax }, []);
  return entries
    .split(', ')
    .filter((entry) => {
      const [key, version] = entry.replace('!', '').split(' ');
      return retention.keeps(utf8(key), Number(version), entry.endsWith('!') ? 'delete' : 'put');
    })
    .join(', ');
}

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
