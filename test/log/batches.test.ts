import { expect, test } from 'vitest';
import { ShardId } from '../../src/base/ids.js';
import { BatchEncoder } from '../../src/log/segment-writer.js';
import { entries, newDisk, openLog } from './support.js';

test('what gathers while the disk is slow is written in batches of a quarter of a segment', async () => {
  const disk = newDisk();
  const log = await openLog(disk, { segmentBytesMax: 8000 });
  disk.stall();
  const appends = Array.from({ length: 40 }, (_, i) =>
    log.append(ShardId(1), { entries: entries(1 + i, 1, 1, 100), mustSync: true }),
  );
  disk.unstall();
  await Promise.all(appends);
  const { batchBytesMax } = log.stats();
  expect(batchBytesMax).toBeGreaterThan(1000);
  // The last append that it takes may be beyond it.
  expect(batchBytesMax).toBeLessThan(2000 + 200);
  await log.close();
});

test('what is under way is another thing with each batch, and nothing at rest', async () => {
  const disk = newDisk();
  const log = await openLog(disk);
  expect(log.underWay).toBeUndefined();
  const append = (index: number): Promise<void> =>
    log.append(ShardId(1), { entries: entries(index, 1, 1, 100), mustSync: true });
  disk.stall();
  const first = append(1);
  const stalled = log.underWay;
  expect(stalled).toBeDefined();
  const second = append(2);
  expect(log.underWay).toBe(stalled);
  disk.unstall();
  await first;
  disk.stall();
  expect(log.underWay).not.toBe(stalled);
  disk.unstall();
  await second;
  await log.close();
  expect(log.underWay).toBeUndefined();
});

test('a record ends with the entry that reaches 256 KiB: so much is read for one', () => {
  const encoder = new BatchEncoder();
  encoder.begin({ segment: 1, offset: 0, sequence: 1 });
  const records = encoder.entries('entries', ShardId(1), entries(1, 10, 1, 100_000));
  expect(records.map(({ count }) => count)).toEqual([3, 3, 3, 1]);
});
