import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { runOpenLoad } from '../../../bench/cluster/open-loop.js';

test('an answer that holds up all others shows in the latencies of those that were due meanwhile', async () => {
  const stallMs = 200;
  const begunMs = performance.now();
  // Answers nothing in the first fifth of a second, and then at once.
  const operation = async (): Promise<void> => setTimeout(Math.max(0, begunMs + stallMs - performance.now()));
  const result = await runOpenLoad({ perSecond: 1000, seconds: 0.4, openMax: 1000, operation });
  expect(result.operations).toBe(400);
  expect(result.p99Ms).toBeGreaterThan(stallMs * 0.75);
});

test('what is due with too many open is dropped and counted, and so is what fails', async () => {
  const results = [Promise.reject(new Error('refused')), setTimeout(50)];
  const result = await runOpenLoad({
    perSecond: 1000,
    seconds: 0.01,
    openMax: 2,
    operation: (n) => results.at(n) ?? setTimeout(50),
  });
  expect(result.failed).toBe(1);
  expect(result.operations + result.failed + result.dropped).toBe(10);
  expect(result.dropped).toBeGreaterThan(0);
});
