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

test('a record ends with the entry that reaches 256 KiB: so much is read for one', () => {
  const encoder = new BatchEncoder();
  encoder.begin({ segment: 1, offset: 0, sequence: 1 });
  const records = encoder.entries('entries', ShardId(1), entries(1, 10, 1, 100_000));
  expect(records.map(({ count }) => count)).toEqual([3, 3, 3, 1]);
});
