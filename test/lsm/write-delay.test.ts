import { describe, expect, it } from 'vitest';
import { DrainRate, owedMs, writeDelay, type Backlog } from '../../src/lsm/write-delay.js';
import { WriteGate } from '../../src/lsm/write-gate.js';
import { ManualClock } from './harness.js';

/** Between 10 and 20, drained at 2 bytes a millisecond. */
function backlog(used: number, drainBytesPerMs: number | undefined = 2): Backlog {
  return { used, slowFrom: 10, stopAt: 20, drainBytesPerMs };
}

describe('writeDelay', () => {
  it.each<[string, Backlog[], ReturnType<typeof writeDelay>]>([
    ['nothing behind', [backlog(0)], { type: 'none' }],
    ['at the first limit', [backlog(10)], { type: 'none' }],
    ['half way: as fast as it drains', [backlog(15)], { type: 'delay', msPerByte: 0.5 }],
    ['a quarter: three times as fast', [backlog(12.5)], { type: 'delay', msPerByte: 0.5 / 3 }],
    ['nine tenths: nine times slower', [backlog(19)], { type: 'delay', msPerByte: 4.5 }],
    ['at the end', [backlog(20)], { type: 'stop' }],
    ['beyond the end', [backlog(99)], { type: 'stop' }],
    ['the longest of several', [backlog(12.5), backlog(15), backlog(0)], { type: 'delay', msPerByte: 0.5 }],
    ['a stop beside a delay', [backlog(15), backlog(20)], { type: 'stop' }],
    ['a fast drain', [backlog(15, 2000)], { type: 'delay', msPerByte: 0.0005 }],
    ['a drain that was not measured', [{ ...backlog(15), drainBytesPerMs: undefined }], { type: 'none' }],
    ['a stop whatever was measured', [{ ...backlog(20), drainBytesPerMs: undefined }], { type: 'stop' }],
    ['no room between the limits', [{ ...backlog(10), stopAt: 10 }], { type: 'stop' }],
  ])('%s', (_, backlogs, expected) => {
    const delay = writeDelay(backlogs);
    expect(delay.type).toBe(expected.type);
    if (delay.type === 'delay' && expected.type === 'delay') expect(delay.msPerByte).toBeCloseTo(expected.msPerByte, 9);
  });

  it('grows without a step up to the stop', () => {
    let before = 0;
    for (let used = 10; used < 20; used += 0.01) {
      const delay = writeDelay([backlog(used)]);
      const msPerByte = delay.type === 'delay' ? delay.msPerByte : 0;
      expect(msPerByte).toBeGreaterThanOrEqual(before);
      // A step is at most what the distance to the end makes it.
      expect(msPerByte - before).toBeLessThan(0.011 * (10 / (20 - used) ** 2) + 1e-9);
      before = msPerByte;
    }
  });

  it('meets writers that go on as they may where they write what drains', () => {
    let used = 10;
    const drain = 2;
    for (let ms = 0; ms < 10_000; ms++) {
      const delay = writeDelay([backlog(used, drain)]);
      const written = delay.type === 'none' ? 50 : delay.type === 'stop' ? 0 : 1 / delay.msPerByte;
      // A thousandth of a unit of backlog for each byte.
      used += (Math.min(written, 50) - drain) / 1000;
    }
    expect(used).toBeCloseTo(15, 1);
  });

  it('adds up what is owed, within bounds', () => {
    expect(owedMs(1, 10, { type: 'delay', msPerByte: 0.5 }, 40)).toBe(6);
    expect(owedMs(1, 1000, { type: 'delay', msPerByte: 0.5 }, 40)).toBe(40);
    expect(owedMs(1, 10, { type: 'none' }, 40)).toBe(1);
    expect(owedMs(1, 10, { type: 'stop' }, 40)).toBe(1);
  });
});

describe('DrainRate', () => {
  it('follows what was measured lately', () => {
    const rate = new DrainRate();
    expect(rate.bytesPerMs).toBeUndefined();
    rate.add(100, 10);
    expect(rate.bytesPerMs).toBe(10);
    rate.add(4000, 2000);
    expect(rate.bytesPerMs).toBeCloseTo(4100 / 2010, 1);
    for (let i = 0; i < 30; i++) rate.add(4000, 2000);
    expect(rate.bytesPerMs).toBeCloseTo(2, 2);
    rate.add(0, 100_000);
    expect(rate.bytesPerMs).toBeLessThan(0.01);
  });
});

describe('WriteGate', () => {
  // Half way a KiB costs half a millisecond.
  const kib = 1024;

  function newGate() {
    const clock = new ManualClock();
    const state = { used: 0 };
    return {
      clock,
      state,
      gate: new WriteGate(
        clock,
        () => [backlog(state.used, 2 * kib)],
        () => state.used >= 20,
      ),
    };
  }

  function waitsOf({ stats }: WriteGate): (number | undefined)[][] {
    return stats.writeWaits.filter(({ count }) => count > 0).map(({ msMax, count }) => [msMax, count]);
  }

  it('lets the writer pay for what it wrote, in pauses that a timer can keep', async () => {
    const { clock, state, gate } = newGate();
    gate.wrote(1000 * kib);
    expect(gate.stall()).toBeUndefined();
    state.used = 15;
    gate.wrote(kib);
    expect(gate.stall()).toBeUndefined();
    gate.wrote(7 * kib);
    const stall = gate.stall();
    expect(stall).toBeDefined();
    expect(gate.stall()).toBe(stall);
    clock.advance(3);
    expect(gate.stats.writeDelays).toBe(0);
    clock.advance(1);
    await stall;
    expect(gate.stall()).toBeUndefined();
    expect(gate.stats).toMatchObject({ writeDelays: 1, writeDelayMs: 4, stalls: 0, stallMs: 0 });
    expect(waitsOf(gate)).toEqual([[5, 1]]);
    expect(clock.timerCount).toBe(0);
  });

  it('ends a pause also where somebody wrote without waiting', async () => {
    const { clock, state, gate } = newGate();
    state.used = 15;
    gate.wrote(8 * kib);
    const stall = gate.stall();
    gate.wrote(8 * kib);
    clock.advance(4);
    expect(gate.stall()).toBe(stall);
    clock.advance(4);
    await stall;
    expect(gate.stall()).toBeUndefined();
  });

  it('stops at the end of a backlog and counts for how long', async () => {
    const { clock, state, gate } = newGate();
    state.used = 15;
    gate.wrote(20 * kib);
    const delayed = gate.stall();
    expect(delayed).toBeDefined();
    state.used = 20;
    const stopped = gate.stall();
    expect(stopped).not.toBe(delayed);
    await delayed;
    clock.advance(70);
    expect(gate.stall()).toBe(stopped);
    state.used = 0;
    gate.update();
    await stopped;
    expect(gate.stall()).toBeUndefined();
    expect(gate.stats).toMatchObject({ writeDelays: 1, stalls: 1, stallMs: 70 });
    expect(waitsOf(gate)).toEqual([
      [1, 1],
      [100, 1],
    ]);
    expect(clock.timerCount).toBe(0);
  });

  it('counts no time in which nobody wanted to write', () => {
    const { clock, state, gate } = newGate();
    state.used = 20;
    gate.update();
    clock.advance(5000);
    state.used = 15;
    gate.wrote(20 * kib);
    gate.update();
    clock.advance(5000);
    gate.update();
    expect(gate.stats).toMatchObject({ writeDelays: 0, writeDelayMs: 0, stalls: 0, stallMs: 0 });
    expect(waitsOf(gate)).toEqual([]);
    expect(clock.timerCount).toBe(0);
  });

  it('rejects whoever waits or asks when it is shut', async () => {
    const { clock, state, gate } = newGate();
    state.used = 15;
    gate.wrote(20 * kib);
    const waiting = expect(gate.stall()).rejects.toThrow('over');
    gate.shut(new Error('over'));
    gate.shut(new Error('again'));
    await waiting;
    await expect(gate.stall()).rejects.toThrow('over');
    expect(clock.timerCount).toBe(0);
    const idle = newGate().gate;
    idle.shut(new Error('over'));
    await expect(idle.stall()).rejects.toThrow('over');
  });
});
