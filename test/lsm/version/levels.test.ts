import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../../src/base/assert.js';
import { utf8 } from '../../../src/base/bytes.js';
import { applyEdit, checkLevels, overlaps, rangeOf } from '../../../src/lsm/version/levels.js';
import { manifestFileName, parseFileName, tableFileName } from '../../../src/lsm/version/file-names.js';
import { levels, table } from '../tables.js';

describe('applyEdit', () => {
  it('puts tables in their places and leaves the old levels as they were', () => {
    const before = levels('2:a-z 1:a-z', '3:m-n');
    const after = applyEdit(before, {
      removed: [{ level: 0, number: 1 }],
      added: [
        { level: 0, table: table('9:a-z') },
        { level: 1, table: table('8:o-p') },
        { level: 1, table: table('7:a-l') },
      ],
    });
    expect(after).toEqual(levels('9:a-z 2:a-z', '7:a-l 3:m-n 8:o-p'));
    expect(before).toEqual(levels('2:a-z 1:a-z', '3:m-n'));
  });

  it('moves a table', () => {
    const edit = { removed: [{ level: 0, number: 1 }], added: [{ level: 1, table: table('1:a-z') }] };
    expect(applyEdit(levels('1:a-z'), edit)).toEqual(levels('', '1:a-z'));
  });

  it.each([
    ['a table that is not there', { removed: [{ level: 1, number: 1 }], added: [] }, 'table 1 is not on level 1'],
    [
      'overlap',
      { removed: [], added: [{ level: 1, table: table('9:n-o') }] },
      'tables 3 and 9 of level 1 overlap at "n"',
    ],
    ['a number twice', { removed: [], added: [{ level: 2, table: table('3:x-y') }] }, 'table 3 is there twice'],
    ['an empty range', { removed: [], added: [{ level: 2, table: table('9:y-x') }] }, 'table 9 ends before it starts'],
  ])('refuses %s', (_, edit, message) => {
    const apply = (): unknown => applyEdit(levels('1:a-z', '3:m-n'), edit);
    expect(apply).toThrow(message);
    expect(apply).toThrow(AssertionError);
  });

  it('checks the order of level 0', () => {
    expect(() => checkLevels([[table('1:a-b'), table('2:a-b')]])).toThrow('level 0 is newest first');
  });
});

describe('ranges', () => {
  it.each([
    ['1:a-c', '2:c-d', true],
    ['1:a-c', '2:d-e', false],
    ['1:b-c', '2:a-z', true],
    ['1:m-m', '2:m-m', true],
  ])('%s and %s', (a, b, expected) => {
    expect(overlaps(table(a), table(b))).toBe(expected);
    expect(overlaps(table(b), table(a))).toBe(expected);
  });

  it('reach from the smallest to the largest key', () => {
    expect(rangeOf([table('1:c-d'), table('2:a-b'), table('3:b-b')])).toEqual({
      smallestKey: utf8('a'),
      endKey: utf8('d\0'),
    });
  });
});

describe('file names', () => {
  it('are read as they are written', () => {
    expect(parseFileName(tableFileName(7))).toEqual({ type: 'table', number: 7 });
    expect(parseFileName(tableFileName(12_345_678))).toEqual({ type: 'table', number: 12_345_678 });
    expect(parseFileName(manifestFileName(7))).toEqual({ type: 'manifest', number: 7 });
    expect(parseFileName('CURRENT')).toEqual({ type: 'current' });
    expect(parseFileName('CURRENT.new')).toEqual({ type: 'aside' });
    for (const name of ['7.sst', '000007.sst.bak', 'manifest-7', 'x000007.sst', 'LOCK']) {
      expect(parseFileName(name)).toEqual({ type: 'foreign' });
    }
  });
});
