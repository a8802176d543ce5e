import { describe, expect, test } from 'vitest';
import { EdnError, parseEdn, type EdnValue } from '../../../jepsen-lite/histories/edn.js';

describe('parseEdn', () => {
  test.each<[text: string, value: EdnValue]>([
    ['nil', null],
    ['42', 42],
    ['-7', -7],
    [':ok', { keyword: 'ok' }],
    [':timed-out', { keyword: 'timed-out' }],
    ['""', ''],
    ['"a b, {c} \\"q\\" \\\\ \\n"', 'a b, {c} "q" \\ \n'],
    ['[3 0]', [3, 0]],
    ['[ 3,0 [] ]', [3, 0, []]],
    ['{}', new Map()],
    [
      '{:a 1, :b "x"}',
      new Map<string, EdnValue>([
        ['a', 1],
        ['b', 'x'],
      ]),
    ],
    ['  nil  ', null],
  ])('%s', (text, value) => {
    expect(parseEdn(text)).toEqual(value);
  });

  test.each([
    ['', 'column 1: expected a value, found the end'],
    ['1 2', 'column 3: expected the end of the line, found 2'],
    ['[1', 'column 3: expected a value, found the end'],
    ['{1 2}', 'column 2: expected a keyword or }, found 1 2}'],
    ['{:a}', 'column 4: expected a value, found }'],
    ['"open', 'column 1: expected a token, found "open'],
    ['1.5', 'column 1: expected a value, found 1.5'],
    ['99999999999999999999', 'column 1: expected a value'],
    ['"\\q"', 'string escape \\q is not known'],
    ['['.repeat(100_000), 'column 65: expected at most 64 values inside each other, found [[['],
  ])('refuses %s', (text, message) => {
    expect(() => parseEdn(text)).toThrow(EdnError);
    expect(() => parseEdn(text)).toThrow(message);
  });
});
