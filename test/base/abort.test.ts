import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { onAbort } from '../../src/base/abort.js';
import { inTime } from '../../src/env/in-time.js';
import { pause } from '../../src/env/pause.js';
import { ManualClock } from '../lsm/harness.js';

function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length;
}

it('many may wait on one signal: it has one listener, of which nobody warns, and none when the last has gone', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  const clock = new ManualClock();
  const closing = new AbortController();
  const { signal } = closing;
  const late = (): Error => new Error('late');
  const paused = Array.from({ length: 20 }, () => pause(clock, 10, signal));
  const limited = Array.from({ length: 20 }, () => inTime(Promise.resolve(1), { clock, ms: 20, signal, late }));
  expect(listeners(signal)).toBe(1);
  clock.advance(10);
  await Promise.all([...paused, ...limited]);
  expect(listeners(signal)).toBe(0);

  const ended = Array.from({ length: 20 }, () => expect(pause(clock, 10, signal)).rejects.toThrow('closed'));
  closing.abort(new Error('closed'));
  await Promise.all(ended);
  expect(listeners(signal)).toBe(0);
  // Node warns in a turn of its own.
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});

it('what waits ends once, in the order in which it came; not what waits no more, nor what another has ended', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const ended: string[] = [];
  onAbort(signal, () => {
    ended.push('first');
    stopThird();
  });
  const stopSecond = onAbort(signal, () => ended.push('second'));
  const stopThird = onAbort(signal, () => ended.push('third'));
  const same = (): void => void ended.push('same');
  onAbort(signal, same);
  const stopSame = onAbort(signal, same);
  stopSecond();
  stopSecond();
  stopSame();
  controller.abort();
  expect(ended).toEqual(['first', 'same']);
  onAbort(signal, () => ended.push('late'));
  expect(ended.at(-1)).toBe('late');
});
