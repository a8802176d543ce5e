import { expect, test } from 'vitest';
import { setImmediate } from 'node:timers/promises';
import { ShardId } from '../../src/base/ids.js';
import { deferred } from '../../src/base/promises.js';
import { silentLogger } from '../../src/env/logger.js';
import { LookupWatch } from '../../src/shard/lookup-watch.js';
import { ManualClock } from '../lsm/harness.js';

/** `stalls`: when leadership was to be handed over. */
function watched(): { clock: ManualClock; watch: LookupWatch; stalls: number[] } {
  const clock = new ManualClock();
  const stalls: number[] = [];
  const transferLeadership = (): boolean => stalls.push(clock.monotonicMs()) > 1;
  const replica = { shard: ShardId(1), transferLeadership };
  return { clock, stalls, watch: new LookupWatch({ clock, logger: silentLogger, replica }) };
}

test('lookups that end, however many are under way, are no stall', async () => {
  const { clock, watch, stalls } = watched();
  void watch.watch(deferred<void>().promise);
  for (let i = 0; i < 10; i++) {
    const lookup = deferred<void>();
    void watch.watch(lookup.promise);
    clock.advance(4000);
    lookup.resolve(undefined);
    await setImmediate();
  }
  expect(stalls).toEqual([]);
});

test('five seconds without the end of any are one, and each further five another', async () => {
  const { clock, watch, stalls } = watched();
  const lookup = deferred<number>();
  const result = watch.watch(lookup.promise);
  const startMs = clock.monotonicMs();
  clock.advance(4999);
  expect(stalls).toEqual([]);
  clock.advance(1);
  clock.advance(5000);
  expect(stalls.map((atMs) => atMs - startMs)).toEqual([5000, 10_000]);
  lookup.resolve(7);
  expect(await result).toBe(7);
  clock.advance(20_000);
  expect(stalls).toHaveLength(2);
});

test('what is there already is handed on, and nothing waits for it', () => {
  const { watch } = watched();
  expect(watch.watch(7)).toBe(7);
});
