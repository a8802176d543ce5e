/** A few live entries in old segments do not keep a long log: they are written again at its end. */
import { describe, expect, test } from 'vitest';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { batchHeaderBytes, recordHeaderBytes, segmentHeaderBytes } from '../../src/log/segment-format.js';
import type { SharedLog } from '../../src/log/shared-log.js';
import { contentOf, directory, entries, hardState, newDisk, openLog, settle, toText } from './support.js';

const busy = ShardId(1);
const quiet = ShardId(2);
const options = { segmentBytesMax: 1000, rewriteBytesMin: 12_000, cacheBytesMax: 0 };

function append(log: SharedLog, id: ShardId, first: number, count = 1, term = 1): Promise<void> {
  return log.append(id, { entries: entries(first, count, term, 100), mustSync: true });
}

/** The busy shard writes `count` entries, from `first` on, and drops each at once. */
async function writeAndDrop(log: SharedLog, first: number, count: number): Promise<void> {
  for (let index = first; index < first + count; index++) {
    await append(log, busy, index);
    log.group(busy).truncatePrefix(LogIndex(index), Term(1));
  }
  await settle();
}

test('a quiet shard keeps its entries, and not the log', async () => {
  const disk = newDisk();
  const log = await openLog(disk, options);
  await log.append(quiet, { hardState: hardState(3, 1, 0), entries: entries(1, 5, 3, 100), mustSync: true });
  for (let round = 0; round < 20; round++) {
    await writeAndDrop(log, 1 + round * 20, 20);
    expect(log.stats().bytes).toBeLessThan(options.rewriteBytesMin + 3 * options.segmentBytesMax);
  }
  // Each time the log had grown to its bound, of which the quiet shard's are a small part.
  expect(log.stats().rewrittenBytes).toBeGreaterThanOrEqual(1000);
  expect(log.stats().rewrittenBytes).toBeLessThan(15_000);
  const before = toText(await contentOf(log, quiet));
  disk.crash({ keep: 'none' });
  const reopened = await openLog(disk, options);
  expect(reopened.group(quiet)).toMatchObject({ firstIndex: 1, lastIndex: 5, hardState: { term: 3 } });
  expect(toText(await contentOf(reopened, quiet))).toBe(before);
  await reopened.close();
});

test('entries of many segments are rewritten in any order, piece by piece, and read and found as before', async () => {
  const disk = newDisk();
  const log = await openLog(disk, options);
  for (let index = 1; index <= 60; index++) {
    if (index % 6 === 0) await append(log, quiet, index / 6);
    await append(log, busy, index);
  }
  log.group(busy).truncatePrefix(LogIndex(60), Term(1));
  for (let round = 0; round < 12; round++) {
    await writeAndDrop(log, 61 + round * 20, 20);
    const whole = toText({
      firstIndex: 1,
      baseTerm: 0,
      entries: entries(1, 10, 1, 100),
      hardState: hardState(0, 0, 0),
    });
    expect(toText(await contentOf(log, quiet))).toBe(whole);
    // Killed at this moment, whatever of the old records is still there.
    const killed = await openLog(disk.clone(new Prng(round)), options);
    expect(toText(await contentOf(killed, quiet))).toBe(whole);
    await killed.close();
  }
  expect(log.stats().rewrittenBytes).toBeGreaterThan(2 * 10 * 100);
  await log.close();
});

test('a log that is mostly needed is left as it is', async () => {
  // Large enough that proofs, each in a block of its own, are not most of it.
  const larger = { ...options, segmentBytesMax: 20_000, rewriteBytesMin: 60_000 };
  const log = await openLog(newDisk(), larger);
  for (let index = 1; index <= 300; index++) {
    await append(log, quiet, 4 * index - 3, 4);
    await writeAndDrop(log, index, 1);
  }
  expect(log.stats()).toMatchObject({ rewrittenBytes: 0 });
  expect(log.stats().bytes).toBeGreaterThan(2 * larger.rewriteBytesMin);
  await log.close();
});

test('what is rewritten adds at most half to what is written, though segments come out half empty', async () => {
  const log = await openLog(newDisk(), { ...options, rewriteBytesMin: 0 });
  for (let index = 1; index <= 40; index++) {
    await append(log, quiet, index);
    await writeAndDrop(log, 10 * index - 9, 10);
  }
  const { rewrittenBytes, syncs } = log.stats();
  expect(rewrittenBytes).toBeGreaterThan(10_000);
  expect(rewrittenBytes).toBeLessThan((440 * 250) / 2);
  await settle();
  expect(log.stats()).toMatchObject({ rewrittenBytes, syncs });
  await log.close();
});

describe('while the old records are read', () => {
  /** A log with much to rewrite, whose disk stands still as soon as the old records are read. */
  async function reading(): Promise<{ disk: ReturnType<typeof newDisk>; log: SharedLog }> {
    const disk = newDisk();
    const log = await openLog(disk, { ...options, rewriteBytesMin: Infinity });
    await append(log, quiet, 1, 5);
    await writeAndDrop(log, 1, 100);
    await log.close();
    const reopened = await openLog(disk, options);
    disk.fault = (operation) => {
      if (operation === 'sync') disk.stall();
      return undefined;
    };
    await writeAndDrop(reopened, 101, 1);
    expect(reopened.stats().rewrittenBytes).toBe(0);
    disk.fault = undefined;
    return { disk, log: reopened };
  }

  const outcomes: [string, (log: SharedLog) => Promise<void> | undefined, number, number][] = [
    ['some are replaced', (log) => append(log, quiet, 4, 1, 2), 1, 4],
    ['some are dropped', (log) => void log.group(quiet).truncatePrefix(LogIndex(3), Term(1)), 4, 5],
    ['all are dropped', (log) => void log.group(quiet).truncatePrefix(LogIndex(5), Term(1)), 6, 5],
    ['another log takes their place', (log) => void log.group(quiet).truncatePrefix(LogIndex(4), Term(9)), 5, 4],
  ];
  test.each(outcomes)('%s, and stay so', async (_, change, firstIndex, lastIndex) => {
    const { disk, log } = await reading();
    const changed = change(log);
    disk.unstall();
    await changed;
    await settle();
    const rest = lastIndex < firstIndex ? 0 : 1;
    expect(log.stats().rewrittenBytes > 0).toBe(rest > 0);
    expect(log.stats().segments).toBeLessThan(5);
    const before = toText(await contentOf(log, quiet));
    expect(log.group(quiet)).toMatchObject({ firstIndex, lastIndex });
    disk.crash({ keep: 'none' });
    const reopened = await openLog(disk, options);
    expect(reopened.group(quiet)).toMatchObject({ firstIndex, lastIndex });
    expect(toText(await contentOf(reopened, quiet))).toContain(before.split('\n').slice(1).join('\n'));
    await reopened.close();
  });

  test('the log is closed, and waits for that', async () => {
    const { disk, log } = await reading();
    const closed = log.close();
    disk.unstall();
    await closed;
    expect(log.stats().rewrittenBytes).toBe(0);
    const reopened = await openLog(disk, { ...options, rewriteBytesMin: Infinity });
    expect(reopened.group(quiet)).toMatchObject({ firstIndex: 1, lastIndex: 5 });
    await reopened.close();
  });
});

test('rewritten entries that others replace afterwards do not come back', async () => {
  const disk = newDisk();
  const log = await openLog(disk, options);
  await append(log, quiet, 1, 5);
  await writeAndDrop(log, 1, 120);
  expect(log.stats().rewrittenBytes).toBeGreaterThan(0);
  await append(log, quiet, 3, 1, 2);
  await append(log, quiet, 4, 1, 2);
  disk.crash({ keep: 'none' });
  const reopened = await openLog(disk, options);
  const group = reopened.group(quiet);
  expect([1, 2, 3, 4, 5].map((index) => group.term(LogIndex(index)))).toEqual([1, 1, 2, 2, undefined]);
  await reopened.close();
});

test('nothing is rewritten on a full device: the reserve is for hard states', async () => {
  const disk = newDisk();
  const log = await openLog(disk, { ...options, rewriteBytesMin: Infinity });
  await append(log, quiet, 1, 5);
  await writeAndDrop(log, 1, 100);
  await log.close();
  const reopened = await openLog(disk, options);
  disk.quotaBytes = disk.usedBytes();
  const vote = (term: number): Promise<void> =>
    reopened.append(busy, { hardState: hardState(term, 1, 100), entries: [], mustSync: true });
  let term = 1;
  while (!reopened.isDiskFull) await vote(++term);
  const { rewrittenBytes } = reopened.stats();
  await vote(term + 1);
  await settle();
  expect(reopened.stats()).toMatchObject({ rewrittenBytes, isDiskFull: true });
  await reopened.close();
});

test('damage that is met ends the log, by file and offset', async () => {
  const disk = newDisk();
  const log = await openLog(disk, options);
  await append(log, quiet, 1, 5);
  const file = `${directory}/0000000001.log`;
  disk.corrupt(file, segmentHeaderBytes + batchHeaderBytes + recordHeaderBytes + 10);
  await expect(writeAndDrop(log, 1, 200)).rejects.toMatchObject({
    name: 'CorruptionError',
    file,
    offset: segmentHeaderBytes + batchHeaderBytes,
  });
  expect(log.failed).toMatchObject({ name: 'CorruptionError', file });
  await log.close();
});
