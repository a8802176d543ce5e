import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { runTurns } from '../../src/platform/turns.js';
import { Scheduler } from '../../src/sim/scheduler.js';

describe('Scheduler', () => {
  test('runs events by time, and those of one time in the order in which they were scheduled', async () => {
    const scheduler = new Scheduler(runTurns);
    const seen: string[] = [];
    const at = (delayMs: number, name: string): unknown => scheduler.schedule(delayMs, name, () => seen.push(name));
    at(5, 'c');
    at(1, 'a');
    at(5, 'd');
    at(2, 'b');
    await scheduler.run(5);
    expect(seen).toEqual(['a', 'b', 'c', 'd']);
    expect(scheduler.nowMs).toBe(5);
  });

  test('agrees with sorting, for random times and cancellations', async () => {
    const random = new Prng(1);
    const scheduler = new Scheduler(runTurns);
    const seen: number[] = [];
    const expected: { timeMs: number; id: number }[] = [];
    for (let id = 0; id < 2000; id++) {
      const timeMs = random.int(0, 300);
      const event = scheduler.schedule(timeMs, `${id}`, () => seen.push(id));
      if (random.chance(0.3)) event.cancel();
      else expected.push({ timeMs, id });
    }
    await scheduler.runUntil(() => false);
    expect(seen).toEqual(expected.sort((a, b) => a.timeMs - b.timeMs || a.id - b.id).map(({ id }) => id));
    expect(scheduler.eventsRun).toBe(expected.length);
  });

  test('lets promise chains of any length end before the next event, at the same virtual time', async () => {
    const scheduler = new Scheduler(runTurns);
    const seen: string[] = [];
    scheduler.schedule(1, 'first', () => {
      void (async () => {
        for (let i = 0; i < 5000; i++) await Promise.resolve();
        seen.push(`chain ended at ${scheduler.nowMs}`);
      })();
    });
    scheduler.schedule(1, 'second', () => seen.push('second'));
    await scheduler.run(2);
    expect(seen).toEqual(['chain ended at 1', 'second']);
  });

  test('stops at the limit and goes on from there', async () => {
    const scheduler = new Scheduler(runTurns);
    const seen: number[] = [];
    scheduler.schedule(10, 'ten', () => seen.push(scheduler.nowMs));
    await scheduler.run(9.5);
    expect(seen).toEqual([]);
    expect(scheduler.nowMs).toBe(9.5);
    await scheduler.run(10);
    expect(seen).toEqual([10]);
  });

  test('ends as soon as the condition holds, and says whether it did', async () => {
    const scheduler = new Scheduler(runTurns);
    let count = 0;
    const again = (): void => {
      count++;
      scheduler.schedule(1, 'again', again);
    };
    again();
    expect(await scheduler.runUntil(() => count === 4, 100)).toBe(true);
    expect(scheduler.nowMs).toBe(3);
    expect(await scheduler.runUntil(() => count === -1, 100)).toBe(false);
    expect(scheduler.nowMs).toBe(100);
  });

  test('completes a promise that its events settle, and refuses to wait for one that none can settle', async () => {
    const scheduler = new Scheduler(runTurns);
    const answer = new Promise<number>((resolve) => scheduler.schedule(7, 'answer', () => resolve(42)));
    expect(await scheduler.complete(answer)).toBe(42);
    expect(scheduler.nowMs).toBe(7);
    await expect(scheduler.complete(new Promise(() => undefined))).rejects.toThrow('not settled');
    await expect(scheduler.complete(Promise.reject(new Error('refused')))).rejects.toThrow('refused');
  });

  test('passes on what an event throws', async () => {
    const scheduler = new Scheduler(runTurns);
    scheduler.schedule(1, 'bad', () => {
      throw new Error('bad event');
    });
    await expect(scheduler.run(2)).rejects.toThrow('bad event');
  });

  test('the trace hash is a function of times and labels', async () => {
    const trace = async (seed: number): Promise<string> => {
      const random = new Prng(seed);
      const scheduler = new Scheduler(runTurns);
      const spread = (depth: number): void => {
        if (depth === 0) return;
        for (let i = random.int(1, 3); i > 0; i--) {
          scheduler.schedule(
            random.float() * 10,
            `event ${i}`,
            () => void Promise.resolve().then(() => spread(depth - 1)),
          );
        }
      };
      spread(7);
      await scheduler.runUntil(() => false);
      return scheduler.traceHash;
    };
    const [first, again, other] = [await trace(5), await trace(5), await trace(6)];
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });
});
