import { expect, test } from 'vitest';
import { leaseDurationMs } from '../../src/raft/lease.js';

test('a lease ends before voters are free, though their clocks run a tenth faster and its own a tenth slower', () => {
  for (const [electionTicksMin, tickMs] of [
    [10, 50],
    [3, 10],
    [20, 100],
  ]) {
    // Of the first tick nothing need be left when the promise begins.
    const promiseMs = (electionTicksMin - 1) * tickMs;
    const durationMs = leaseDurationMs({ electionTicksMin, tickMs });
    expect(durationMs / 0.9).toBeLessThanOrEqual((promiseMs / 1.1) * (1 + 1e-9));
    // Nor much before: it is there to be used.
    expect(durationMs).toBeGreaterThan(promiseMs * 0.8);
  }
});
