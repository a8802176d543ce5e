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
    runs.dropThrough(index(6), Term(5));
    expect(terms(runs)).toEqual([none, none, none, none, none, none, 5, 6, none, none, none, none]);
    expect(runs).toMatchObject({ baseIndex: 6, baseTerm: 5, lastIndex: 7, lastTerm: 6 });
    runs.dropThrough(index(7), Term(6));
    expect(runs).toMatchObject({ baseIndex: 7, baseTerm: 6, lastIndex: 7 });
  });

  test('of entries that are missing are unknown until they are filled in, or dropped', () => {
    const runs = new TermRuns(index(0), Term(0));
    runs.pushUnknown(index(5));
    for (const term of [4, 4]) runs.push(Term(term));
    runs.pushUnknown(index(9));
    const none = undefined;
    expect(terms(runs)).toEqual([0, none, none, none, none, none, 4, 4, none, none, none, none]);
    expect(runs).toMatchObject({ firstUnknown: 1, lastIndex: 9, lastTerm: 4 });
    expect(runs.fill(index(3), [Term(2), Term(3)])).toBe(true);
    expect(runs.fill(index(5), [Term(3), Term(4), Term(4), Term(5)])).toBe(true);
    expect([3, 4, 5, 6, 7, 8, 9].map((i) => runs.term(index(i)))).toEqual([2, 3, 3, 4, 4, 5, undefined]);
    runs.dropThrough(index(1), Term(1));
    expect(runs).toMatchObject({ firstUnknown: 2, baseIndex: 1, baseTerm: 1 });
    runs.dropThrough(index(2), Term(1));
    expect(runs).toMatchObject({ firstUnknown: 9, baseIndex: 2, baseTerm: 1 });
    expect(runs.fill(index(9), [Term(5)])).toBe(true);
    expect(runs.firstUnknown).toBeUndefined();
  });

  test.each([
    ['that are known otherwise', 6, [5]],
    ['below those before', 3, [1]],
    ['above those behind', 4, [5]],
  ])('refuse terms %s, and stay as they were', (_, first, added) => {
    const runs = new TermRuns(index(0), Term(0));
    for (const term of [2, 2]) runs.push(Term(term));
    runs.pushUnknown(index(5));
    for (const term of [4, 4]) runs.push(Term(term));
    const before = terms(runs);
    expect(runs.fill(index(first), added.map(Term))).toBe(false);
    expect(terms(runs)).toEqual(before);
  });

  test('refuse terms that go back', () => {
    expect(() => new TermRuns(index(0), Term(2)).push(Term(1))).toThrow(/term 1 after term 2/);
  });
});

describe('places of entries', () => {
  function places(): { places: EntryPlaces; uses: Map<number, number> } {
    const uses = new Map<number, number>();
    const add = (segment: number, bytes: number): void => void uses.set(segment, (uses.get(segment) ?? 0) + bytes);
    const use = { retain: add, release: (segment: number, bytes: number) => add(segment, -bytes) };
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

  test('are replaced by a record that has them again, whole or in part', () => {
    const { places: all, uses } = places();
    for (let i = 0; i < 10; i++) all.push(index(10 + 3 * i), index(12 + 3 * i), at(1, 1000 * i));
    const found = (): string[] =>
      all
        .find(index(10), index(39), Infinity)
        .map(({ first, last, segment, offset }) => `${first}-${last}@${segment}/${offset}`);
    all.replace(index(20), index(21), at(2, 1));
    expect(found().slice(2, 6)).toEqual(['16-18@1/2000', '19-19@1/3000', '20-21@2/1', '22-24@1/4000']);
    all.replace(index(29), index(29), at(2, 2));
    expect(found().slice(7, 10)).toEqual(['28-28@1/6000', '29-29@2/2', '30-30@1/6000']);
    expect([uses.get(1), uses.get(2)]).toEqual([1100, 200]);
    all.replace(index(10), index(27), at(3, 3));
    all.replace(index(31), index(39), at(3, 4));
    expect(found()).toEqual(['10-27@3/3', '28-28@1/6000', '29-29@2/2', '30-30@1/6000', '31-39@3/4']);
    expect([...uses.values()]).toEqual([200, 100, 200]);
    expect(all.oldestSegment).toBe(1);
    all.truncateFrom(index(33));
    all.dropThrough(index(29));
    all.push(index(33), index(40), at(4, 5));
    expect(all.find(index(30), index(40), Infinity).map(({ segment }) => segment)).toEqual([1, 3, 4]);
    expect([...uses.values()]).toEqual([100, 0, 100, 100]);
  });

  test('of one segment are found next to each other, from the first live entry on', () => {
    const { places: all } = places();
    for (const [i, segment] of [5, 3, 3, 3, 4, 3].entries())
      all.push(index(10 * i + 1), index(10 * i + 10), at(segment, i));
    const found = (first: number, bytes: number): string[] =>
      all.inSegment(3, index(first), bytes).map((place) => `${place.first}-${place.last}`);
    expect(found(1, 1000)).toEqual(['11-20', '21-30', '31-40']);
    expect(found(1, 200)).toEqual(['11-20', '21-30']);
    expect(found(1, 1)).toEqual(['11-20']);
    all.dropThrough(index(24));
    expect(found(25, 1000)).toEqual(['25-30', '31-40']);
    expect(all.inSegment(6, index(25), 1000)).toEqual([]);
  });

  test('count the use of segments through truncation on both sides, and growth', () => {
    const { places: all, uses } = places();
    for (let i = 1; i <= 1000; i++) all.push(index(i), index(i), at(Math.ceil(i / 250), i));
    expect([...uses]).toEqual([1, 2, 3, 4].map((segment) => [segment, 25_000]));
    all.dropThrough(index(990));
    expect([...uses.values()]).toEqual([0, 0, 0, 1000]);
    all.truncateFrom(index(995));
    expect([...uses.values()]).toEqual([0, 0, 0, 400]);
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
