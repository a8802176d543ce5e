import { describe, expect, test } from 'vitest';
import { Timestamp, timestampEpochMs } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { Oracle } from '../../src/placement/oracle.js';

const second = 1_000_000;
const wall = (micros: number): number => timestampEpochMs * 1000 + micros;

function issue(oracle: Oracle, count: number, micros: number): number {
  for (;;) {
    const allocation = oracle.allocate(count, wall(micros));
    if (allocation.type === 'issued') return allocation.first;
    oracle.raised(allocation.highWater);
  }
}

describe('the timestamp oracle', () => {
  test('issues nothing before a high water is committed', () => {
    expect(new Oracle(Timestamp(0)).allocate(1, wall(5 * second)).type).toBe('raiseFirst');
  });

  test('asks for the high water before it is passed, not after', () => {
    const oracle = new Oracle(Timestamp(0));
    oracle.raised(Timestamp(10));
    expect(oracle.allocate(9, wall(0))).toMatchObject({ type: 'issued', first: 1 });
    expect(oracle.allocate(1, wall(0))).toMatchObject({ type: 'raiseFirst' });
  });

  test('follows the clock', () => {
    expect(issue(new Oracle(Timestamp(0)), 1, 7 * second)).toBe(7 * second);
  });

  test('a leader with a clock that is behind goes on above what its predecessor can have issued', () => {
    const before = new Oracle(Timestamp(0));
    const last = issue(before, 100, 50 * second) + 99;
    expect(issue(new Oracle(before.highWater), 1, 3 * second)).toBeGreaterThan(last);
  });

  test('never goes back, whatever the clock does', () => {
    const random = new Prng(42);
    let oracle = new Oracle(Timestamp(0));
    let last = 0;
    for (let i = 0; i < 10_000; i++) {
      const count = random.int(1, 50);
      const first = issue(oracle, count, random.int(0, 1000) * second);
      expect(first).toBeGreaterThan(last);
      last = first + count - 1;
      expect(last).toBeLessThan(oracle.highWater);
      if (random.chance(0.01)) oracle = new Oracle(oracle.highWater);
    }
  });

  test('a high water that goes back is a broken invariant', () => {
    expect(() => new Oracle(Timestamp(10)).raised(Timestamp(10))).toThrow('high water');
  });
});
