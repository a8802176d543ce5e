import { describe, expect, it } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { EmptyGaps } from '../../src/lsm/empty-gaps.js';

const keys = 40;
const keyOf = (i: number): Uint8Array => Uint8Array.of(i);
const upperOf = (i: number): Uint8Array | undefined => (i === keys ? undefined : keyOf(i));

/** The keys within the bounds that are left, as numbers. */
function left(gaps: EmptyGaps, lower: number, upper: number, reverse: boolean, at: number): number[] {
  const bounds = gaps.without({ lower: keyOf(lower), upper: upperOf(upper) }, reverse, at);
  const end = bounds.upper === undefined ? keys : bounds.upper[0];
  const count = Math.max(0, end - bounds.lower[0]);
  return Array.from({ length: count }, (_, i) => bounds.lower[0] + i);
}

describe('empty gaps', () => {
  it.each([1, 2, 3, 4, 5])('leave out nothing but what they were told, on the side of the start, seed %i', (seed) => {
    const random = new Prng(seed);
    const gaps = new EmptyGaps(3);
    /** Of each key, from which version on it is known to be empty. */
    const emptySince = new Array<number>(keys).fill(Infinity);
    let since = 1;
    let leftOut = 0;
    for (let i = 0; i < 3000; i++) {
      const [from, to] = [random.int(0, keys), random.int(0, keys)].sort((a, b) => a - b);
      if (random.chance(0.3) && from < to && from < keys) {
        gaps.add({ lower: keyOf(from), upper: upperOf(to) }, ++since);
        for (let key = from; key < to; key++) emptySince[key] = Math.min(emptySince[key], since);
      } else if (random.chance(0.5)) {
        const key = random.int(0, keys - 1);
        gaps.put(keyOf(key));
        emptySince[key] = Infinity;
      } else {
        const reverse = random.chance(0.5);
        const at = random.int(since - 3, since + 1);
        const kept = left(gaps, from, to, reverse, at);
        const out = Array.from({ length: to - from }, (_, n) => from + n).filter((key) => !kept.includes(key));
        leftOut += out.length;
        expect(out.filter((key) => emptySince[key] > at)).toEqual([]);
        if (kept.length > 0) expect(reverse ? kept[0] : kept.at(-1)).toBe(reverse ? from : to - 1);
      }
    }
    expect(leftOut).toBeGreaterThan(500);
  });

  it('grow together, and end with a put', () => {
    const gaps = new EmptyGaps(2);
    gaps.add({ lower: keyOf(5), upper: keyOf(10) }, 1);
    gaps.add({ lower: keyOf(10), upper: keyOf(20) }, 2);
    expect(left(gaps, 5, 30, false, 1)).toHaveLength(25);
    expect(left(gaps, 5, 30, false, 2)).toEqual([20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
    expect(left(gaps, 0, 20, true, 2)).toEqual([0, 1, 2, 3, 4]);
    expect(left(gaps, 7, 15, false, 2)).toEqual([]);
    gaps.put(keyOf(20));
    gaps.put(keyOf(4));
    expect(left(gaps, 7, 15, false, 2)).toEqual([]);
    gaps.put(keyOf(5));
    expect(left(gaps, 7, 15, false, 2)).toHaveLength(8);
  });

  it('reach to the end of all keys', () => {
    const gaps = new EmptyGaps(2);
    gaps.add({ lower: keyOf(5), upper: undefined }, 1);
    expect(left(gaps, 7, keys, false, 1)).toEqual([]);
    expect(left(gaps, 0, keys, true, 1)).toEqual([0, 1, 2, 3, 4]);
    expect(left(gaps, 0, 9, true, 1)).toEqual([0, 1, 2, 3, 4]);
  });

  it('keep the newest only', () => {
    const gaps = new EmptyGaps(2);
    for (const i of [1, 5, 9]) gaps.add({ lower: keyOf(i), upper: keyOf(i + 2) }, 1);
    expect([1, 5, 9].map((i) => left(gaps, i, i + 2, false, 1).length)).toEqual([2, 0, 0]);
    gaps.clear();
    expect(left(gaps, 5, 7, false, 1)).toEqual([5, 6]);
  });
});
