import { describe, expect, test } from 'vitest';
import { WriteWindow } from '../../src/shard/write-window.js';

const limits = { shardOperationsInFlightMax: 2048, writeWaitMsTarget: 500 };

describe('the window of writes', () => {
  test('is the limit of the shard until writes have waited too long', () => {
    const window = new WriteWindow(limits);
    expect(window.size).toBe(2048);
    window.done(1000, window.arrived(0), 500);
    expect(window.size).toBe(2048);
  });

  test.each([
    { done: 1000, waitedMs: 1000, size: 500 },
    { done: 2048, waitedMs: 501, size: 2043 },
    { done: 300, waitedMs: 1500, size: 100 },
    { done: 10, waitedMs: 1000, size: 32 },
  ])('is what is done within the target: $done in $waitedMs ms make $size', ({ done, waitedMs, size }) => {
    const window = new WriteWindow(limits);
    window.done(done, window.arrived(0), waitedMs);
    expect(window.size).toBe(size);
  });

  test('counts all that was done while the oldest waited, so that two batches of one wait do not shrink it twice', () => {
    const window = new WriteWindow(limits);
    const first = window.arrived(0);
    const second = window.arrived(10);
    window.done(500, first, 1000);
    expect(window.size).toBe(250);
    window.done(500, second, 1010);
    expect(window.size).toBe(250);
  });

  test('opens again by a quarter with each batch that waited less, up to the limit', () => {
    const window = new WriteWindow(limits);
    window.done(400, window.arrived(0), 1000);
    const sizes = Array.from({ length: 12 }, (_, i) => {
      window.done(10, window.arrived(2000 + i), 2010 + i);
      return window.size;
    });
    expect(sizes.slice(0, 3)).toEqual([250, 313, 392]);
    expect(sizes[11]).toBe(2048);
  });

  test('is never larger than the limit of the shard, however small that is', () => {
    const window = new WriteWindow({ shardOperationsInFlightMax: 4, writeWaitMsTarget: 500 });
    window.done(4, window.arrived(0), 10_000);
    expect(window.size).toBe(4);
  });
});
