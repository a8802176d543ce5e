import { describe, expect, test } from 'vitest';
import type { WriteOperation } from '../../src/mvcc/operations.js';
import { entryBytes } from '../../src/mvcc/operation-bytes.js';
import { entryOverheadBytes } from '../../src/shard/entry-format.js';
import type { Task } from '../../src/shard/task.js';
import { WriteQueue } from '../../src/shard/write-queue.js';
import { put } from '../mvcc/leader.js';

const operation = put('key', 'value');
const bytes = entryBytes(operation);
/** An entry of three. */
const entryBytesMax = entryOverheadBytes + 3 * bytes + 1;

class Arrivals {
  nowMs = 0;
  asked = 0;
  readonly queue = new WriteQueue(() => {
    this.asked++;
    return { ms: this.nowMs, doneBytes: 0 };
  });

  add(count: number, atMs: number): void {
    this.nowMs = atMs;
    for (let i = 0; i < count; i++) this.queue.add(task(operation));
  }

  /** How many, and when the oldest came. */
  take(): [count: number, ms: number] {
    const { tasks, arrival } = this.queue.take(entryBytesMax);
    return [tasks.length, arrival.ms];
  }
}

function task(operation: WriteOperation): Task<WriteOperation> {
  return { operation, settle: () => undefined, abandoned: false, begun: false };
}

describe('writes that wait', () => {
  test('are taken in order, an entry at a time', () => {
    const { queue } = new Arrivals();
    const tasks = Array.from({ length: 5 }, () => task(operation));
    for (const each of tasks) queue.add(each);
    expect([queue.length, queue.bytes]).toEqual([5, 5 * bytes]);
    const taken = queue.take(entryBytesMax);
    expect(taken.tasks).toEqual(tasks.slice(0, 3));
    expect(taken.bytes).toBe(3 * bytes);
    expect([queue.length, queue.bytes]).toEqual([2, 2 * bytes]);
    expect(queue.take(entryBytesMax).tasks).toEqual(tasks.slice(3));
    expect([queue.length, queue.bytes]).toEqual([0, 0]);
  });

  test('are taken by themselves where an entry has no room for two', () => {
    const { queue } = new Arrivals();
    for (let i = 0; i < 2; i++) queue.add(task(operation));
    expect(queue.take(1).tasks).toHaveLength(1);
  });

  test('have come when they came, also those that a full entry has left', () => {
    const arrivals = new Arrivals();
    arrivals.add(7, 10);
    expect(arrivals.take()).toEqual([3, 10]);
    arrivals.add(2, 20);
    expect(arrivals.take()).toEqual([3, 10]);
    arrivals.add(3, 30);
    expect(arrivals.take()).toEqual([3, 10]);
    expect(arrivals.take()).toEqual([3, 30]);
    arrivals.add(1, 40);
    expect(arrivals.take()).toEqual([1, 40]);
  });

  test('ask once when it is, for all that come between two batches', () => {
    const arrivals = new Arrivals();
    arrivals.add(100, 10);
    arrivals.add(100, 20);
    expect(arrivals.asked).toBe(1);
  });

  test('are gone after `clear`, and what comes then is new', () => {
    const arrivals = new Arrivals();
    arrivals.add(4, 10);
    arrivals.take();
    arrivals.add(1, 20);
    expect(arrivals.queue.clear()).toHaveLength(2);
    expect([arrivals.queue.length, arrivals.queue.bytes]).toEqual([0, 0]);
    arrivals.add(1, 30);
    expect(arrivals.take()).toEqual([1, 30]);
  });
});
