import { describe, expect, test } from 'vitest';
import { runTurns } from '../../src/platform/turns.js';
import { MachineClock, SimClock } from '../../src/sim/clock.js';
import { SimProcess } from '../../src/sim/process.js';
import { Scheduler } from '../../src/sim/scheduler.js';

function newClock(options: ConstructorParameters<typeof MachineClock>[1] = {}): {
  scheduler: Scheduler;
  process: SimProcess;
  machine: MachineClock;
  clock: SimClock;
} {
  const scheduler = new Scheduler(runTurns);
  const process = new SimProcess(scheduler, 'n1');
  const machine = new MachineClock(scheduler, options);
  return { scheduler, process, machine, clock: new SimClock(scheduler, process, machine) };
}

describe('SimClock', () => {
  test('a timer fires at its time by the clock of its machine', async () => {
    const { scheduler, clock } = newClock({ rate: 2 });
    const fired: number[] = [];
    clock.after(10, () => fired.push(scheduler.nowMs, clock.monotonicMs()));
    await scheduler.run(100);
    expect(fired).toEqual([5, 10]);
  });

  test('waiting for the rest of a time always ends, whatever the rate', async () => {
    const { scheduler, clock } = newClock({ rate: 1.0003 });
    await scheduler.run(1e9 / 3);
    const dueMs = clock.monotonicMs() + 1 / 3;
    let waits = 0;
    const wait = (): void => {
      waits++;
      if (clock.monotonicMs() < dueMs) clock.after(dueMs - clock.monotonicMs(), wait);
    };
    wait();
    await scheduler.run(scheduler.nowMs + 10);
    expect(clock.monotonicMs()).toBeGreaterThan(dueMs);
    expect(waits).toBeLessThan(5);
  });

  test('the monotonic clock jumps ahead without the wall clock', async () => {
    const { scheduler, machine, clock } = newClock({ wallStartMicros: 1_000_000 });
    await scheduler.run(100);
    machine.jumpMonotonic(5000);
    expect([clock.monotonicMs(), clock.wallMicros()]).toEqual([5100, 1_100_000]);
    await scheduler.run(200);
    expect([clock.monotonicMs(), clock.wallMicros()]).toEqual([5200, 1_200_000]);
  });

  test('while both clocks stand still no timer fires; each fires once when they go on', async () => {
    const { scheduler, machine, clock } = newClock({ wallStartMicros: 1_000_000 });
    const fired: string[] = [];
    clock.after(10, () => fired.push('first'));
    clock.after(20, () => fired.push('cancelled')).cancel();
    clock.after(200, () => fired.push('last'));
    await scheduler.run(5);
    machine.freezeMonotonic();
    machine.freezeMonotonic();
    await scheduler.run(100);
    expect([fired, clock.monotonicMs(), clock.wallMicros()]).toEqual([[], 5, 1_005_000]);
    machine.thawMonotonic();
    machine.thawMonotonic();
    await scheduler.run(110);
    expect([fired, clock.monotonicMs(), clock.wallMicros()]).toEqual([['first'], 15, 1_015_000]);
    await scheduler.run(300);
    expect(fired).toEqual(['first', 'last']);
  });

  test('drift moves both clocks without a jump; the wall clock also jumps and freezes', async () => {
    const { scheduler, machine, clock } = newClock({ wallStartMicros: 1_000_000, wallOffsetMs: -500 });
    expect(clock.wallMicros()).toBe(500_000);
    await scheduler.run(100);
    machine.setRate(0.5);
    expect([clock.monotonicMs(), clock.wallMicros()]).toEqual([100, 600_000]);
    await scheduler.run(200);
    expect([clock.monotonicMs(), clock.wallMicros()]).toEqual([150, 650_000]);
    machine.jumpWall(-600);
    expect([clock.monotonicMs(), clock.wallMicros()]).toEqual([150, 50_000]);
    machine.freezeWall();
    await scheduler.run(300);
    machine.jumpWall(1);
    expect([clock.monotonicMs(), clock.wallMicros()]).toEqual([200, 51_000]);
    machine.thawWall();
    await scheduler.run(400);
    expect([clock.monotonicMs(), clock.wallMicros()]).toEqual([250, 101_000]);
  });

  test('the end of a turn comes after what is due and after all promise reactions, at the same time', async () => {
    const { scheduler, clock } = newClock();
    const seen: string[] = [];
    clock.after(1, () => {
      clock.endOfTurn(() => seen.push(`end at ${scheduler.nowMs}`));
      void (async () => {
        for (let i = 0; i < 1000; i++) await Promise.resolve();
        seen.push('reactions');
      })();
    });
    clock.after(1, () => seen.push('also due'));
    await scheduler.run(10);
    expect(seen).toEqual(['reactions', 'also due', 'end at 1']);
  });

  test('a cancelled timer does not fire, even if it was due while the process was paused', async () => {
    const { scheduler, process, clock } = newClock();
    const seen: string[] = [];
    const second = clock.after(2, () => seen.push('second'));
    clock.after(1, () => {
      seen.push('first');
      second.cancel();
    });
    process.pause();
    await scheduler.run(10);
    expect(seen).toEqual([]);
    process.resume();
    await scheduler.run(20);
    expect(seen).toEqual(['first']);
  });

  test('what is due when a process goes on does not overtake what was held', async () => {
    const { scheduler, process, clock } = newClock();
    const seen: string[] = [];
    for (const name of ['a', 'b', 'c']) clock.after(1, () => seen.push(name));
    scheduler.schedule(5, 'goes on', () => process.resume());
    clock.after(5, () => seen.push('d'));
    process.pause();
    await scheduler.run(10);
    expect(seen).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a paused process gets its timers late, a dead one never; time goes on for both', async () => {
    const { scheduler, process, clock } = newClock();
    const seen: string[] = [];
    clock.after(1, () => seen.push(`timer at ${clock.monotonicMs()}`));
    process.pause();
    await scheduler.run(50);
    process.resume();
    await scheduler.run(60);
    clock.after(1, () => seen.push('from the grave'));
    clock.endOfTurn(() => seen.push('from the grave'));
    process.kill();
    process.resume();
    await scheduler.run(100);
    expect(seen).toEqual(['timer at 50']);
  });
});
