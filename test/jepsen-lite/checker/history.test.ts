import { describe, expect, test } from 'vitest';
import { HistoryError, HistoryRecorder } from '../../../jepsen-lite/checker/check.js';

const recorderAt = (times: number[]): HistoryRecorder<string, string> =>
  new HistoryRecorder({ now: () => times.shift() ?? 0 });

describe('HistoryRecorder', () => {
  test('records what was called and answered, with the times of the clock', () => {
    const recorder = recorderAt([10, 20, 30]);
    const first = recorder.call({ client: 1, key: 'k', input: 'in' });
    recorder.call({ client: 2, input: 'open' });
    recorder.return(first, 'out');
    expect(recorder.history()).toEqual([
      { client: 1, key: 'k', call: 10, return: 30, input: 'in', output: 'out' },
      { client: 2, call: 20, return: undefined, input: 'open', output: undefined },
    ]);
    expect(recorder.openCount).toBe(1);
  });

  test('keeps the order of events when the clock stands still or goes back', () => {
    const recorder = recorderAt([5, 5, 3]);
    const first = recorder.call({ client: 1, input: 'a' });
    recorder.return(first, 'done');
    recorder.call({ client: 1, input: 'b' });
    const [a, b] = recorder.history();
    expect(a.call).toBe(5);
    expect(a.return).toBeGreaterThan(5);
    expect(b.call).toBeGreaterThan(a.return ?? Infinity);
  });

  test('forgets what was not applied and keeps what is unknown', () => {
    const recorder = recorderAt([1, 2]);
    recorder.notApplied(recorder.call({ client: 1, input: 'refused' }));
    recorder.unknown(recorder.call({ client: 1, input: 'timed out' }));
    expect(recorder.history().map(({ input, return: end }) => [input, end])).toEqual([['timed out', undefined]]);
    expect(recorder.openCount).toBe(0);
  });

  test('refuses a second end of an operation', () => {
    const recorder = recorderAt([1, 2]);
    const handle = recorder.call({ client: 1, input: 'a' });
    recorder.return(handle, 'b');
    expect(() => recorder.unknown(handle)).toThrow(HistoryError);
  });

  test('hands out histories that later events do not change', () => {
    const recorder = recorderAt([1, 2]);
    const handle = recorder.call({ client: 1, input: 'a' });
    const before = recorder.history();
    recorder.return(handle, 'b');
    expect(before[0].return).toBeUndefined();
  });
});
