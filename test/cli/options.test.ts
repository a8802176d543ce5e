import { describe, expect, test } from 'vitest';

import { formatOf } from '../../src/cli/import/formats.js';
import { parseDuration, parseEndpoints, wholeNumber } from '../../src/cli/options.js';

describe('option values', () => {
  test.each([
    ['500ms', 500],
    ['5s', 5000],
    ['5', 5000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
  ])('%s is a time', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  test.each(['', '0', '0.1ms', '-1s', '5 s', '5d', 's', '1e3'])('%j is no time', (text) => {
    expect(() => parseDuration(text)).toThrow(/Expected a time/);
  });

  test('endpoints are host:port, separated by commas', () => {
    expect(parseEndpoints('a:1, [::1]:7001')).toEqual(['a:1', '[::1]:7001']);
    for (const wrong of ['a', 'a:0', 'a:1,', 'http://a:1', 'a:70000'])
      expect(() => parseEndpoints(wrong)).toThrow(/not host:port/);
  });

  test.each(['-1', '0', '1.5', 'x', '', '9007199254740993'])('%j is no whole number from 1 on', (text) => {
    expect(() => wholeNumber(1)(text)).toThrow(/whole number/);
  });

  test.each([
    ['a.ndjson', 'ndjson'],
    ['a.JSONL', 'ndjson'],
    ['a.b.csv', 'csv'],
    ['a.tsv', 'tsv'],
    ['-', 'ndjson'],
    ['a.txt', undefined],
  ])('%s is taken for %s', (file, format) => {
    expect(formatOf(file)).toBe(format);
  });
});
