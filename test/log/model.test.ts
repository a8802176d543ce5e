/** The shared log against its naive twin: random operations of several groups, with restarts. */
import { describe, expect, test } from 'vitest';
import { LogIndex, ShardId } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import type { SharedLog } from '../../src/log/shared-log.js';
import { NaiveLog } from './naive-log.js';
import { contentOf, newDisk, openLog, perform, toText } from './support.js';

const shards = [0, 1, 7, 1_000_000];

function expectView(log: SharedLog, naive: NaiveLog, shard: number, random: Prng): void {
  const group = log.group(ShardId(shard));
  const expected = naive.content(shard);
  expect(group.firstIndex).toBe(expected.firstIndex);
  expect(group.lastIndex).toBe(expected.firstIndex - 1 + expected.entries.length);
  expect(group.hardState).toEqual(expected.hardState);
  expect(group.term(LogIndex(expected.firstIndex - 1))).toBe(expected.baseTerm);
  expect(group.term(LogIndex(group.lastIndex + 1))).toBeUndefined();
  const terms = expected.entries.map((entry) => group.term(entry.index));
  expect(terms.join()).toBe(expected.entries.map((entry) => entry.term).join());
  if (expected.entries.length === 0) return;
  const from = random.int(group.firstIndex, group.lastIndex);
  const inMemory = group.entries(LogIndex(from), group.lastIndex, Infinity);
  if (inMemory !== undefined) {
    const rest = expected.entries.slice(from - expected.firstIndex);
    expect(toText({ ...expected, entries: inMemory })).toBe(toText({ ...expected, entries: rest }));
  }
}

describe.each([1, 2, 3, 4, 5, 6])('seed %i', (seed) => {
  test('the log and its twin agree, over restarts too', async () => {
    const random = new Prng(seed);
    const disk = newDisk(seed);
    const naive = new NaiveLog();
    const options = {
      segmentBytesMax: random.pick([600, 2000, 8000]),
      cacheBytesMax: random.pick([0, 500, 5000]),
      rewriteBytesMin: random.pick([0, 0, Infinity]),
      spareSegmentsMax: random.pick([0, 1, 4]),
    };
    let log = await openLog(disk, options);
    for (let step = 0; step < 200; step++) {
      const shard = random.pick(shards);
      const operation = naive.next(random, shard);
      naive.apply(operation);
      const done = perform(log, operation);
      if (random.chance(0.3)) await done;
      expectView(log, naive, shard, random);
      if (random.chance(0.05)) expect(toText(await contentOf(log, shard))).toBe(toText(naive.content(shard)));
      if (!random.chance(0.02)) continue;
      await log.close();
      // A raised commit is what the log would have been told next.
      for (const id of shards) naive.apply({ type: 'commit', shard: id, hardState: naive.recovered(id).hardState });
      log = await openLog(disk, options);
      for (const id of shards) expect(toText(await contentOf(log, id))).toBe(toText(naive.content(id)));
    }
    for (const id of shards) expect(toText(await contentOf(log, id))).toBe(toText(naive.content(id)));
    await log.close();
  });
});
