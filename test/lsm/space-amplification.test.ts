import { expect, it } from 'vitest';
import { spaceAmplification } from '../../src/lsm/space-amplification.js';
import { levels as levelsOf } from './tables.js';

it.each([
  { tables: [''], expected: undefined },
  { tables: ['', '', '', '', '', '', '1:a-b*100'], expected: 1 },
  { tables: ['5:a-z 4:a-z 3:a-z 2:a-z 1:a-z'], expected: 5 },
  { tables: ['5:a-b 4:c-d 3:e-f 2:g-h 1:i-j'], expected: 1 },
  { tables: ['5:a-m*10 4:l-z*10', '', '', '', '', '', '1:a-k*50 2:l-z*50'], expected: 1.2 },
  { tables: ['5:a-z*200', '', '', '', '', '', '1:a-k*50 2:l-z*50'], expected: 1.5 },
])('space of $tables', ({ tables, expected }) => {
  expect(spaceAmplification(levelsOf(...tables))).toBe(expected);
});

it('counts one version of each key', () => {
  const levels = levelsOf('', '', '', '', '', '', '1:a-k*50 2:l-z*50');
  expect(spaceAmplification(levels.map((tables) => tables.map((table) => ({ ...table, entries: 4 }))))).toBe(4);
});
