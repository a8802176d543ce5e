import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { placeTables } from '../../../src/lsm/compaction/placement.js';
import type { Levels } from '../../../src/lsm/version/levels.js';
import { levels, table } from '../tables.js';

const options = { levelBytesBase: 50, levelBytesMultiplier: 10 };

function placed(before: Levels, tables: string, writing?: { level: number; from: string; end: string }): string {
  const range = writing && { level: writing.level, smallestKey: utf8(writing.from), endKey: utf8(writing.end) };
  const found = placeTables(before, tables.split(' ').map(table), { options, writing: range });
  return found.map(({ level, table: { number } }) => `${number}→${level}`).join(' ');
}

/** Of which levels from 4 on are in use, and level 5 has nothing. */
const filled = levels('9:x-z', '', '', '', '8:p-t*30', '', '1:a-c*1000 2:k-m*1000 3:p-r*1000');

describe('tables from elsewhere', () => {
  it('go to the bottom where there is nothing of their keys', () => {
    expect(placed(levels(), '20:a-z')).toBe('20→6');
    expect(placed(filled, '20:d-j')).toBe('20→6');
    expect(placed(filled, '20:n-o 21:u-w')).toBe('20→6 21→6');
  });

  it('go above what they are newer than', () => {
    expect(placed(filled, '20:c-d')).toBe('20→5');
    // Over keys of level 4 there is no level in use but level 0.
    expect(placed(filled, '20:q-q')).toBe('20→0');
    expect(placed(filled, '20:y-y')).toBe('20→0');
    expect(placed(levels('', '', '', '', '', '', '1:a-c'), '20:b-d')).toBe('20→0');
  });

  it('go above each other, the later ones higher', () => {
    expect(placed(filled, '20:d-j 21:j-j 22:d-d 23:j-j')).toBe('20→6 21→5 22→5 23→4');
    expect(placed(filled, '20:d-j 21:d-d 22:d-d 23:d-d 24:d-d')).toBe('20→6 21→5 22→4 23→0 24→0');
  });

  it('do not go where a compaction may be about to write', () => {
    expect(placed(filled, '20:d-j', { level: 6, from: 'a', end: 'e' })).toBe('20→5');
    expect(placed(filled, '20:d-j', { level: 5, from: 'a', end: 'd' })).toBe('20→6');
  });
});
