import { setTimeout } from 'node:timers/promises';

import { expect, test } from 'vitest';
import { LoopWatch } from '../../../bench/cluster/loop-watch.js';

const stallMs = 60;

function stall(): void {
  const endMs = performance.now() + stallMs;
  while (performance.now() < endMs);
}

test('a stall is seen wherever it falls, and only by the look after it', async () => {
  const watch = new LoopWatch();
  expect(watch.look({ watches: true })).toBeUndefined();
  await setTimeout(25);
  stall();
  await setTimeout(1);
  expect(watch.look({ watches: true })?.loopDelayMsMax).toBeGreaterThan(stallMs - 20);
  expect(watch.look({ watches: false })?.loopDelayMsMax).toBe(0);
  expect(watch.look({ watches: false })).toBeUndefined();
});
