import { expect, test } from 'vitest';
import { CommonStarts } from '../../src/shard/common-starts.js';

test('each that waits is started once, in order, and those that wait again meanwhile the next time', () => {
  const starts = new CommonStarts();
  const started: string[] = [];
  const one = (): void => void started.push('one');
  const again = (): void => {
    started.push('again');
    starts.wait(again);
  };
  for (const start of [one, again, one]) starts.wait(start);
  starts.startAll();
  expect(started).toEqual(['one', 'again']);
  starts.startAll();
  expect(started).toEqual(['one', 'again', 'again']);
});

test('one that is forgotten is not started', () => {
  const starts = new CommonStarts();
  const started: string[] = [];
  const one = (): void => void started.push('one');
  starts.wait(one);
  starts.forget(one);
  starts.startAll();
  expect(started).toEqual([]);
});
