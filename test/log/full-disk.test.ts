/** A device without room: the log lives on what it has set aside, says so, and goes on when there is room again. */
import { describe, expect, test } from 'vitest';
import { ShardId } from '../../src/base/ids.js';
import { DiskError } from '../../src/env/disk.js';
import { batchHeaderBytes, segmentHeaderBytes } from '../../src/log/segment-format.js';
import { BatchEncoder } from '../../src/log/segment-writer.js';
import type { SharedLog } from '../../src/log/shared-log.js';
import type { CrashKeeps, SimDisk } from '../../src/sim/disk.js';
import { directory, entries, hardState, newDisk, openLog, settle } from './support.js';

const one = ShardId(1);
const mib = 1024 * 1024;

function append(log: SharedLog, first: number, bytes: number): Promise<void> {
  return log.append(one, { entries: entries(first, 1, 1, bytes), mustSync: true });
}

function vote(log: SharedLog, term: number): Promise<void> {
  return log.append(one, { hardState: hardState(term, 1, 0), entries: [], mustSync: true });
}

test('a full disk is told as such; small batches live on the reserve before the log fails', async () => {
  const disk = newDisk();
  const log = await openLog(disk, { segmentBytesMax: 4 * mib });
  await append(log, 1, 20);
  disk.quotaBytes = disk.usedBytes();
  await append(log, 2, mib - 40_000);
  expect(log.isDiskFull).toBe(true);
  await vote(log, 2);
  await expect(append(log, 3, 100_000)).rejects.toMatchObject({ name: 'DiskError', code: 'noSpace' });
  expect(log.failed).toMatchObject({ code: 'noSpace' });
  await log.close();
  disk.quotaBytes = Infinity;
  disk.crash({ keep: 'none' });
  const reopened = await openLog(disk);
  expect(reopened.group(one)).toMatchObject({ lastIndex: 2, hardState: { term: 2 } });
  await reopened.close();
});

test('it is over when the log can grow again', async () => {
  const disk = newDisk();
  const log = await openLog(disk, { segmentBytesMax: 4 * mib });
  disk.quotaBytes = disk.usedBytes();
  await append(log, 1, mib - 40_000);
  expect(log.isDiskFull).toBe(true);
  disk.quotaBytes = Infinity;
  await append(log, 2, 100_000);
  expect(log.isDiskFull).toBe(false);
  await log.close();
});

test.each([
  ['in the middle of a segment', 4 * mib],
  ['at the end of one', mib],
])('looking for room costs none of the reserve: %s', async (_, segmentBytesMax) => {
  const disk = newDisk();
  const log = await openLog(disk, { segmentBytesMax });
  disk.quotaBytes = disk.usedBytes();
  await append(log, 1, mib - 40_000);
  await vote(log, 2);
  expect(log.isDiskFull).toBe(true);
  for (let i = 0; i < 2000; i++) {
    log.lookForSpace();
    await settle();
  }
  await vote(log, 3);
  expect(log.isDiskFull).toBe(true);
  disk.quotaBytes = Infinity;
  log.lookForSpace();
  await settle();
  expect(log.isDiskFull).toBe(false);
  await append(log, 2, 100_000);
  disk.crash({ keep: 'none' });
  const reopened = await openLog(disk, { segmentBytesMax });
  expect(reopened.group(one)).toMatchObject({ lastIndex: 2, hardState: { term: 3 } });
  await reopened.close();
});

test('the proof of the last batch may be refused: nothing was promised with it', async () => {
  const disk = newDisk();
  const log = await openLog(disk);
  await append(log, 1, 20);
  let refused = 0;
  disk.fault = (operation) => {
    if (operation !== 'write') return undefined;
    refused++;
    return 'noSpace';
  };
  for (let i = 0; i < 3; i++) {
    log.tick();
    await settle();
  }
  disk.fault = undefined;
  expect(refused).toBe(1);
  await append(log, 2, 20);
  expect(log.failed).toBeUndefined();
  await log.close();
});

describe('a log that is opened on a full disk', () => {
  const segmentBytesMax = 4 * mib;

  test('lives on its reserve, where there is room for one, and grows when there is more', async () => {
    const disk = newDisk();
    const log = await openLog(disk, { segmentBytesMax });
    await append(log, 1, 1000);
    await log.close();
    disk.quotaBytes = disk.usedBytes() + 100_000;
    const reopened = await openLog(disk, { segmentBytesMax });
    await vote(reopened, 2);
    expect(reopened.isDiskFull).toBe(true);
    disk.quotaBytes = Infinity;
    await append(reopened, 2, 100_000);
    expect(reopened.isDiskFull).toBe(false);
    disk.crash({ keep: 'none' });
    const last = await openLog(disk, { segmentBytesMax });
    expect(last.group(one)).toMatchObject({ lastIndex: 2, hardState: { term: 2 } });
    await last.close();
  });

  test('says how much it needs where there is none, and leaves nothing behind', async () => {
    const disk = newDisk();
    const log = await openLog(disk, { segmentBytesMax });
    await append(log, 1, 1000);
    await log.close();
    const before = disk.paths();
    disk.quotaBytes = disk.usedBytes() + 10_000;
    const reopening = openLog(disk, { segmentBytesMax });
    await expect(reopening).rejects.toMatchObject({ name: 'DiskError', code: 'noSpace' });
    await expect(reopening).rejects.toThrow(/the log needs 655\d\d free bytes/);
    expect(disk.paths()).toEqual(before);
    disk.quotaBytes = Infinity;
    const last = await openLog(disk, { segmentBytesMax });
    expect(last.group(one).lastIndex).toBe(1);
    await last.close();
  });
});

describe('when a new segment is due and the disk is full', () => {
  const segmentBytesMax = 8192;
  /** What the log counts for a batch with one hard state. */
  const voteBytes = 48 + batchHeaderBytes;

  /** Bytes of a batch that holds nothing but this entry. */
  function batchBytes(index: number, dataBytes: number): number {
    const encoder = new BatchEncoder();
    encoder.begin({ segment: 1, offset: segmentHeaderBytes, sequence: index });
    encoder.entries('entries', one, entries(index, 1, 1, dataBytes));
    return encoder.finish().length;
  }

  /** Fills a segment, with one batch, until `leftBytes` are left; and then the disk, until `freeBytes` are. */
  async function fill(disk: SimDisk, leftBytes: number, freeBytes = 0): Promise<SharedLog> {
    const log = await openLog(disk, { segmentBytesMax });
    const usableBytes = segmentBytesMax - segmentHeaderBytes - leftBytes;
    const dataBytes = usableBytes - (batchBytes(1, 1000) - 1000);
    expect(batchBytes(1, dataBytes)).toBe(usableBytes);
    await append(log, 1, dataBytes);
    disk.quotaBytes = disk.usedBytes() + freeBytes;
    return log;
  }

  test.each([
    ['one byte more than the next batch needs', voteBytes + 1, false],
    ['what the next batch needs', voteBytes, false],
    ['one byte less', voteBytes - 1, true],
    ['one byte', 1, true],
    ['nothing', 0, true],
  ])('with room for %s, the log lives on', async (_, leftBytes, isFullAtOnce) => {
    const disk = newDisk();
    const log = await fill(disk, leftBytes);
    await vote(log, 2);
    expect(log.isDiskFull).toBe(isFullAtOnce);
    await vote(log, 3);
    await vote(log, 4);
    expect(log.stats()).toMatchObject({ segments: 1, isDiskFull: true });
    expect(await disk.list(directory)).toHaveLength(1);
    disk.quotaBytes = Infinity;
    await append(log, 2, 20);
    expect(log.stats()).toMatchObject({ segments: 2, isDiskFull: false });
    disk.crash({ keep: 'none' });
    const reopened = await openLog(disk, { segmentBytesMax });
    expect(reopened.group(one)).toMatchObject({ lastIndex: 2, hardState: { term: 4 } });
    await reopened.close();
  });

  test('the log fails once the reserve is used up, and has what it acknowledged', async () => {
    const disk = newDisk();
    const log = await fill(disk, 0);
    let term = 1;
    const failure = await (async () => {
      for (; term < 1000; term++) await vote(log, term);
      return undefined;
    })().catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'DiskError', code: 'noSpace' });
    expect(term).toBeGreaterThan(10);
    await log.close();
    disk.quotaBytes = Infinity;
    disk.crash({ keep: 'none' });
    const reopened = await openLog(disk, { segmentBytesMax });
    expect(reopened.group(one)).toMatchObject({ lastIndex: 1, hardState: { term: term - 1 } });
    await reopened.close();
  });

  // Room for the header of a segment, but not for a segment: a crash may bring back what was removed.
  const freeBytes = 2 * segmentHeaderBytes;
  test.each<CrashKeeps>(['random', 'none', 'all'])(
    'nothing acknowledged is lost, wherever it crashes, keeping %s',
    async (keep) => {
      for (let n = 1, isOver = false; !isOver; n++) {
        for (let seed = 0; seed < 20; seed++) {
          const disk = newDisk(100 * n + seed);
          const log = await fill(disk, 10, freeBytes);
          const crashAt = disk.operationCount + n;
          disk.crashAtOperation = crashAt;
          let acknowledged = 0;
          try {
            for (let term = 1; term <= 3; term++) {
              await vote(log, term);
              acknowledged = term;
            }
            isOver = disk.operationCount < crashAt;
          } catch (error) {
            if (!(error instanceof DiskError && error.code === 'crashed')) throw error;
          }
          disk.crash({ keep });
          disk.quotaBytes = Infinity;
          const reopened = await openLog(disk, { segmentBytesMax });
          expect(reopened.group(one).lastIndex).toBe(1);
          expect(reopened.group(one).hardState.term).toBeGreaterThanOrEqual(acknowledged);
          await reopened.close();
        }
        expect(n).toBeLessThan(100);
      }
    },
  );
});
