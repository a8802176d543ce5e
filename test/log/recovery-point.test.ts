/** The recovery point tells when more is lost than the proof in the segment, which lies close to what it proves. */
import { beforeAll, describe, expect, test } from 'vitest';
import { ShardId } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { readRecoveryPoint, recoveryPointName } from '../../src/log/recovery-point.js';
import { segmentName } from '../../src/log/segment-format.js';
import type { SharedLog } from '../../src/log/shared-log.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { contentOf, directory, entries, newDisk, openLog, settle } from './support.js';

const options = { segmentBytesMax: 64 * 1024 };
const shard = ShardId(1);
const recoverySlotBytes = 24;
/** Of a log, between two writes of its recovery point. */
const ticks = 10;
const file = `${directory}/${recoveryPointName}`;
const path = (segment: number): string => `${directory}/${segmentName(segment)}`;

async function append(log: SharedLog, first: number, last: number): Promise<void> {
  for (let i = first; i <= last; i++) await log.append(shard, { entries: entries(i, 1, 1, 250), mustSync: true });
}

async function tick(log: SharedLog, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    log.tick();
    await settle();
  }
}

/** The recovery point is there, and the next tick writes it again. */
async function beforeSecondWrite(): Promise<{ disk: SimDisk; log: SharedLog }> {
  const disk = newDisk();
  const log = await openLog(disk, options);
  await append(log, 1, 1);
  await tick(log, ticks);
  await append(log, 2, 2);
  await tick(log, ticks - 1);
  return { disk, log };
}

/** The last entry of the log, or what it is refused with. */
async function lastEntry(disk: SimDisk): Promise<unknown> {
  try {
    await using log = await openLog(disk, options);
    return (await contentOf(log, shard)).entries.at(-1)?.index;
  } catch (error) {
    return error;
  }
}

function zeros(disk: SimDisk, segment: number, from: number, to = disk.content(path(segment)).length): void {
  disk.overwrite(path(segment), from, new Uint8Array(to - from));
}

/** Behind its last byte that is not zero. */
function endOf(disk: SimDisk, segment: number): number {
  return disk.content(path(segment)).findLastIndex((byte) => byte !== 0) + 1;
}

async function truncate(disk: SimDisk, segment: number, length: number): Promise<void> {
  const opened = await disk.open(path(segment), 'readWrite');
  await opened.truncate(length);
  await opened.close();
}

describe('a log that was closed', () => {
  let closed: SimDisk;
  let beginOfLast: number;

  beforeAll(async () => {
    closed = newDisk();
    const log = await openLog(closed, options);
    await append(log, 1, 499);
    beginOfLast = endOf(closed, 3);
    await append(log, 500, 500);
    await log.close();
    expect(closed.paths()).toEqual([path(1), path(2), path(3), file]);
    expect(await lastEntry(closed.clone(new Prng(1)))).toBe(500);
  });

  test.each<{ lost: string; damage: (disk: SimDisk) => void | Promise<void>; segment: number }>([
    { lost: 'the last batch alone, with its proof', damage: lastBatch, segment: 3 },
    { lost: 'two blocks, the last of which has the proof', damage: lastBlocks(2), segment: 3 },
    { lost: '16 KiB at its end', damage: lastBlocks(4), segment: 3 },
    { lost: 'all of the newest segment but its header', damage: (disk) => zeros(disk, 3, 32), segment: 3 },
    { lost: 'the bytes of the newest segment', damage: (disk) => zeros(disk, 3, 0), segment: 2 },
    { lost: 'the end of the newest file', damage: (disk) => truncate(disk, 3, 4096), segment: 3 },
    { lost: 'the newest file', damage: (disk) => disk.remove(path(3)), segment: 2 },
    { lost: 'the two newest files', damage: (disk) => removeAll(disk, 2, 3), segment: 1 },
    { lost: 'all segments', damage: (disk) => removeAll(disk, 1, 2, 3), segment: 1 },
  ])('is refused when it has lost $lost', async ({ damage, segment }) => {
    const disk = closed.clone(new Prng(1));
    await damage(disk);
    expect(await lastEntry(disk)).toMatchObject({ name: 'CorruptionError', file: path(segment) });
  });

  test.each<{ what: string; damage: (disk: SimDisk) => void | Promise<void> }>([
    { what: 'missing', damage: (disk) => disk.remove(file) },
    { what: 'all zeros', damage: (disk) => disk.overwrite(file, 0, new Uint8Array(8192)) },
    { what: 'of another format', damage: (disk) => disk.overwrite(file, 0, new Uint8Array(8192).fill(7)) },
  ])('is whole without its recovery point: $what', async ({ damage }) => {
    const disk = closed.clone(new Prng(1));
    await damage(disk);
    expect(await lastEntry(disk)).toBe(500);
    expect(await readRecoveryPoint(disk, directory), 'said again at the end').toBe(501);
  });

  function lastBlocks(count: number): (disk: SimDisk) => void {
    return (disk) => zeros(disk, 3, 4096 * (Math.ceil(endOf(disk, 3) / 4096) - count));
  }

  function lastBatch(disk: SimDisk): void {
    zeros(disk, 3, beginOfLast);
  }

  async function removeAll(disk: SimDisk, ...segments: readonly number[]): Promise<void> {
    for (const segment of segments) await disk.remove(path(segment));
  }
});

describe('while the log is written', () => {
  test('it is written once in ten ticks, where there is anything new, and the power cannot take it away', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    await tick(log, 3 * ticks);
    expect(await readRecoveryPoint(disk, directory)).toBe(0);
    await append(log, 1, 3);
    await tick(log, 1);
    expect(await readRecoveryPoint(disk, directory)).toBe(4);
    await append(log, 4, 5);
    await tick(log, ticks - 1);
    expect(await readRecoveryPoint(disk, directory)).toBe(4);
    await tick(log, 1);
    disk.crash({ keep: 'none' });
    expect(await readRecoveryPoint(disk, directory)).toBe(6);
    zeros(disk, 1, 32);
    expect(await lastEntry(disk)).toMatchObject({ name: 'CorruptionError', file: path(1), offset: 32 });
  });

  test('a pause costs no write for each ten ticks', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    await append(log, 1, 3);
    await tick(log, 2 * ticks);
    const { operationCount } = disk;
    await tick(log, 5 * ticks);
    expect(disk.operationCount).toBe(operationCount);
    await log.close();
  });

  test('what is lost since then looks like a torn end', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    await append(log, 1, 3);
    const end = endOf(disk, 1);
    await tick(log, ticks);
    await append(log, 4, 5);
    disk.crash({ keep: 'all' });
    zeros(disk, 1, end);
    expect(await lastEntry(disk)).toBe(3);
  });

  test('a log that is opened again writes it over the older slot, durably', async () => {
    const disk = newDisk();
    for (let i = 1; i <= 4; i++) {
      const log = await openLog(disk, options);
      const before = disk.paths().includes(file) ? disk.content(file) : undefined;
      await append(log, i, i);
      await tick(log, ticks);
      const cut = disk.clone(new Prng(1));
      cut.crash({ keep: 'none' });
      expect(await readRecoveryPoint(cut, directory)).toBe(i + 1);
      if (before !== undefined) {
        const written = disk.content(file).findIndex((byte, at) => byte !== before[at]);
        cut.overwrite(file, written, new Uint8Array(recoverySlotBytes));
        expect(await readRecoveryPoint(cut, directory)).toBe(i);
      }
      await log.close();
    }
  });

  test('its slots lie in different blocks, so that no torn write has both', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    const blocks = new Set<number>();
    for (let i = 1; i <= 4; i++) {
      const before = disk.paths().includes(file) ? disk.content(file) : new Uint8Array(2 * 4096);
      await append(log, i, i);
      await tick(log, ticks);
      disk.content(file).forEach((byte, at) => byte !== before[at] && blocks.add(Math.floor(at / 4096)));
    }
    expect(blocks).toEqual(new Set([0, 1]));
    await log.close();
  });

  test('one is written after the other, however slow the disk is', async () => {
    const { disk, log } = await beforeSecondWrite();
    let writes = 0;
    disk.fault = (operation, at) => {
      if (at !== file || operation !== 'write') return undefined;
      if (++writes === 1) disk.stall();
      return undefined;
    };
    log.tick();
    await tick(log, 3 * ticks);
    expect(writes).toBe(1);
    const closed = log.close();
    await settle();
    disk.unstall();
    await closed;
    expect(await readRecoveryPoint(disk, directory)).toBe(3);
  });

  test('a write of it that is torn leaves the one before', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    const points: number[] = [];
    await append(log, 1, 1);
    await tick(log, ticks);
    for (let round = 1; round < 5; round++) {
      await append(log, round + 1, round + 1);
      const before = disk.content(file);
      await tick(log, ticks);
      const after = disk.content(file);
      const changed = after.map((byte, i) => byte ^ before[i]);
      const [first, last] = [changed.findIndex((byte) => byte !== 0), changed.findLastIndex((byte) => byte !== 0)];
      for (let cut = first; cut <= last; cut++) {
        const torn = disk.clone(new Prng(1));
        torn.overwrite(file, cut, before.subarray(cut, last + 1));
        points.push(await readRecoveryPoint(torn, directory));
        expect(points.at(-1)).toBe(round + 1);
      }
    }
    await log.close();
    expect(points.length).toBeGreaterThan(20);
  });
});

test('on a full disk there is none, and the log goes on', async () => {
  const disk = newDisk();
  const log = await openLog(disk, options);
  disk.quotaBytes = disk.usedBytes();
  await append(log, 1, 3);
  await tick(log, ticks);
  expect(log.failed).toBeUndefined();
  expect(await readRecoveryPoint(disk, directory)).toBe(0);
  disk.quotaBytes = Infinity;
  await tick(log, ticks);
  expect(await readRecoveryPoint(disk, directory)).toBe(4);
  await log.close();
});

test('one that was refused for room and made later is there after a power loss', async () => {
  const disk = newDisk();
  const log = await openLog(disk, options);
  await append(log, 1, 1);
  disk.quotaBytes = disk.usedBytes();
  await tick(log, ticks);
  disk.quotaBytes = Infinity;
  await append(log, 2, 2);
  await tick(log, ticks);
  disk.crash({ keep: 'none' });
  expect(await readRecoveryPoint(disk, directory)).toBe(3);
});

test('a batch that a failed sync has left in the page cache is made durable, whatever the point says of those before', async () => {
  const disk = newDisk();
  const log = await openLog(disk, options);
  await append(log, 1, 1);
  await tick(log, ticks);
  disk.fault = (operation) => (operation === 'sync' ? 'io' : undefined);
  await expect(append(log, 2, 2)).rejects.toMatchObject({ code: 'io' });
  disk.fault = undefined;
  await log.close();
  expect(await lastEntry(disk)).toBe(2);
  disk.crash({ keep: 'none' });
  expect(await lastEntry(disk)).toBe(2);
});

test('one whose sync has failed is not written again', async () => {
  const { disk, log } = await beforeSecondWrite();
  const asked: string[] = [];
  disk.fault = (operation, at) => {
    if (at !== file) return undefined;
    asked.push(operation);
    return operation === 'sync' ? 'io' : undefined;
  };
  log.tick();
  await log.close().catch(() => undefined);
  expect(log.failed).toBeDefined();
  expect(asked).toEqual(['write', 'sync', 'close']);
});

test('a disk that fails it fails the log', async () => {
  const disk = newDisk();
  const log = await openLog(disk, options);
  await append(log, 1, 3);
  await tick(log, ticks);
  disk.fault = (_, at) => (at === file ? 'io' : undefined);
  await append(log, 4, 4);
  await tick(log, ticks);
  expect(log.failed).toMatchObject({ name: 'DiskError', code: 'io', path: file });
  disk.fault = undefined;
  await log.close().catch(() => undefined);
});
