import { describe, expect, test } from 'vitest';
import { checkObservations } from '../../src/sim/observation-checks.js';
import { Observations } from '../../src/sim/observations.js';
import type { SeenScan, Span } from '../../src/sim/observations.js';

const span = (calledMs: number, returnedMs = calledMs + 1): Span => ({ calledMs, returnedMs });

/** `a` is 1 at version 10, then deleted at 20; `b` is 2 at version 15. */
function story(): Observations {
  const seen = new Observations();
  seen.wrote([{ key: 'a', value: 'v1' }], 10, span(100));
  seen.wrote([{ key: 'b', value: 'v2' }], 15, span(110));
  seen.wrote([{ key: 'a', value: null }], 20, span(120));
  return seen;
}

function scanAt(readTs: number, records: SeenScan['records'], times = span(130)): SeenScan {
  return { readTs, isFresh: false, covered: ['a', 'b'], records, ...times };
}

const a = { key: 'a', version: 10, value: 'v1' };
const b = { key: 'b', version: 15, value: 'v2' };

function wrong(seen: Observations): string[] {
  return checkObservations(seen, { staleMsMax: 50 });
}

describe('versions', () => {
  test('that fit are fine', () => expect(wrong(story())).toEqual([]));

  test.each<[string, (seen: Observations) => void]>([
    ['version 10 of a is v1 and v9', (seen) => seen.saw({ key: 'a', version: 10, value: 'v9' })],
    ['a and b have the same version 10', (seen) => seen.saw({ key: 'b', version: 10, value: 'v9' })],
    ['v1 was written twice, at 10 and at 30', (seen) => seen.saw({ key: 'a', version: 30, value: 'v1' })],
    [
      'b at 12, called at 130.000, is not above a at 20',
      (seen) => seen.wrote([{ key: 'b', value: 'v3' }], 12, span(130)),
    ],
  ])('%s', (message, happens) => {
    const seen = story();
    happens(seen);
    expect(wrong(seen)).toEqual([expect.stringContaining(message)]);
  });

  test('of operations at the same time may be in any order', () => {
    const seen = story();
    seen.wrote([{ key: 'b', value: 'v3' }], 16, span(120.5));
    expect(wrong(seen)).toEqual([]);
  });
});

describe('a scan', () => {
  test.each([
    [9, []],
    [10, [a]],
    [15, [a, b]],
    [99, [b]],
  ])('at %i shows the newest of each key', (readTs, records) => {
    const seen = story();
    seen.scans.push(scanAt(readTs, records));
    expect(wrong(seen)).toEqual([]);
  });

  test.each([
    [14, [a, b], 'has b of version 15'],
    [15, [a], 'misses b of version 15'],
    [20, [a, b], 'has a of version 10, not of 20'],
  ])('at %i does not show anything else', (readTs, records, message) => {
    const seen = story();
    seen.scans.push(scanAt(readTs, records));
    expect(wrong(seen)).toEqual([expect.stringContaining(message)]);
  });

  test('may miss what a delete with an unknown outcome may have taken', () => {
    const seen = story();
    seen.mayHaveDeleted('b', 125);
    seen.scans.push(scanAt(99, []));
    expect(wrong(seen)).toEqual([]);
    seen.scans.push(scanAt(99, [], span(123)));
    expect(wrong(seen)).toHaveLength(1);
  });

  test('of now is not below what was acknowledged before it', () => {
    const seen = story();
    seen.scans.push({ ...scanAt(15, [a, b]), isFresh: true });
    expect(wrong(seen)).toEqual([expect.stringContaining('a scan at 15')]);
  });
});

describe('a stale read', () => {
  test.each([
    ['a', 10, 171],
    ['b', 0, 161],
    ['a', 0, 999],
    ['b', 15, 999],
  ])('of %s may show version %i at %i', (key, version, calledMs) => {
    const seen = story();
    seen.staleReads.push({ key, version, ...span(calledMs) });
    expect(wrong(seen)).toEqual([]);
  });

  test.each([
    ['a', 10, 172],
    ['b', 0, 162],
  ])('of %s may not show version %i at %i any more', (key, version, calledMs) => {
    const seen = story();
    seen.staleReads.push({ key, version, ...span(calledMs) });
    expect(wrong(seen)).toEqual([expect.stringContaining(`a stale read of ${key}`)]);
  });
});

describe('writes of one atomic batch', () => {
  const both = [
    { key: 'a', value: 'v3' },
    { key: 'b', value: 'v4' },
  ];
  const newA = { key: 'a', version: 30, value: 'v3' };

  test('have one version', () => {
    const seen = story();
    seen.willWriteTogether(both);
    seen.wrote(both, 30, span(140));
    expect(wrong(seen)).toEqual([]);
    seen.wrote([{ key: 'b', value: 'v5' }], 30, span(141));
    expect(wrong(seen)[0]).toContain('version 30 of b is v4 and v5');
  });

  test('are known of one when another was seen, whoever answered', () => {
    const seen = story();
    seen.willWriteTogether(both);
    seen.scans.push(scanAt(40, [newA, b]));
    for (const record of [newA, b]) seen.saw(record);
    expect(wrong(seen)).toEqual(['a scan at 40 has b of version 15, not of 30']);
  });

  test('do not make up what was not seen', () => {
    const seen = story();
    seen.willWriteTogether(both);
    seen.scans.push(scanAt(40, [b]));
    expect(wrong(seen)).toEqual([]);
  });
});
