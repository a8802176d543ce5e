/** Segments that are no longer needed are overwritten by new ones, and what they held before is never taken for anything. */
import { describe, expect, test } from 'vitest';
import { CorruptionError } from '../../src/base/errors.js';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { silentLogger, type Logger } from '../../src/env/logger.js';
import { SegmentFile } from '../../src/log/segment-file.js';
import { recoveryPointName } from '../../src/log/recovery-point.js';
import { batchHeaderAt, batchHeaderBytes, segmentHeaderBytes, segmentName } from '../../src/log/segment-format.js';
import type { SharedLog, SharedLogOptions } from '../../src/log/shared-log.js';
import { SpareSegments } from '../../src/log/spare-segments.js';
import { sectorBytes } from '../../src/sim/file-state.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { contentOf, directory, entries, hardState, newDisk, openLog, settle, toText } from './support.js';

const busy = ShardId(1);
const quiet = ShardId(2);
const mib = 1024 * 1024;
const options = { segmentBytesMax: 1000, spareSegmentsMax: 2, cacheBytesMax: 0 };

function append(log: SharedLog, index: number, bytes = 100): Promise<void> {
  return log.append(busy, { entries: entries(index, 1, 1, bytes), mustSync: true });
}

/** Entries of which each is dropped at once; all batches that are not for segments are of one size. */
async function writeAndDrop(log: SharedLog, first: number, count: number, bytes = 100): Promise<void> {
  for (let index = first; index < first + count; index++) {
    await append(log, index, bytes);
    log.group(busy).truncatePrefix(LogIndex(index), Term(1));
    await settle();
  }
}

async function read(disk: SimDisk, more: Partial<SharedLogOptions> = {}): Promise<string> {
  const log = await openLog(disk, { ...options, ...more });
  const texts: string[] = [];
  for (const id of [busy, quiet]) texts.push(toText(await contentOf(log, id)));
  await log.close();
  return texts.join('\n');
}

/** Of segments and spares. */
async function names(disk: SimDisk): Promise<string[]> {
  return (await disk.list(directory)).filter((name) => name !== recoveryPointName);
}

/** The newest segment, and where what it holds ends: behind the last batch. */
function newest(disk: SimDisk): { readonly path: string; readonly segment: number; readonly batches: number[] } {
  const path = disk.paths().findLast((name) => name.endsWith('.log')) ?? '';
  const segment = Number(path.slice(path.lastIndexOf('/') + 1, -4));
  const bytes = disk.content(path);
  const batches = [segmentHeaderBytes];
  for (;;) {
    const header = batchHeaderAt(bytes, batches[batches.length - 1], segment);
    if (header === undefined || header.bodyBytes === 0) return { path, segment, batches };
    batches.push(header.offset + batchHeaderBytes + header.bodyBytes);
  }
}

describe('a segment that is no longer needed', () => {
  test('is kept under another name, and overwritten by the next one; a few are, and the others removed', async () => {
    const disk = newDisk();
    const log = await openLog(disk, { ...options, segmentBytesMax: 4000 });
    for (let index = 1; index <= 120; index++) await append(log, index);
    const long = log.stats();
    expect(long).toMatchObject({ recycledSegments: 0, spareBytes: 0 });
    expect(long.segments).toBeGreaterThan(4);
    log.group(busy).truncatePrefix(LogIndex(120), Term(1));
    await settle();
    expect((await names(disk)).filter((name) => name.endsWith('.spare'))).toEqual([
      '0000000001.spare',
      '0000000002.spare',
    ]);
    const { segments, spareBytes } = log.stats();
    expect(segments).toBe(1);
    expect(spareBytes).toBe(disk.content(`${directory}/0000000001.spare`).length * 2);
    const usedBytes = disk.usedBytes();
    for (let index = 121; log.stats().segments < 3; index++) await append(log, index);
    expect(log.stats()).toMatchObject({ recycledSegments: 2, spareBytes: 0 });
    expect((await names(disk)).filter((name) => name.endsWith('.spare'))).toEqual([]);
    expect(disk.usedBytes()).toBeLessThan(usedBytes + 2000);
    await log.close();
    expect(await read(disk)).toContain('121 in term 1');
  });

  test('is removed where none is to be kept', async () => {
    const disk = newDisk();
    const log = await openLog(disk, { ...options, spareSegmentsMax: 0 });
    await writeAndDrop(log, 1, 30);
    expect(log.stats()).toMatchObject({ recycledSegments: 0, spareBytes: 0, segments: 1 });
    expect(await names(disk)).toHaveLength(1);
    await log.close();
  });

  test('is removed where it is larger than a segment should be', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    await writeAndDrop(log, 1, 1, 100_000);
    await writeAndDrop(log, 2, 1);
    expect(log.stats()).toMatchObject({ spareBytes: 0, segments: 1 });
    await log.close();
  });

  test('is not overwritten while it is read', async () => {
    const disk = newDisk();
    await disk.makeDirectory(directory);
    const file = await SegmentFile.create(disk, directory, { segment: 1, firstBatch: 1 }, 1000);
    const spares = new SpareSegments({ disk, directory, logger: silentLogger, ...options });
    const done = file.retainForRead();
    const retired = spares.retire([file], { keep: true });
    await settle();
    expect(spares.take()).toBeUndefined();
    expect(await names(disk)).toEqual([segmentName(1)]);
    done();
    await retired;
    expect(spares.take()).toEqual({ path: `${directory}/0000000001.spare`, bytes: 1000 });
  });

  test('of which nobody knows under which name it is durable ends the log, and is never overwritten', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    await log.append(quiet, { hardState: hardState(1, 2, 0), entries: [], mustSync: true });
    for (let index = 1; index <= 6; index++) await append(log, index);
    expect(log.stats().segments).toBe(2);
    disk.fault = (operation) => (operation === 'syncDirectory' ? 'io' : undefined);
    log.group(busy).truncatePrefix(LogIndex(6), Term(1));
    await settle();
    expect(log.failed).toMatchObject({ name: 'DiskError', code: 'io' });
    expect(log.stats().spareBytes).toBe(0);
    disk.fault = undefined;
    await log.close();
    disk.crash({ keep: 'none' });
    expect(await names(disk)).toEqual([segmentName(1), segmentName(2)]);
    expect(await read(disk)).toContain('from 7 after 1');
  });
});

describe('a start', () => {
  test('removes what was kept to be overwritten, whatever it holds', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    await writeAndDrop(log, 1, 30);
    await append(log, 31);
    expect(log.stats().spareBytes).toBeGreaterThan(0);
    await log.close();
    const expected = await read(disk.clone(new Prng(1)));
    const spare = (await names(disk)).find((name) => name.endsWith('.spare')) ?? '';
    const { path, segment } = newest(disk);
    // One that was to be the next segment, and has its header already.
    disk.overwrite(`${directory}/${spare}`, 0, disk.content(path).subarray(0, 400));
    expect(await read(disk)).toBe(expected);
    expect(await names(disk)).toEqual([segmentName(segment), segmentName(segment + 1)]);
  });

  test('takes a file that has its new name and not its new header for one that was never begun', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    await writeAndDrop(log, 1, 30);
    await append(log, 31);
    await log.close();
    const expected = await read(disk.clone(new Prng(1)));
    const spare = (await names(disk)).find((name) => name.endsWith('.spare')) ?? '';
    await disk.rename(`${directory}/${spare}`, `${directory}/${segmentName(newest(disk).segment + 1)}`);
    expect(await read(disk)).toBe(expected);
  });

  test('says that a batch was torn where one was, and not where the rest is of an older segment', async () => {
    const warnings: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) };
    const disk = newDisk();
    const log = await openLog(disk, options);
    await writeAndDrop(log, 1, 30);
    expect(log.stats().recycledSegments).toBeGreaterThan(1);
    disk.crash({ keep: 'all' });
    const { path, batches } = newest(disk);
    expect(
      disk
        .content(path)
        .subarray(batches.at(-1), 900)
        .some((byte) => byte !== 0),
    ).toBe(true);
    await read(disk.clone(new Prng(1)), { logger });
    expect(warnings).toEqual([]);
    disk.corrupt(path, batches[batches.length - 2] + batchHeaderBytes + 10);
    await read(disk, { logger });
    expect(warnings).toEqual(['cut a torn batch off the log']);
  });
});

/** A log whose newest segment is in the third life of its file at least, with batches where the lives before had some. */
async function recycledTwice(): Promise<{ disk: SimDisk; log: SharedLog; next: number }> {
  const disk = newDisk();
  const log = await openLog(disk, { ...options, spareSegmentsMax: 1 });
  await log.append(quiet, { hardState: hardState(1, 2, 0), entries: entries(1, 1, 1), mustSync: true });
  log.group(quiet).truncatePrefix(LogIndex(1), Term(1));
  await writeAndDrop(log, 1, 40);
  expect(log.stats().recycledSegments).toBeGreaterThan(4);
  let next = 41;
  // Until one is begun.
  for (const { segment } = newest(disk); newest(disk).segment === segment; next++) await writeAndDrop(log, next, 1);
  await append(log, next++);
  return { disk, log, next };
}

describe('what a file held before', () => {
  test('is found there, and no batch of it counts: nor as proof', async () => {
    const { disk, log } = await recycledTwice();
    const expected = toText(await contentOf(log, busy))
      .split('\n')
      .slice(1);
    disk.crash({ keep: 'none' });
    const { path, segment, batches } = newest(disk);
    const bytes = disk.content(path);
    const older = Array.from({ length: segment - 1 }, (_, i) => i + 1).filter((life) =>
      Array.from(bytes.keys()).some((at) => batchHeaderAt(bytes, at, life) !== undefined),
    );
    expect(older.length).toBeGreaterThan(0);
    expect(batches.length).toBeGreaterThan(1);
    const found = (await read(disk)).split('\n');
    expect(found.slice(1, -1)).toEqual(expected);
    expect(found.at(-1)).toBe('from 2 after 1; 1/2/1');
  });

  test('takes the place of what is torn off the last batch, anywhere, and the batch counts as torn', async () => {
    const { disk, log, next } = await recycledTwice();
    const { path } = newest(disk);
    const before = disk.content(path);
    const expected = await read(disk.clone(new Prng(1)));
    await append(log, next);
    disk.crash({ keep: 'none' });
    expect(newest(disk).path).toBe(path);
    const whole = disk.content(path);
    const [from, end] = newest(disk).batches.slice(-2);
    expect(before.subarray(from, end).some((byte) => byte !== 0)).toBe(true);
    for (let cut = from; cut < end; cut++) {
      const head = disk.clone(new Prng(1));
      head.overwrite(path, cut, before.subarray(cut, end));
      // What was there before may happen to be the very byte.
      const isWhole = before.subarray(cut, end).every((byte, i) => byte === whole[cut + i]);
      if (!isWhole) expect(await read(head), `nothing from ${cut} on`).toBe(expected);
      const tail = disk.clone(new Prng(1));
      tail.overwrite(path, from, before.subarray(from, cut + 1));
      if (before[from] !== whole[from]) expect(await read(tail), `nothing up to ${cut}`).toBe(expected);
    }
    expect(end - from).toBeLessThan(sectorBytes);
  });

  test('is no part of a torn batch though it is whole records at their very place', async () => {
    const disk = newDisk();
    const log = await openLog(disk, { ...options, spareSegmentsMax: 1 });
    for (let index = 1; log.stats().segments < 2; index++) await append(log, index);
    const before = disk.content(`${directory}/${segmentName(1)}`);
    log.group(busy).truncatePrefix(LogIndex(log.group(busy).lastIndex), Term(1));
    await settle();
    const dropped = log.group(busy).lastIndex;
    for (let index = dropped + 1; log.stats().recycledSegments === 0; index++) await append(log, index);
    const { lastIndex } = log.group(busy);
    disk.crash({ keep: 'none' });
    const { path, segment, batches } = newest(disk);
    const [from, end] = batches;
    expect(segment).toBe(3);
    // Of the first batch in the first life of the file and of this one everything but the records is alike.
    expect(batchHeaderAt(before, from, 1)?.bodyBytes).toBe(end - from - batchHeaderBytes);
    expect(await read(disk.clone(new Prng(1)))).toContain(`\n${lastIndex} in term 1`);
    disk.overwrite(path, from + batchHeaderBytes, before.subarray(from + batchHeaderBytes, end));
    const found = await read(disk);
    expect(found).toContain(`\n${lastIndex - 1} in term 1`);
    expect(found).not.toContain(`\n${lastIndex} in term 1`);
  });

  test('hides no damage: a flipped bit anywhere is refused, or hurts nothing', async () => {
    const { disk, log } = await recycledTwice();
    await log.close();
    const expected = await read(disk.clone(new Prng(1)));
    const random = new Prng(7);
    let refused = 0;
    for (const path of disk.paths()) {
      const { length } = disk.content(path);
      for (let offset = 0; offset < Math.min(length, 5000); offset++) {
        const damaged = disk.clone(new Prng(1));
        damaged.corrupt(path, offset, 1 << random.int(0, 7));
        const outcome = await read(damaged).catch((error: unknown) => error);
        if (outcome === expected) continue;
        expect(outcome, `${path} at ${offset}`).toBeInstanceOf(CorruptionError);
        refused++;
      }
    }
    expect(disk.paths().filter((path) => path.endsWith('.log'))).toHaveLength(1);
    expect(refused, 'every used byte, and none else').toBe(newest(disk).batches.at(-1));
  });
});

describe('on a full disk', () => {
  const larger = { ...options, segmentBytesMax: 4 * mib };

  /** A log of three segments of about a MiB each, of which the newest holds nothing yet. */
  async function threeSegments(): Promise<{ disk: SimDisk; log: SharedLog }> {
    const disk = newDisk();
    for (let i = 0; i < 2; i++) {
      const log = await openLog(disk, larger);
      await append(log, i + 1);
      await log.close();
    }
    return { disk, log: await openLog(disk, larger) };
  }

  /** The first two have become spare, and the disk has no more room. */
  async function fullWithSpares(): Promise<{ disk: SimDisk; log: SharedLog }> {
    const { disk, log } = await threeSegments();
    log.group(busy).truncatePrefix(LogIndex(2), Term(1));
    await settle();
    expect(log.stats()).toMatchObject({ segments: 1, spareBytes: 2 * mib });
    disk.quotaBytes = disk.usedBytes();
    return { disk, log };
  }

  test('the spare files go before the log lives on its reserve', async () => {
    const { disk, log } = await fullWithSpares();
    await append(log, 3, mib - 40_000);
    expect(log.stats()).toMatchObject({ isDiskFull: false, spareBytes: 0 });
    disk.crash({ keep: 'none' });
    expect(await read(disk, larger)).toContain('3 in term 1');
  });

  test('and before a batch finds no room that is larger than what was made ahead', async () => {
    const { disk, log } = await fullWithSpares();
    await append(log, 3, 1.5 * mib);
    expect(log.failed).toBeUndefined();
    expect(log.stats().spareBytes).toBe(0);
    disk.crash({ keep: 'none' });
    expect(await read(disk, larger)).toContain('3 in term 1');
  });

  test('and where somebody else has no room', async () => {
    const { disk, log } = await fullWithSpares();
    const usedBytes = disk.usedBytes();
    log.giveUpSpares();
    await settle();
    expect(log.stats().spareBytes).toBe(0);
    expect(disk.usedBytes()).toBe(usedBytes - 2 * mib);
    await log.close();
  });

  test('and none is kept while the log lives on its reserve', async () => {
    const { disk, log } = await threeSegments();
    disk.quotaBytes = disk.usedBytes();
    await append(log, 3, mib - 40_000);
    expect(log.stats()).toMatchObject({ isDiskFull: true, segments: 3 });
    log.group(busy).truncatePrefix(LogIndex(2), Term(1));
    await settle();
    expect(log.stats()).toMatchObject({ segments: 1, spareBytes: 0 });
    expect(await names(disk)).toHaveLength(1);
    await log.close();
  });

  test('a new segment takes no room that is not there: it begins in a spare file', async () => {
    const disk = newDisk();
    const log = await openLog(disk, { ...options, spareSegmentsMax: 1 });
    await writeAndDrop(log, 1, 20);
    expect(log.stats().spareBytes).toBeGreaterThan(0);
    const { recycledSegments } = log.stats();
    disk.quotaBytes = disk.usedBytes();
    for (let index = 21; log.stats().recycledSegments === recycledSegments; index++) await append(log, index);
    expect(log.isDiskFull).toBe(false);
    disk.quotaBytes = Infinity;
    await log.close();
  });
});

test('a file is no spare that was on its way to be one when all were given up', async () => {
  const disk = newDisk();
  await disk.makeDirectory(directory);
  const file = await SegmentFile.create(disk, directory, { segment: 1, firstBatch: 1 }, 1000);
  const spares = new SpareSegments({ disk, directory, logger: silentLogger, ...options });
  let given: Promise<boolean> | undefined;
  disk.fault = (operation) => {
    if (operation === 'syncDirectory') given ??= spares.giveUp();
    return undefined;
  };
  await spares.retire([file], { keep: true });
  expect(await given).toBe(false);
  expect(spares.take()).toBeUndefined();
  expect(await names(disk)).toEqual([]);
});
