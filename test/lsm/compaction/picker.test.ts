import { describe, expect, it } from 'vitest';
import {
  noneSkipped,
  pickCompaction,
  type PickerOptions,
  type SkippedTables,
} from '../../../src/lsm/compaction/picker.js';
import { levels } from '../tables.js';

const options: PickerOptions = { level0TablesCompact: 2, levelBytesBase: 100, levelBytesMultiplier: 10 };

function pick(lines: string[], skipped: SkippedTables = noneSkipped): string {
  const decision = pickCompaction(levels(...lines), options, skipped);
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

describe('pickCompaction', () => {
  it.each([
    ['an empty tree', [], 'nothing'],
    ['one table on level 0', ['1:a-z'], 'nothing'],
    ['level 0 at its limit', ['2:a-m 1:b-z'], 'compact 2 1 of 0 with nothing of 1'],
    ['level 0, with what overlaps below', ['5:d-f 4:e-g', '1:a-c 2:c1-d 3:h-z'], 'compact 5 4 of 0 with 2 of 1'],
    ['level 0, with what lies between its tables', ['5:x-z 4:a-b', '1:m-n'], 'compact 5 4 of 0 with 1 of 1'],
    ['level 0 without overlaps', ['5:d-f 4:g-h', '1:a-c'], 'move 5 4 from 0 to 1'],
    ['level 0 sharing one key', ['5:d-g 4:g-h', '1:a-c'], 'compact 5 4 of 0 with nothing of 1'],
    ['level 1 at its limit', ['', '1:a-c*50 2:d-f*50'], 'nothing'],
    ['level 1 over its limit, nothing below', ['', '1:a-c*60 2:d-f*60'], 'move 1 from 1 to 2'],
    ['the table with the least below it', ['', '1:a-c*60 2:d-f*60', '3:a-b*50 4:e-e*10'], 'compact 2 of 1 with 4 of 2'],
    ['the least for its size', ['', '1:a-c*20 2:d-f*100', '3:a-b*10 4:e-e*11'], 'compact 2 of 1 with 4 of 2'],
    ['the fullest level first', ['2:a-b 1:a-b', '3:a-c*150 4:d-f*150'], 'move 3 from 1 to 2'],
    [
      'level 0 before an equally full one',
      ['6:a-b 5:a-b 4:c-d 2:e-f', '3:c-d*200'],
      'compact 6 5 4 2 of 0 with 3 of 1',
    ],
    ['limits that grow', ['', '1:a-b*100', '2:a-b*1000', '3:a-b*10001'], 'move 3 from 3 to 4'],
    ['the last level has no limit', ['', '', '', '', '', '', '1:a-b*999999999'], 'nothing'],
    [
      'the last but one goes to the last',
      ['', '', '', '', '', '1:a-b*1000001', '2:b-c*99'],
      'compact 1 of 5 with 2 of 6',
    ],
  ])('%s', (_, lines, expected) => {
    expect(pick(lines)).toBe(expected);
  });

  it.each([
    ['goes to what it hides', ['', '1:a-c!1', '2:b-d'], [1], 9, 'compact 1 of 1 with 2 of 2'],
    [
      'passes levels that it does not touch',
      ['', '1:a-c!1', '2:d-e', '', '3:a-z'],
      [1],
      9,
      'compact 1 of 1 with 3 of 4',
    ],
    [
      'is written again where nothing is below',
      ['', '9:a-c', '', '1:a-c!1', '2:d-e'],
      [1],
      9,
      'compact 1 of 3 with nothing of 3',
    ],
    ['goes from level 0 with the rest of it', ['2:a-c!1', '', '1:b-d'], [2], 9, 'compact 2 of 0 with 1 of 2'],
    ['leaves level 0 where it is alone', ['2:a-c!1'], [2], 9, 'compact 2 of 0 with nothing of 1'],
    ['comes after a level over its limit', ['', '1:a-c!1 3:d-f*101', '2:b-d'], [1], 9, 'compact 3 of 1 with 2 of 2'],
    ['stays when nobody minds', ['', '1:a-c!1', '2:b-d'], [2], 9, 'nothing'],
    ['stays when it has only live entries', ['', '1:a-c', '2:b-d'], [1, 2], 9, 'nothing'],
    ['stays when all of it is above the safe point', ['', '1:a-c@5!1', '2:b-d'], [1], 4, 'nothing'],
  ])('a table that reads passed over %s', (_, lines, numbers, safePoint, expected) => {
    expect(pick(lines, { numbers: new Set(numbers), safePoint })).toBe(expected);
  });
});
