import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { runTurns } from '../../src/platform/turns.js';
import { Bursts, type BurstPlan } from '../../src/sim/bursts.js';
import { Scheduler } from '../../src/sim/scheduler.js';

const seldom: BurstPlan = { lastsMsMax: 50, gapMsMax: 1e9, callsMax: 1000 };

function start(plan: BurstPlan | undefined, seed = 1): { scheduler: Scheduler; bursts: Bursts; calls: number[] } {
  const scheduler = new Scheduler(runTurns);
  const bursts = new Bursts(scheduler, new Prng(seed), plan);
  const calls: number[] = [];
  const think = (): void => {
    scheduler.schedule(1, 'thinks', () =>
      bursts.whenBusy(() => {
        calls.push(scheduler.nowMs);
        think();
      }),
    );
  };
  bursts.start();
  think();
  return { scheduler, bursts, calls };
}

describe('clients', () => {
  test('without bursts never rest', async () => {
    const { scheduler, calls } = start(undefined);
    await scheduler.run(100);
    expect(calls).toHaveLength(100);
  });

  test('call in each burst, and rest between them', async () => {
    const { scheduler, calls } = start({ lastsMsMax: 50, gapMsMax: 1000, callsMax: 1000 });
    await scheduler.run(20_000);
    const rests = calls.filter((ms, i) => i > 0 && ms - calls[i - 1] > 50).length;
    expect(rests).toBeGreaterThan(20);
    expect(calls.length).toBeGreaterThan(20 * rests);
    expect(calls.length).toBeLessThan(20_000 / 5);
  });

  test('rest when the calls of a burst are used up', async () => {
    const { scheduler, calls } = start({ lastsMsMax: 50, gapMsMax: 1000, callsMax: 3 });
    await scheduler.run(20_000);
    const bursts = 1 + calls.filter((ms, i) => i > 0 && ms - calls[i - 1] > 50).length;
    expect(bursts).toBeGreaterThan(20);
    expect(calls.length).toBeGreaterThan(2 * bursts);
    expect(calls.length).toBeLessThan(4 * bursts);
  });

  test('that rest are called back by some of the faults that approach', async () => {
    const { scheduler, bursts, calls } = start(seldom);
    await scheduler.run(100);
    let met = 0;
    for (let fault = 0; fault < 100; fault++) {
      const before = calls.length;
      bursts.faultComes();
      await scheduler.run(scheduler.nowMs + 100);
      if (calls.length > before) met++;
    }
    expect(met).toBeGreaterThan(10);
    expect(met).toBeLessThan(50);
  });

  test('have no more bursts once they are stopped', async () => {
    const { scheduler, bursts, calls } = start({ lastsMsMax: 50, gapMsMax: 1000, callsMax: 1000 });
    await scheduler.run(2000);
    bursts.stop();
    await scheduler.run(4000);
    const { length } = calls;
    await scheduler.run(20_000);
    expect(calls).toHaveLength(length);
    expect(await scheduler.runUntil(() => false)).toBe(false);
  });
});
