import { describe, expect, it } from 'vitest';
import {
  noneSkipped,
  pickCompaction,
  safePointAwaited,
  type PickerOptions,
  type SkippedTables,
} from '../../../src/lsm/compaction/picker.js';
import { levels } from '../tables.js';

const options: PickerOptions = { level0TablesCompact: 2, levelBytesBase: 100, levelBytesMultiplier: 10 };

function pick(lines: string[], skipped: SkippedTables = noneSkipped, pickerOptions = options): string {
  const decision = pickCompaction(levels(...lines), pickerOptions, skipped);
  const numbers = (tables: readonly { number: number }[]): string => tables.map(({ number }) => number).join(' ');
  switch (decision.type) {
    case 'nothing':
      return 'nothing';
    case 'move':
      return `move ${numbers(decision.tables)} from ${decision.level} to ${decision.outputLevel}`;
    case 'compact':
      return `compact ${numbers(decision.upper)} of ${decision.level} with ${numbers(decision.lower) || 'nothing'} of ${decision.outputLevel}`;
  }
}

describe('pickCompaction of deleted ranges', () => {
  it.each([
    [
      'that nobody reads below',
      ['', '', '', '', '', '3:a-z@5~1', '90:a-c*500 91:m-n*500'],
      'compact 3 of 5 with 90 91 of 6',
    ],
    [
      'of level 0 with all that is there',
      ['5:x-z@4 3:a-c@5~1', '', '', '', '', '', '90:b-d'],
      'compact 5 3 of 0 with 90 of 6',
    ],
    ['that hide something nowhere', ['', '', '', '', '', '3:a-c@5~1', '90:d-z*1000'], 'nothing'],
    ['that are at the bottom', ['', '', '', '', '', '', '90:d-z@5~1'], 'nothing'],
    ['that somebody may read below', ['', '', '', '', '', '3:a-z@51~1', '90:a-c*500 91:m-n*500'], 'nothing'],
  ])('merges those %s', (_, lines, expected) => {
    const roomy = { ...options, level0TablesCompact: 9 };
    expect(pick(lines, { numbers: new Set(), safePoint: 50 }, roomy)).toBe(expected);
  });
});

describe('pickCompaction', () => {
  // The last level has 1000: the levels above it may have 100 and 10, and level 4 is the base.
  const bottom = '90:a-z*1000';

  it.each([
    ['an empty tree', [], 'nothing'],
    ['one table on level 0', ['1:a-z'], 'nothing'],
    ['level 0 at its limit', ['2:a-m 1:b-z'], 'compact 2 1 of 0 with nothing of 6'],
    ['level 0 of a small tree', ['3:a-m 2:b-z', '', '', '', '', '', '1:a-z*100'], 'compact 3 2 of 0 with 1 of 6'],
    ['level 0 of a larger one', ['3:a-m 2:b-z', '', '', '', '', '', '1:a-z*101'], 'compact 3 2 of 0 with nothing of 5'],
    [
      'level 0, with what overlaps below',
      ['5:d-f 4:e-g', '', '', '', '', '1:a-c*3 2:c1-d*3 3:h-z*3', bottom],
      'compact 5 4 of 0 with 2 of 5',
    ],
    [
      'level 0, with what lies between its tables',
      ['5:x-z 4:a-b', '', '', '', '', '1:m-n', bottom],
      'compact 5 4 of 0 with 1 of 5',
    ],
    ['level 0 without overlaps', ['5:d-f 4:g-h', '', '', '', '', '1:a-c', bottom], 'move 5 4 from 0 to 5'],
    ['level 0 sharing one key', ['5:d-g 4:g-h', '', '', '', '', '1:a-c', bottom], 'compact 5 4 of 0 with nothing of 5'],
    [
      'the oldest of a level 0 that has grown long',
      ['9:a-m 8:b-z 7:a-m 6:a-m 5:d-g 4:x-z', '', '', '', '', '1:a-c', bottom],
      'compact 7 6 5 4 of 0 with 1 of 5',
    ],
    [
      'all of it where it overlaps nothing',
      ['8:a-a 7:b-b 6:c-c 5:d-d 4:e-e', '', '', '', '', '1:g-h', bottom],
      'move 8 7 6 5 4 from 0 to 5',
    ],
    ['a level at its target', ['', '', '', '', '', '1:a-c*50 2:d-f*50', bottom], 'nothing'],
    [
      'a level over its target, nothing below',
      ['', '', '', '', '', '1:a-c*60 2:d-f*60', '3:m-z*1000'],
      'move 1 from 5 to 6',
    ],
    [
      'the table with the least below it',
      ['', '', '', '', '', '1:a-c*60 2:d-f*60', '3:a-b*990 4:e-e*10'],
      'compact 2 of 5 with 4 of 6',
    ],
    [
      'the least for its size',
      ['', '', '', '', '', '1:a-c*20 2:d-f*100', '3:a-b*10 4:e-e*11 5:g-z*979'],
      'compact 2 of 5 with 4 of 6',
    ],
    [
      'the fullest level first',
      ['', '', '', '', '1:a-b*130', '2:a-b*1100', '3:c-d*10000'],
      'compact 1 of 4 with 2 of 5',
    ],
    [
      'not before what comes from above',
      ['', '', '', '', '1:a-b*1300', '2:a-b*1500', '3:c-d*10000'],
      'compact 1 of 4 with 2 of 5',
    ],
    [
      'level 0 before a base level that it will fill again',
      ['6:a-b*90 5:a-b*90 4:c-d*90', '', '', '', '', '3:c-d*270', bottom],
      'compact 6 5 4 of 0 with 3 of 5',
    ],
    [
      'a base level before level 0 when it is fuller',
      ['6:a-b 5:c-d', '', '', '', '', '3:c-d*170', bottom],
      'compact 3 of 5 with 90 of 6',
    ],
    ['the last level has no target', ['', '', '', '', '', '', '1:a-b*999999999'], 'nothing'],
    [
      'what is left above the base level',
      ['', '', '3:a-b*5', '', '', '2:a-b*100', bottom],
      'compact 3 of 2 with 2 of 5',
    ],
    [
      'a level above it that is not empty, from level 0',
      ['8:a-b 7:a-b 6:a-b', '', '3:a-b*5', '', '', '', bottom],
      'compact 8 7 6 of 0 with 3 of 2',
    ],
    ['a tree that grew from the top', ['', '', '2:a-b*500'], 'move 2 from 2 to 5'],
    ['its levels from above', ['', '1:a-b*60', '2:a-b*500'], 'compact 1 of 1 with 2 of 2'],
  ])('%s', (_, lines, expected) => {
    expect(pick(lines)).toBe(expected);
  });

  it.each([
    ['goes to what it hides', ['', '', '', '', '', '1:a-c!1', '2:b-d*200'], [1], 9, 'compact 1 of 5 with 2 of 6'],
    [
      'passes levels that it does not touch',
      ['', '', '', '', '1:a-c*1!1', '2:d-e', '3:a-z*2000'],
      [1],
      9,
      'compact 1 of 4 with 3 of 6',
    ],
    [
      'is written again where nothing is below',
      ['', '', '', '', '', '9:a-c', '1:a-c*200!1 2:d-e'],
      [1],
      9,
      'compact 1 of 6 with nothing of 6',
    ],
    [
      'goes from level 0 with the rest of it',
      ['2:a-c!1', '', '', '', '', '', '1:b-d'],
      [2],
      9,
      'compact 2 of 0 with 1 of 6',
    ],
    ['leaves level 0 where it is alone', ['2:a-c!1'], [2], 9, 'compact 2 of 0 with nothing of 6'],
    [
      'comes after a level over its target',
      ['', '', '', '', '', '1:a-c!1 3:e-f*101', '2:b-d*1000'],
      [1],
      9,
      'move 3 from 5 to 6',
    ],
    ['stays when nobody minds', ['', '', '', '', '', '1:a-c!1', '2:b-d*200'], [2], 9, 'nothing'],
    ['stays when it has only live entries', ['', '', '', '', '', '1:a-c', '2:b-d*200'], [1, 2], 9, 'nothing'],
    ['stays when all of it is above the safe point', ['', '', '', '', '', '1:a-c@5!1', '2:b-d*200'], [1], 4, 'nothing'],
  ])('a table that reads passed over %s', (_, lines, numbers, safePoint, expected) => {
    expect(pick(lines, { numbers: new Set(numbers), safePoint })).toBe(expected);
  });
});

describe('a table with many old versions', () => {
  it.each([
    ['is written again where it is', ['', '', '', '', '', '', '1:a-c@9+1 2:d-e'], 'compact 1 of 6 with nothing of 6'],
    [
      'is written again over others',
      ['', '', '', '', '', '9:a-c@9+1', '1:a-c*200 2:d-e'],
      'compact 9 of 5 with nothing of 5',
    ],
    [
      'comes first where most of the data is',
      ['', '', '', '', '', '9:a-c+1', '1:a-c*200+1'],
      'compact 1 of 6 with nothing of 6',
    ],
    ['stays while somebody may read one of them', ['', '', '', '', '', '', '1:a-c@10+9'], 'nothing'],
    ['stays on level 0, which is small', ['1:a-c@5+9'], 'nothing'],
    ['comes after a level over its target', ['', '', '', '', '', '3:e-f*101', '2:b-d*1000+1'], 'move 3 from 5 to 6'],
    [
      'comes after what reads passed over',
      ['', '', '', '', '', '', '1:a-c@9+1 2:d-e!1'],
      'compact 2 of 6 with nothing of 6',
    ],
  ])('%s', (_, lines, expected) => {
    expect(pick(lines, { numbers: new Set([2]), safePoint: 9 })).toBe(expected);
  });

  it('has a fifth of them', () => {
    const one = levels('', '', '', '', '', '', '1:a-c+19')[6][0];
    const pickOf = (keys: number): string =>
      pickCompaction([[], [], [], [], [], [], [{ ...one, keys }]], options, { numbers: new Set(), safePoint: 9 }).type;
    expect([16, 17, 20].map(pickOf)).toEqual(['compact', 'nothing', 'nothing']);
  });
});

describe('safePointAwaited', () => {
  it.each([
    ['nothing of live entries', ['2:a-b@20 1:a-b@20', '', '', '', '', '', '3:a-c@30'], Infinity],
    ['a deleted range', ['1:a-b@20~1', '', '', '', '', '3:a-c@30~1'], 20],
    ['a range that is deleted for all reads already', ['', '', '', '', '', '3:a-c@10~1'], Infinity],
    ['old versions', ['', '', '', '', '', '3:a-c@15+1', '4:a-c@14+1 5:d-e@11'], 14],
    ['old versions of level 0', ['1:a-b@20+1'], Infinity],
    ['a table that reads passed over', ['', '', '', '', '', '7:a-c@13!1', '8:a-c@12!1'], 13],
  ])('is that of %s', (_, lines, expected) => {
    expect(safePointAwaited(levels(...lines), { numbers: new Set([7]), safePoint: 10 })).toBe(expected);
  });
});
