/** Damage is told from a torn tail: what may have been acknowledged is never cut off. */
import { beforeAll, describe, expect, test } from 'vitest';
import { ShardId } from '../../src/base/ids.js';
import { CorruptionError } from '../../src/base/errors.js';
import { Prng } from '../../src/base/prng.js';
import { makeDurableDirectory } from '../../src/env/disk.js';
import {
  batchHeaderAt,
  batchHeaderBytes,
  encodeSegmentHeader,
  recordHeaderBytes,
  segmentHeaderBytes,
} from '../../src/log/segment-format.js';
import { BatchEncoder, encodeProof } from '../../src/log/segment-writer.js';
import type { SharedLog } from '../../src/log/shared-log.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { contentOf, directory, entries, hardState, newDisk, openLog, settle, toText } from './support.js';

const options = { segmentBytesMax: 330 };
const shards = [1, 2];

/** Until the last batch has its proof. */
async function pause(log: SharedLog): Promise<void> {
  log.tick();
  log.tick();
  await settle();
}

/** A log of a few segments, all of it acknowledged. The process is killed in a pause. */
async function makeLog(): Promise<SimDisk> {
  const disk = newDisk();
  const log = await openLog(disk, options);
  for (let i = 0; i < 3; i++) {
    const state = hardState(1, 1, i);
    await log.append(ShardId(1), { hardState: state, entries: entries(i + 1, 1, 1), mustSync: true });
    await log.append(ShardId(2), { entries: entries(2 * i + 1, 2, 3), mustSync: true });
  }
  await pause(log);
  disk.crash({ keep: 'all' });
  return disk;
}

async function read(disk: SimDisk): Promise<string> {
  const log = await openLog(disk, options);
  const texts: string[] = [];
  for (const id of shards) texts.push(toText(await contentOf(log, id)));
  await log.close();
  return texts.join('\n');
}

async function writeFile(disk: SimDisk, file: string, bytes: Uint8Array): Promise<void> {
  const opened = await disk.open(file, 'create');
  await opened.write(bytes, 0);
  await opened.close();
}

const path = (segment: number): string => `${directory}/${segment.toString().padStart(10, '0')}.log`;

/** Offsets of the batches of a segment, and of what follows the last. */
function batchOffsets(disk: SimDisk, segment: number): number[] {
  const bytes = disk.content(path(segment));
  const offsets = [segmentHeaderBytes];
  for (;;) {
    const offset = offsets[offsets.length - 1];
    const header = batchHeaderAt(bytes, offset, segment);
    if (header === undefined || header.bodyBytes === 0) return offsets;
    offsets.push(offset + batchHeaderBytes + header.bodyBytes);
  }
}

let healthy: SimDisk;
let content: string;

beforeAll(async () => {
  healthy = await makeLog();
  content = await read(healthy.clone(new Prng(1)));
  expect(healthy.paths()).toEqual([path(1), path(2), path(3)]);
});

async function damaged(damage: (disk: SimDisk) => void): Promise<unknown> {
  const disk = healthy.clone(new Prng(1));
  damage(disk);
  return read(disk).catch((error: unknown) => error);
}

test('a flipped bit anywhere is refused by file and offset, or hurts nothing', async () => {
  const random = new Prng(7);
  const surprises: string[] = [];
  let refused = 0;
  for (const file of healthy.paths()) {
    const bytes = healthy.content(file);
    for (let offset = 0; offset < bytes.length; offset++) {
      // The unused room of a segment is large and all alike: some of it will do.
      if (offset > 600 && bytes[offset] === 0 && offset % 256 !== 0) continue;
      const outcome = await damaged((disk) => disk.corrupt(file, offset, 1 << random.int(0, 7)));
      if (outcome === content) continue;
      const isNear = (at: number): boolean => at <= offset && at > offset - 200;
      if (outcome instanceof CorruptionError && outcome.file === file && isNear(outcome.offset)) refused++;
      else surprises.push(`${file} at ${offset}: ${String(outcome)}`);
    }
  }
  expect(surprises).toEqual([]);
  const segments = [1, 2, 3];
  const used = segments.reduce((sum, segment) => sum + (batchOffsets(healthy, segment).at(-1) ?? 0), 0);
  expect(refused, 'every used byte, and none else').toBe(used);
});

test('a block of zeros anywhere is refused, or hurts nothing', async () => {
  for (const file of healthy.paths()) {
    const length = healthy.content(file).length;
    for (let offset = 0; offset < length; offset += 32) {
      const zeros = new Uint8Array(Math.min(offset % 4096 === 0 ? 4096 : 64, length - offset));
      const outcome = await damaged((disk) => disk.overwrite(file, offset, zeros));
      if (!(outcome instanceof CorruptionError)) expect(outcome, `${file} at ${offset}`).toBe(content);
    }
  }
});

describe('refused', () => {
  test.each(['first', 'middle'])('a log whose %s segment is missing', async (which) => {
    const missing = which === 'first' ? path(1) : path(2);
    const disk = healthy.clone(new Prng(1));
    await disk.remove(missing);
    await expect(read(disk)).rejects.toMatchObject({ name: 'CorruptionError', file: missing });
  });

  test('a log of which only a segment is left that was being made', async () => {
    const disk = newDisk();
    await makeDurableDirectory(disk, directory);
    await writeFile(disk, path(4), new Uint8Array(segmentHeaderBytes));
    await expect(read(disk)).rejects.toMatchObject({ name: 'CorruptionError', file: path(4) });
    expect(disk.paths()).toEqual([path(4)]);
  });

  test('a log that lacks entries of a group, though it lacks no segment', async () => {
    const disk = newDisk();
    await makeDurableDirectory(disk, directory);
    const header = encodeSegmentHeader({ segment: 2, firstBatch: 9 });
    const encoder = new BatchEncoder();
    encoder.begin({ segment: 2, offset: segmentHeaderBytes, sequence: 9 });
    encoder.entries('entries', ShardId(1), entries(5, 2, 1));
    encoder.firstSegment(2);
    await writeFile(disk, path(2), new Uint8Array([...header, ...encoder.finish()]));
    await expect(read(disk)).rejects.toThrow(/entry 1 of shard 1 is missing/);
  });

  test('a batch of another segment at the same offset', async () => {
    const [offset, end] = batchOffsets(healthy, 1);
    const outcome = await damaged((disk) => {
      disk.overwrite(path(2), offset, disk.content(path(1)).subarray(offset, end));
    });
    expect(outcome).toMatchObject({ name: 'CorruptionError', file: path(2), offset });
  });

  test('an older batch of the same segment in the place of a newer one', async () => {
    const [first, second, third] = batchOffsets(healthy, 1);
    const outcome = await damaged((disk) => {
      const bytes = disk.content(path(1));
      disk.overwrite(path(1), second, bytes.subarray(first, Math.min(second, first + third - second)));
    });
    expect(outcome).toMatchObject({ name: 'CorruptionError', file: path(1), offset: second });
  });

  test('the header of another segment', async () => {
    const outcome = await damaged((disk) => {
      disk.overwrite(path(2), 0, disk.content(path(1)).subarray(0, segmentHeaderBytes));
    });
    expect(outcome).toMatchObject({ name: 'CorruptionError', file: path(2), offset: 0 });
  });

  test('records of another segment under the header of their batch', async () => {
    const [offset, end] = batchOffsets(healthy, 2);
    expect(batchOffsets(healthy, 1).slice(0, 2)).toEqual([offset, end]);
    const records = offset + batchHeaderBytes;
    const outcome = await damaged((disk) => {
      disk.overwrite(path(2), records, disk.content(path(1)).subarray(records, end));
    });
    expect(outcome).toMatchObject({ name: 'CorruptionError', file: path(2), offset: records });
  });

  test('records of another batch of the same segment', async () => {
    const disk = newDisk();
    const log = await openLog(disk);
    for (let i = 1; i <= 4; i++) await log.append(ShardId(1), { entries: entries(i, 1, 1), mustSync: true });
    await log.close();
    const [, second, third, fourth] = batchOffsets(disk, 1);
    const bytes = disk.content(path(1));
    disk.overwrite(path(1), third + batchHeaderBytes, bytes.subarray(second + batchHeaderBytes, third));
    expect(fourth - third).toBe(third - second);
    const isRefused = { name: 'CorruptionError', file: path(1), offset: third + batchHeaderBytes };
    await expect(read(disk)).rejects.toMatchObject(isRefused);
  });

  test('a lost write that left the proof of the batch before', async () => {
    const offsets = batchOffsets(healthy, 3);
    const last = offsets.at(-1) ?? 0;
    const outcome = await damaged((disk) => {
      // The last batch is gone, and the proof that lies after it shows that it was durable.
      const gone = offsets.at(-2) ?? 0;
      disk.overwrite(path(3), gone, new Uint8Array(last - gone));
    });
    expect(outcome).toMatchObject({ name: 'CorruptionError', file: path(3), offset: offsets.at(-2) });
  });

  test('a damaged entry that is read later, by file and offset', async () => {
    const disk = healthy.clone(new Prng(1));
    const log = await openLog(disk, options);
    const [offset] = batchOffsets(disk, 1);
    disk.corrupt(path(1), offset + batchHeaderBytes + recordHeaderBytes + 10);
    const group = log.group(ShardId(1));
    await expect(group.read(group.firstIndex, group.firstIndex, 1)).rejects.toMatchObject({
      name: 'CorruptionError',
      file: path(1),
      offset: offset + batchHeaderBytes,
    });
    expect(log.failed).toBeUndefined();
    await log.close();
  });
});

describe('the last batch', () => {
  /** One batch in a segment of its own, which is then lost; the power goes when all that is not durable is gone. */
  async function lastBatchLost(meanwhile: (log: SharedLog) => Promise<void>): Promise<unknown> {
    const disk = newDisk();
    const log = await openLog(disk, options);
    await log.append(ShardId(1), { entries: entries(1, 1, 1), mustSync: true });
    await meanwhile(log);
    disk.crash({ keep: 'none' });
    const [first, end] = batchOffsets(disk, 1);
    disk.overwrite(path(1), first, new Uint8Array(end - first));
    return read(disk).catch((error: unknown) => error);
  }

  const isRefused = { name: 'CorruptionError', file: path(1), offset: segmentHeaderBytes };

  test('is proven to have been durable in a pause, and at the end, by what is durable itself', async () => {
    expect(await lastBatchLost(pause)).toMatchObject(isRefused);
    expect(await lastBatchLost((log) => log.close())).toMatchObject(isRefused);
  });

  test('is not, while others might follow: one tick is no pause', async () => {
    const outcome = await lastBatchLost((log) => {
      log.tick();
      return settle();
    });
    expect(outcome).not.toBeInstanceOf(Error);
  });

  test('is proven once, and not by a write for each pause, nor while batches come', async () => {
    const disk = newDisk();
    const log = await openLog(disk, { ...options, segmentBytesMax: 4096 });
    const opened = disk.operationCount;
    for (let i = 1; i <= 5; i++) {
      await log.append(ShardId(1), { entries: entries(i, 1, 1), mustSync: true });
      log.tick();
      await settle();
    }
    // Each a write and its sync.
    expect(disk.operationCount - opened).toBe(5 * 2);
    // Not so many ticks that the recovery point is written, too.
    for (let i = 0; i < 2; i++) await pause(log);
    expect(disk.operationCount - opened).toBe(6 * 2);
    await log.close();
  });

  test('is followed by what was asked for while its proof was written', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    const append = (index: number): Promise<void> =>
      log.append(ShardId(1), { entries: entries(index, 1, 1), mustSync: true });
    await append(1);
    log.tick();
    disk.stall();
    log.tick();
    await settle();
    const appended = append(2);
    await settle();
    disk.unstall();
    await appended;
    disk.crash({ keep: 'none' });
    expect(await read(disk)).toContain('2 in term 1');
  });
});

describe('cut off', () => {
  /** The healthy log and one more batch, of which the disk got any prefix. */
  test('a batch that is torn anywhere, when nothing proves that it was durable', async () => {
    const disk = healthy.clone(new Prng(1));
    const log = await openLog(disk, options);
    const written = log.append(ShardId(1), { entries: entries(4, 1, 2), mustSync: true });
    disk.fault = (operation) => (operation === 'sync' ? 'io' : undefined);
    await expect(written).rejects.toMatchObject({ name: 'DiskError' });
    disk.fault = undefined;
    disk.crash({ keep: 'all' });
    const whole = disk.content(path(4));
    const end = whole.findLastIndex((byte) => byte !== 0) + 1;
    for (let cut = segmentHeaderBytes; cut < end; cut++) {
      const torn = disk.clone(new Prng(1));
      torn.overwrite(path(4), cut, new Uint8Array(whole.length - cut));
      expect(await read(torn), `cut at ${cut}`).toBe(content);
      expect(await read(torn), 'opened again').toBe(content);
    }
    expect(await read(disk)).toContain('4 in term 2');
  });

  test('a torn batch whose data looks like the proof of another place', async () => {
    const disk = newDisk();
    const log = await openLog(disk);
    await log.append(ShardId(1), { entries: entries(1, 1, 1), mustSync: true });
    const before = toText(await contentOf(log, 1));
    const data = encodeProof({ segment: 1, offset: 8192, sequence: 9 });
    const [entry] = entries(2, 1, 1);
    disk.fault = (operation) => (operation === 'sync' ? 'io' : undefined);
    await expect(log.append(ShardId(1), { entries: [{ ...entry, data }], mustSync: true })).rejects.toThrow();
    disk.fault = undefined;
    disk.crash({ keep: 'all' });
    // Of the batch everything came to the disk but its header.
    disk.overwrite(path(1), batchOffsets(disk, 1)[1], new Uint8Array(batchHeaderBytes));
    expect(toText(await contentOf(await openLog(disk), 1))).toBe(before);
  });

  test.each(['with', 'without'])('what the file held in an earlier life, %s a proof behind it', async (proof) => {
    const disk = healthy.clone(new Prng(1));
    const [first, second] = batchOffsets(disk, 1);
    const batch = disk.content(path(1)).subarray(first, second);
    const end = batchOffsets(disk, 3).at(-1) ?? 0;
    const length = disk.content(path(3)).length;
    const sameOffset = disk.content(path(1)).subarray(end, end + 600);
    if (proof === 'without') disk.overwrite(path(3), end, new Uint8Array(length - end));
    disk.overwrite(path(3), end, sameOffset);
    disk.overwrite(path(3), end + sameOffset.length, batch);
    disk.overwrite(path(3), end, batch);
    expect(await read(disk)).toBe(content);
    expect(await read(disk), 'opened again').toBe(content);
  });

  test('a segment that was being made', async () => {
    for (const length of [0, 1, segmentHeaderBytes - 1]) {
      const disk = healthy.clone(new Prng(1));
      await writeFile(disk, path(4), new Uint8Array(length).fill(7));
      expect(await read(disk)).toBe(content);
    }
  });
});

test('a batch that was written and not synced is durable once it was read', async () => {
  const disk = newDisk();
  const log = await openLog(disk, options);
  disk.fault = (operation) => (operation === 'sync' ? 'io' : undefined);
  await expect(log.append(ShardId(1), { entries: entries(1, 1, 1), mustSync: true })).rejects.toThrow();
  disk.fault = undefined;
  // The process dies of it. The next one finds the batch in the page cache, which counts it as clean.
  disk.crash({ keep: 'all' });
  const reopened = await openLog(disk, options);
  expect(reopened.group(ShardId(1)).lastIndex).toBe(1);
  disk.crash({ keep: 'none' });
  expect(toText(await contentOf(await openLog(disk, options), 1))).toContain('1 in term 1');
});
