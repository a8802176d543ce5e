import { expect, it } from 'vitest';
import { deferred } from '../../src/base/promises.js';
import { inTime } from '../../src/env/in-time.js';
import { ManualClock } from '../lsm/harness.js';

const late = (): Error => new Error('late');

it('gives what comes in time, or why that failed', async () => {
  const clock = new ManualClock();
  const { signal } = new AbortController();
  expect(await inTime(Promise.resolve(1), { clock, ms: 10, signal, late })).toBe(1);
  const failing = inTime(Promise.reject(new Error('no')), { clock, ms: 10, signal, late });
  await expect(failing).rejects.toThrow('no');
});

it('ends when the time is over, and lets go of what comes later', async () => {
  const clock = new ManualClock();
  const { signal } = new AbortController();
  const { promise, reject } = deferred<number>();
  const ended = expect(inTime(promise, { clock, ms: 10, signal, late })).rejects.toThrow('late');
  clock.advance(10);
  await ended;
  reject(new Error('nobody hears this'));
});

it('ends with the reason of the signal, also where that was aborted before', async () => {
  const clock = new ManualClock();
  const closing = new AbortController();
  const options = { clock, ms: 10, signal: closing.signal, late };
  const under = expect(inTime(new Promise(() => undefined), options)).rejects.toThrow('closed');
  closing.abort(new Error('closed'));
  await under;
  await expect(inTime(new Promise(() => undefined), options)).rejects.toThrow('closed');
});
