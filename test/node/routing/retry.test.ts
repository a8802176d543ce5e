import { describe, expect, test } from 'vitest';
import { Prng } from '../../../src/base/prng.js';
import { answerMsMax, retryDelayMs } from '../../../src/node/routing/retry.js';

describe('the delay before the next try', () => {
  test.each([
    { tries: 1, from: 5, to: 10 },
    { tries: 2, from: 10, to: 20 },
    { tries: 3, from: 20, to: 40 },
    { tries: 5, from: 80, to: 160 },
    { tries: 6, from: 100, to: 200 },
    { tries: 1000, from: 100, to: 200 },
  ])('after $tries is between $from and $to ms', ({ tries, from, to }) => {
    const random = new Prng(tries);
    const delays = Array.from({ length: 200 }, () => retryDelayMs(tries, undefined, random));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(from);
    expect(Math.max(...delays)).toBeLessThan(to);
    expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan((to - from) / 2);
  });

  test('is at least what the failed try said', () => {
    expect(retryDelayMs(1, 500, new Prng(1))).toBe(500);
    expect(retryDelayMs(6, 1, new Prng(1))).toBeGreaterThanOrEqual(100);
  });
});

test('the time that another node has to answer doubles', () => {
  expect([1, 2, 3, 4].map(answerMsMax)).toEqual([1000, 2000, 4000, 8000]);
  expect(answerMsMax(10_000)).toBe(answerMsMax(11));
});
