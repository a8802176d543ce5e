import { describe, expect, it } from 'vitest';
import { emptyBytes, fromUtf8, utf8 } from '../../src/base/bytes.js';
import { Timestamp } from '../../src/base/ids.js';
import { scanRemainder } from '../../src/client/scan-remainder.js';
import { scanQuery } from '../../src/client/scan.js';
import type { ScanOptions } from '../../src/client/types.js';

function rest(
  options: ScanOptions,
  keys: readonly string[],
): { start: string; end: string; limit: number } | undefined {
  const records = keys.map((key) => ({ key: utf8(key), version: Timestamp(1), value: emptyBytes }));
  const query = scanRemainder(scanQuery(options), { records, readTs: Timestamp(2) });
  return query && { start: fromUtf8(query.start), end: fromUtf8(query.end), limit: query.limit };
}

describe('scanRemainder', () => {
  it.each<[ScanOptions, string[], ReturnType<typeof rest>]>([
    [{}, ['a', 'b'], { start: 'b\0', end: '', limit: 0 }],
    [{ start: 'a', end: 'z', limit: 5 }, ['a', 'b'], { start: 'b\0', end: 'z', limit: 3 }],
    [{ limit: 2 }, ['a', 'b'], undefined],
    [{ end: 'b\0' }, ['a', 'b'], undefined],
    [{ prefix: 'b' }, ['b'], { start: 'b\0', end: '', limit: 0 }],
    [{ reverse: true, start: 'a' }, ['c', 'b'], { start: 'a', end: 'b', limit: 0 }],
    [{ reverse: true, start: 'b' }, ['c', 'b'], undefined],
    [{ start: 'q' }, [], { start: 'q', end: '', limit: 0 }],
  ])('of %j after %j', (options, keys, expected) => {
    expect(rest(options, keys)).toEqual(expected);
  });
});
