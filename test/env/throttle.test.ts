import { describe, expect, it } from 'vitest';
import { Throttle } from '../../src/env/throttle.js';
import { ManualClock } from '../lsm/harness.js';

const open = new AbortController().signal;

/** 1000 bytes a second, and so a byte a millisecond. */
function newThrottle(): { clock: ManualClock; throttle: Throttle } {
  const clock = new ManualClock();
  return { clock, throttle: new Throttle({ bytesPerSecondMax: 1000, clock }) };
}

/** Whether it has resolved; asked after all that is ready has run. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.then(() => (done = true));
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}

describe('Throttle', () => {
  it('has work wait until what was before it is paid for', async () => {
    const { clock, throttle } = newThrottle();
    await throttle.admit(100, open);
    const second = throttle.admit(50, open);
    const third = throttle.admit(1, open);
    clock.advance(99);
    expect(await isDone(second)).toBe(false);
    clock.advance(1);
    expect(await isDone(second)).toBe(true);
    clock.advance(49);
    expect(await isDone(third)).toBe(false);
    clock.advance(1);
    expect(await isDone(third)).toBe(true);
  });

  it('saves nothing up', async () => {
    const { clock, throttle } = newThrottle();
    clock.advance(10_000);
    await throttle.admit(100, open);
    const second = throttle.admit(1, open);
    clock.advance(99);
    expect(await isDone(second)).toBe(false);
    clock.advance(1);
    expect(await isDone(second)).toBe(true);
  });

  it('has work pay for what did not wait', async () => {
    const { clock, throttle } = newThrottle();
    throttle.charge(70);
    const next = throttle.admit(10, open);
    clock.advance(69);
    expect(await isDone(next)).toBe(false);
    clock.advance(1);
    expect(await isDone(next)).toBe(true);
  });

  it('takes back what was not taken', async () => {
    const { clock, throttle } = newThrottle();
    await throttle.admit(100, open);
    throttle.giveBack(60);
    const second = throttle.admit(1, open);
    clock.advance(40);
    expect(await isDone(second)).toBe(true);
  });

  it('ends the wait of who does not want to any more, and charges nothing', async () => {
    const { clock, throttle } = newThrottle();
    await throttle.admit(100, open);
    const closing = new AbortController();
    const given = throttle.admit(500, closing.signal);
    closing.abort(new Error('closed'));
    await expect(given).rejects.toThrow('closed');
    expect(clock.timerCount).toBe(0);
    const next = throttle.admit(1, open);
    clock.advance(100);
    expect(await isDone(next)).toBe(true);
  });
});
