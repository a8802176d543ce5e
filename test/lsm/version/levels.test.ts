import { describe, expect, it } from 'vitest';
import { assert, AssertionError } from '../../../src/base/assert.js';
import { compareBytes, utf8 } from '../../../src/base/bytes.js';
import { Prng } from '../../../src/base/prng.js';
import {
  applyEdit,
  checkLevels,
  emptyLevels,
  overlaps,
  rangeOf,
  type Levels,
} from '../../../src/lsm/version/levels.js';
import type { VersionEdit } from '../../../src/lsm/version/version-edit.js';
import { manifestFileName, parseFileName, tableFileName } from '../../../src/lsm/version/file-names.js';
import { levels, table } from '../tables.js';

function applyEditSlowly(before: Levels, removed: VersionEdit['removed'], added: VersionEdit['added']): Levels {
  const changed = before.map((tables) => [...tables]);
  for (const { level, number } of removed) {
    const at = changed[level].findIndex((one) => one.number === number);
    assert(at >= 0, 'it is not there');
    changed[level].splice(at, 1);
  }
  for (const { level, table: one } of added) changed[level].push(one);
  changed.forEach((tables, level) =>
    tables.sort((a, b) => (level === 0 ? b.number - a.number : compareBytes(a.smallestKey, b.smallestKey))),
  );
  checkLevels(changed);
  return changed;
}

/** Undefined when it is refused. */
function outcomeOf(apply: () => Levels): Levels | undefined {
  try {
    return apply();
  } catch (error) {
    expect(error).toBeInstanceOf(AssertionError);
    return undefined;
  }
}

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

  it.each([1, 2, 3, 4])('does what sorting and checking all tables does, seed %i', (seed) => {
    const random = new Prng(seed);
    let before = emptyLevels;
    let number = 0;
    let [applied, refused] = [0, 0];
    for (let round = 0; round < 400; round++) {
      const all = before.flatMap((tables, level) => tables.map((one) => ({ level, one })));
      const removed = all.filter(() => random.chance(0.1)).map(({ level, one }) => ({ level, number: one.number }));
      if (random.chance(0.05)) removed.push({ level: random.int(0, 6), number: random.int(1, number + 1) });
      const added = Array.from({ length: random.int(0, 3) }, () => {
        const [from, to] = [random.int(10, 99), random.int(0, 3)];
        const chosen = random.chance(0.05) ? random.int(1, number + 1) : ++number;
        return {
          level: random.int(0, 6),
          table: table(`${chosen}:${from}-${from + to - (random.chance(0.02) ? 9 : 0)}`),
        };
      });
      const outcome = outcomeOf(() => applyEdit(before, { removed, added }));
      const expected = outcomeOf(() => applyEditSlowly(before, removed, added));
      expect(outcome === undefined).toBe(expected === undefined);
      if (outcome === undefined) refused++;
      else {
        expect(outcome).toEqual(expected);
        before = outcome;
        applied++;
      }
    }
    expect(applied).toBeGreaterThan(50);
    expect(refused).toBeGreaterThan(50);
  });

  it('refuses to remove a table twice', () => {
    const twice = { removed: [1, 1].map((number) => ({ level: 0, number })), added: [] };
    expect(() => applyEdit(levels('1:a-z'), twice)).toThrow('table 1 is removed twice');
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
