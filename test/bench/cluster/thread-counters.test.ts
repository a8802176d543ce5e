import { expect, test } from 'vitest';
import { ThreadCounters } from '../../../bench/cluster/thread-counters.js';

test('what is added is read, times to the nanosecond', () => {
  const counters = new ThreadCounters();
  counters.addSync();
  counters.addSync();
  for (let i = 0; i < 10; i++) counters.addGc(0.1234);
  expect(counters.read()).toEqual({ syncs: 2, gcMs: 1.234 });
});
