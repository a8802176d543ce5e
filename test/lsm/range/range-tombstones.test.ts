import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { DecodeError } from '../../../src/base/coding.js';
import { Timestamp } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { decodeRangeBlock, encodeRangeBlock } from '../../../src/lsm/range/range-block.js';
import { RangeCover } from '../../../src/lsm/range/range-cover.js';
import {
  clipFragments,
  countVersions,
  fragmentsOf,
  hiddenBelow,
  mergeFragments,
  neighboursHiding,
  type RangeFragments,
  type RangeTombstone,
} from '../../../src/lsm/range/range-tombstones.js';
import { show } from '../fragments.js';
import { text } from '../harness.js';

/** `a-c@5` deletes from a up to c at version 5. */
function tombstones(line: string): RangeTombstone[] {
  return line
    .split(' ')
    .filter(Boolean)
    .map((one) => {
      const [lower, upper, version] = one.split(/[-@]/);
      return { lower: utf8(lower), upper: utf8(upper), version: Timestamp(Number(version)) };
    });
}

/** `a-c@5,3` is a fragment with two versions. */
function randomTombstones(random: Prng, count: number): RangeTombstone[] {
  return Array.from({ length: count }, () => {
    const [a, b] = [random.int(0, 25), random.int(0, 25)].sort((one, other) => one - other);
    const [lower, upper] = [a, b + 1].map((n) => utf8(String.fromCharCode(97 + n)));
    return { lower, upper, version: Timestamp(random.int(1, 9)) };
  });
}

function randomKey(random: Prng): string {
  return String.fromCharCode(96 + random.int(0, 28)) + random.pick(['', 'x']);
}

/** The same as hiddenBelow, by the obvious way. */
function hiddenBelowIn(all: readonly RangeTombstone[], key: string, at: number): number {
  const covering = all.filter(({ lower, upper, version }) => {
    return text(lower) <= key && key < text(upper) && version <= at;
  });
  return Math.max(0, ...covering.map(({ version }) => version));
}

describe('range tombstones', () => {
  it.each([
    ['', ''],
    ['a-c@5', 'a-c@5'],
    ['c-d@5 a-b@7', 'a-b@7 c-d@5'],
    ['a-d@5 b-c@7', 'a-b@5 b-c@7,5 c-d@5'],
    ['a-c@5 b-d@7', 'a-b@5 b-c@7,5 c-d@7'],
    ['a-c@5 a-c@7', 'a-c@7,5'],
    ['a-c@5 a-d@5', 'a-d@5'],
    ['a-b@5 b-c@5', 'a-c@5'],
    ['a-b@5 b-c@4', 'a-b@5 b-c@4'],
    ['b-c@5 a-d@5', 'a-d@5'],
    ['a-z@1 b-c@2 d-e@2 b-e@3', 'a-b@1 b-c@3,2,1 c-d@3,1 d-e@3,2,1 e-z@1'],
  ])('%s are the fragments %s', (line, expected) => {
    expect(show(fragmentsOf(tombstones(line)))).toBe(expected);
    expect(show(fragmentsOf(tombstones(line).reverse()))).toBe(expected);
  });

  it.each([
    ['a', undefined, 'a-b@1 b-c@2,1 c-g@1'],
    ['', 'a', ''],
    ['b', 'c', 'b-c@2,1'],
    ['aa', 'bb', 'aa-b@1 b-bb@2,1'],
    ['f', 'z', 'f-g@1'],
    ['g', undefined, ''],
  ])('within %s and %s', (lower, upper, expected) => {
    const bounds = { lower: utf8(lower), upper: upper === undefined ? undefined : utf8(upper) };
    expect(show(clipFragments(fragmentsOf(tombstones('a-g@1 b-c@2')), bounds))).toBe(expected);
  });

  it.each([1, 2, 3, 4, 5])('hide what any of them hides, however they were merged, seed %i', (seed) => {
    const random = new Prng(seed);
    const parts = Array.from({ length: 20 }, () => randomTombstones(random, random.int(1, 4)));
    let merged: RangeFragments = [];
    parts.forEach((part, i) => {
      const fragments = fragmentsOf(part);
      merged = random.chance(0.5) ? mergeFragments(merged, fragments) : mergeFragments(fragments, merged);
      expect(show(merged)).toBe(show(fragmentsOf(parts.slice(0, i + 1).flat())));
    });
    for (const at of [0, 3, 5, 9]) {
      for (let i = 0; i < 100; i++) {
        const key = randomKey(random);
        expect(hiddenBelow(merged, utf8(key), at)).toBe(hiddenBelowIn(parts.flat(), key, at));
      }
    }
  });

  it.each([1, 2, 3, 4, 5])('of several places hide together, for keys in any order, seed %i', (seed) => {
    const random = new Prng(seed);
    const parts = Array.from({ length: random.int(1, 4) }, () => randomTombstones(random, random.int(1, 3)));
    const at = random.int(1, 9);
    const cover = new RangeCover(parts.map(fragmentsOf), at);
    for (let i = 0; i < 200; i++) {
      const key = randomKey(random);
      const below = cover.hiddenBelow(utf8(key));
      expect(below, key).toBe(hiddenBelowIn(parts.flat(), key, at));
      // What may be passed over is hidden as well.
      const [lower, upper] = [cover.hiddenTo(true), cover.hiddenTo(false)];
      expect([lower === undefined, upper === undefined]).toEqual([below === 0, below === 0]);
      if (lower === undefined || upper === undefined) continue;
      expect(text(lower) <= key && key < text(upper)).toBe(true);
      for (let other = text(lower); other < text(upper); other = String.fromCharCode(other.charCodeAt(0) + 1)) {
        expect(hiddenBelowIn(parts.flat(), other, at)).toBeGreaterThanOrEqual(below);
      }
    }
  });
});

describe('neighbours that hide', () => {
  const fragments = fragmentsOf(tombstones('a-b@9 b-c@5 c-d@6 d-e@7 f-g@8'));

  it.each([
    ['up to a gap', 'b', false, 64, 'e'],
    ['down to the first', 'b', true, 64, 'a'],
    ['not where they hide less', 'c', true, 64, 'c'],
    ['not where they hide less, ascending', 'a', false, 64, 'b'],
    ['so many of them', 'b', false, 1, 'd'],
    ['down to a gap', 'f', true, 64, 'f'],
  ])('are taken together %s', (_, key, reverse, neighboursMax, expected) => {
    const position = fragments.findIndex(({ lower }) => text(lower) === key);
    const below = hiddenBelow(fragments, utf8(key), 20);
    const last = fragments[neighboursHiding(fragments, position, reverse, { at: 20, below, neighboursMax })];
    expect(text(reverse ? last.lower : last.upper)).toBe(expected);
  });
});

describe('a range tombstone block', () => {
  it.each([1, 2, 3])('gives back what was written, seed %i', (seed) => {
    const fragments = fragmentsOf(randomTombstones(new Prng(seed), 20));
    expect(decodeRangeBlock(encodeRangeBlock(fragments))).toEqual(fragments);
    expect(countVersions(fragments)).toBeGreaterThan(fragments.length);
  });

  it.each([
    ['no range', '', 'without ranges'],
    ['an empty range', 'b-b@5', 'ends before it starts'],
    ['ranges that overlap', 'a-c@5 b-d@5', 'out of order'],
    ['ranges out of order', 'c-d@5 a-b@5', 'out of order'],
    ['versions out of order', 'a-b@5,7', 'out of order'],
    ['a version twice', 'a-b@5,5', 'out of order'],
    ['a range without a version', 'a-b@', 'without a version'],
  ])('with %s is refused', (_, line, message) => {
    const block = encodeRangeBlock(
      line
        .split(' ')
        .filter(Boolean)
        .map((one) => {
          const [lower, upper, versions] = one.split(/[-@]/);
          const list = versions.split(',').filter(Boolean);
          return { lower: utf8(lower), upper: utf8(upper), versions: list.map((each) => Timestamp(Number(each))) };
        }),
    );
    expect(() => decodeRangeBlock(block)).toThrow(DecodeError);
    expect(() => decodeRangeBlock(block)).toThrow(message);
  });

  it('that is cut off is refused', () => {
    const block = encodeRangeBlock(fragmentsOf(tombstones('a-c@300 b-d@7')));
    for (let length = 0; length < block.length - 1; length++) {
      const cut = block.subarray(0, length);
      // Cut between two fragments it is sound: how many there are is in the properties.
      if (decodes(cut)) expect(countVersions(decodeRangeBlock(cut))).toBeLessThan(4);
      else expect(() => decodeRangeBlock(cut)).toThrow(DecodeError);
    }
  });
});

function decodes(block: Uint8Array): boolean {
  try {
    decodeRangeBlock(block);
    return true;
  } catch {
    return false;
  }
}
