import { describe, expect, test } from 'vitest';
import { WriteWindow } from '../../src/shard/write-window.js';

const kib = 1024;
const limits = { requestBytesMax: 8000 * kib, batchOperationsMax: 1024, writeWaitMsTarget: 500 };
/** Of a shard at rest: one request of any shape. */
const atRest = 8768 * kib;

describe('the window of writes', () => {
  test('is one request, of whatever is in it, until writes have waited too long', () => {
    const window = new WriteWindow(limits);
    expect(window.bytes).toBe(atRest);
    window.done(1000, window.arrived(0), 500);
    expect(window.bytes).toBe(atRest);
  });

  test.each([
    { done: 1000 * kib, waitedMs: 1000, bytes: 500 * kib },
    { done: 501 * kib, waitedMs: 501, bytes: 500 * kib },
    { done: 300 * kib, waitedMs: 1500, bytes: 100 * kib },
    { done: 10 * kib, waitedMs: 1000, bytes: 24 * kib },
  ])('is what is done within the target: $done in $waitedMs ms make $bytes', ({ done, waitedMs, bytes }) => {
    const window = new WriteWindow(limits);
    window.done(done, window.arrived(0), waitedMs);
    expect(window.bytes).toBe(bytes);
  });

  test('counts all that was done while the oldest waited, so that two batches of one wait do not shrink it twice', () => {
    const window = new WriteWindow(limits);
    const first = window.arrived(0);
    const second = window.arrived(10);
    window.done(500 * kib, first, 1000);
    expect(window.bytes).toBe(250 * kib);
    window.done(500 * kib, second, 1010);
    expect(window.bytes).toBe(250 * kib);
  });

  test('opens again to that of a shard at rest, twice as far with each batch, however little is done', () => {
    const window = new WriteWindow(limits);
    window.done(400 * kib, window.arrived(0), 1000);
    const sizes = Array.from({ length: 8 }, (_, i) => {
      window.done(10, window.arrived(2000 + 10 * i), 2010 + 10 * i);
      return window.bytes;
    });
    expect(sizes.slice(0, 3)).toEqual([400 * kib, 800 * kib, 1600 * kib]);
    expect(sizes[7]).toBe(atRest);
  });

  test('opens by no more than makes the wait the target', () => {
    const window = new WriteWindow(limits);
    window.done(400 * kib, window.arrived(0), 1000);
    window.done(200 * kib, window.arrived(2000), 2400);
    expect(window.bytes).toBe(250 * kib);
  });

  test('opens once for all batches of one wait', () => {
    const window = new WriteWindow(limits);
    window.done(400 * kib, window.arrived(0), 1000);
    const arrivals = [2000, 2010, 2020, 2110].map((ms) => window.arrived(ms));
    arrivals.forEach((arrival, i) => window.done(40 * kib, arrival, 2100 + 5 * i));
    expect(window.bytes).toBe(800 * kib);
  });

  test('opens further than that of a shard at rest only as far as is done within the target', () => {
    const window = new WriteWindow(limits);
    window.done(2000 * kib, window.arrived(0), 100);
    expect(window.bytes).toBe(10_000 * kib);
    window.done(5000 * kib, window.arrived(100), 110);
    expect(window.bytes).toBe(20_000 * kib);
    window.done(10, window.arrived(110), 120);
    expect(window.bytes).toBe(20_000 * kib);
  });
});
