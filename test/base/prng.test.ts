import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';

describe('Prng', () => {
  test('a seed gives these numbers, on every machine and in every release', () => {
    const random = new Prng(42);
    expect([random.u32(), random.u32(), random.u32()]).toMatchInlineSnapshot(`
      [
        1959603763,
        2423114712,
        2466933512,
      ]
    `);
  });

  test('seeds beyond 2^32 differ', () => {
    expect(new Prng(7).u32()).not.toBe(new Prng(7 + 2 ** 33).u32());
  });

  test('a split generator does not depend on what the other draws afterwards', () => {
    const [a, b] = [new Prng(1), new Prng(1)];
    const [left, right] = [a.split('x'), b.split('x')];
    a.u32();
    expect(left.u32()).toBe(right.u32());
    expect(new Prng(1).split('x').u32()).not.toBe(new Prng(1).split('y').u32());
  });

  test('int covers its range evenly, both ends included', () => {
    const random = new Prng(5);
    const counts = new Map<number, number>();
    for (let i = 0; i < 6000; i++) {
      const drawn = random.int(-1, 4);
      counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
    }
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual([-1, 0, 1, 2, 3, 4]);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  test('shuffle keeps what is there', () => {
    const shuffled = new Prng(9).shuffle([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(shuffled).not.toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect([...shuffled].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });
});
