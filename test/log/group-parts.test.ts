/** The parts of which a group's state is made: terms, places on disk, cached entries. */
import { describe, expect, test } from 'vitest';
import { LogIndex, Term } from '../../src/base/ids.js';
import { CacheMeter, EntryCache } from '../../src/log/entry-cache.js';
import { EntryPlaces } from '../../src/log/entry-places.js';
import { planWindows } from '../../src/log/entry-reader.js';
import { TermRuns } from '../../src/log/term-runs.js';
import { entries } from './support.js';

const index = LogIndex;

describe('term runs', () => {
  const terms = (runs: TermRuns): (Term | undefined)[] => [...Array(12).keys()].map((i) => runs.term(index(i)));

  test('know terms from the base to the last entry', () => {
    const runs = new TermRuns(index(3), Term(2));
    for (const term of [2, 2, 5, 5, 9]) runs.push(Term(term));
    const none = undefined;
    expect(terms(runs)).toEqual([none, none, none, 2, 2, 2, 5, 5, 9, none, none, none]);
    runs.truncateFrom(index(7));
    runs.push(Term(6));
    expect(terms(runs)).toEqual([none, none, none, 2, 2, 2, 5, 6, none, none, none, none]);
    runs.dropThrough(index(6));
    expect(terms(runs)).toEqual([none, none, none, none, none, none, 5, 6, none, none, none, none]);
    expect(runs).toMatchObject({ baseIndex: 6, baseTerm: 5, lastIndex: 7, lastTerm: 6 });
    runs.dropThrough(index(7));
    expect(runs).toMatchObject({ baseIndex: 7, baseTerm: 6, lastIndex: 7 });
  });

  test('refuse terms that go back', () => {
    expect(() => new TermRuns(index(0), Term(2)).push(Term(1))).toThrow(/term 1 after term 2/);
  });
});

describe('places of entries', () => {
  function places(): { places: EntryPlaces; uses: Map<number, number> } {
    const uses = new Map<number, number>();
    const add = (segment: number, by: number): void => void uses.set(segment, (uses.get(segment) ?? 0) + by);
    const use = { retain: (segment: number) => add(segment, 1), release: (segment: number) => add(segment, -1) };
    return { places: new EntryPlaces(use), uses };
  }
  const at = (segment: number, offset: number): { segment: number; offset: number; bytes: number } => ({
    segment,
    offset,
    bytes: 100,
  });

  test('are found, and cut by bytes behind the first', () => {
    const { places: all } = places();
    for (let i = 0; i < 10; i++) all.push(index(10 + 3 * i), index(12 + 3 * i), at(1 + (i >> 2), 1000 * i));
    const firsts = (from: number, to: number, bytes: number): string[] =>
      all.find(index(from), index(to), bytes).map((place) => `${place.first}-${place.last}@${place.offset}`);
    expect(firsts(10, 10, 1)).toEqual(['10-10@0']);
    expect(firsts(14, 20, 1000)).toEqual(['14-15@1000', '16-18@2000', '19-20@3000']);
    expect(firsts(14, 39, 200)).toEqual(['14-15@1000', '16-18@2000', '19-21@3000']);
    expect(() => firsts(9, 10, 1)).toThrow();
    expect(() => firsts(10, 40, 1)).toThrow();
  });

  test('count the use of segments through truncation on both sides, and growth', () => {
    const { places: all, uses } = places();
    for (let i = 1; i <= 1000; i++) all.push(index(i), index(i), at(Math.ceil(i / 250), i));
    expect([...uses]).toEqual([1, 2, 3, 4].map((segment) => [segment, 250]));
    all.dropThrough(index(990));
    expect([...uses.values()]).toEqual([0, 0, 0, 10]);
    all.truncateFrom(index(995));
    expect([...uses.values()]).toEqual([0, 0, 0, 4]);
    expect(all.find(index(991), index(994), 1000).map((place) => place.offset)).toEqual([991, 992, 993, 994]);
    all.truncateFrom(index(0));
    expect([...uses.values()]).toEqual([0, 0, 0, 0]);
    expect(all.isEmpty).toBe(true);
  });
});

test('reads of neighbouring records go together', () => {
  const record = (segment: number, offset: number, bytes: number) => ({
    segment,
    offset,
    bytes,
    first: index(1),
    last: index(1),
  });
  const windows = planWindows([
    record(1, 100, 50),
    record(1, 200, 50),
    record(1, 200_000, 50),
    record(2, 200_100, 50),
    record(2, 100, 50),
    record(2, 150, 2_000_000),
  ]);
  expect(windows.map(({ segment, offset, end }) => [segment, offset, end])).toEqual([
    [1, 100, 250],
    [1, 200_000, 200_050],
    [2, 200_100, 200_150],
    [2, 100, 150],
    [2, 150, 2_000_150],
  ]);
});

describe('cached entries', () => {
  test('are counted in bytes, and gone from either end', () => {
    const meter = new CacheMeter();
    const cache = new EntryCache(meter, index(1));
    for (const entry of entries(1, 100, 1, 36)) cache.push(entry);
    expect(meter.bytes).toBe(10_000);
    cache.evict(index(50), 6000);
    expect(cache.firstIndex).toBe(41);
    cache.evict(index(50), 0);
    expect(cache.firstIndex).toBe(51);
    cache.truncateFrom(index(91));
    cache.dropThrough(index(60));
    expect(cache.slice(index(61), index(90), Infinity)).toEqual(entries(61, 30, 1, 36));
    expect(() => cache.slice(index(60), index(90), Infinity)).toThrow();
    expect(meter.bytes).toBe(3000);
    cache.truncateFrom(index(30));
    expect([cache.firstIndex, meter.bytes]).toEqual([30, 0]);
    expect(() => cache.push(entries(31, 1, 1)[0])).toThrow();
    cache.push(entries(30, 1, 1)[0]);
    cache.reset(index(80));
    expect([cache.firstIndex, meter.bytes]).toEqual([80, 0]);
  });
});
