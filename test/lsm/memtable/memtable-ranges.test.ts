import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { Timestamp } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { MemtableRanges } from '../../../src/lsm/memtable/memtable-ranges.js';
import {
  countVersions,
  fragmentsOf,
  hiddenBelow,
  mergeAllFragments,
  type RangeFragments,
  type RangeTombstone,
} from '../../../src/lsm/range/range-tombstones.js';

const keys = 10_000;
const keyOf = (i: number): Uint8Array => utf8(String(i).padStart(6, '0'));

function randomTombstone(random: Prng, version: number): RangeTombstone {
  const [a, b] = [random.int(0, keys), random.int(0, keys)].sort((one, other) => one - other);
  return { lower: keyOf(a), upper: keyOf(b + 1), version: Timestamp(version) };
}

/** Reads after each of `count` deletions; how many versions the fragments had that were made for it. */
function versionsMade(count: number, tombstone: (i: number) => RangeTombstone): number {
  const ranges = new MemtableRanges();
  const seen = new Set<RangeFragments>();
  let made = 0;
  for (let i = 0; i < count; i++) {
    ranges.add(tombstone(i));
    for (const list of ranges.lists) {
      if (!seen.has(list)) made += countVersions(list);
      seen.add(list);
    }
  }
  return made;
}

describe('range tombstones of a memtable', () => {
  it.each([1, 2, 3])('hide what those hide that were added, whenever it is read, seed %i', (seed) => {
    const random = new Prng(seed);
    const ranges = new MemtableRanges();
    const all: RangeTombstone[] = [];
    expect(ranges.lists).toEqual([]);
    expect(ranges.hiddenBelow(keyOf(1), 9)).toBe(0);
    for (let round = 0; round < 60; round++) {
      for (let i = random.int(1, 5); i > 0; i--) {
        const tombstone = randomTombstone(random, random.int(1, 50));
        all.push(tombstone);
        ranges.add(tombstone);
      }
      const expected = fragmentsOf(all);
      for (let i = 0; i < 20; i++) {
        const [key, at] = [keyOf(random.int(0, keys)), random.int(0, 60)];
        expect(ranges.hiddenBelow(key, at)).toBe(hiddenBelow(expected, key, at));
      }
      if (random.chance(0.2)) expect(mergeAllFragments(ranges.lists)).toEqual(expected);
      expect(ranges.count).toBe(all.length);
      expect(ranges.tombstones).toEqual(all);
    }
  });

  it('are in few lists', () => {
    const random = new Prng(1);
    const ranges = new MemtableRanges();
    for (let i = 0; i < 1000; i++) {
      ranges.add(randomTombstone(random, i + 1));
      expect(ranges.lists.length).toBeLessThanOrEqual(10);
    }
  });

  it('that overlap cost a few times what they have at the end, with a read after each', () => {
    const random = new Prng(1);
    const all = Array.from({ length: 500 }, (_, i) => randomTombstone(random, i + 1));
    expect(versionsMade(all.length, (i) => all[i])).toBeLessThan(4 * countVersions(fragmentsOf(all)));
  });

  it('that are disjoint are merged about log n times, with a read after each', () => {
    const made = versionsMade(1024, (i) => ({ lower: keyOf(i), upper: keyOf(i + 1), version: Timestamp(i + 1) }));
    expect(made).toBeLessThan(1024 * 11);
  });
});
