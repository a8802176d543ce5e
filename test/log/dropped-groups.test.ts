import { expect, test } from 'vitest';
import { ShardId } from '../../src/base/ids.js';
import { entries, hardState, newDisk, openLog, settle } from './support.js';

const [one, two] = [1, 2].map((id) => ShardId(id));

test('a group that is dropped stays so, though its hard state was to be written with the same batch', async () => {
  const disk = newDisk();
  const log = await openLog(disk);
  await log.append(one, { hardState: hardState(1, 2, 0), entries: entries(1, 2, 1), mustSync: true });
  await log.append(one, { hardState: hardState(1, 2, 2), entries: [], mustSync: false });
  await log.drop(one);
  expect(log.groups).toEqual([]);
  await log.close();
  const again = await openLog(disk);
  expect(again.groups).toEqual([]);
  await again.close();
});

test('of a group that was dropped no segment is kept after a restart', async () => {
  const disk = newDisk();
  const options = { segmentBytesMax: 1000 };
  const log = await openLog(disk, options);
  for (let i = 0; i < 10; i++) await log.append(one, { entries: entries(1 + i, 1, 1, 400), mustSync: true });
  const grown = log.stats().segments;
  // The segments could go only when this is durable; the node stops before they have.
  disk.stall();
  const dropped = log.drop(one);
  dropped.catch(() => undefined);
  disk.unstall();
  await dropped;
  disk.crash({ keep: 'all' });
  const again = await openLog(disk, options);
  await again.append(two, { entries: entries(1, 1, 1), mustSync: true });
  await settle();
  expect(again.stats().segments).toBeLessThan(grown);
  expect(again.stats().segments).toBeLessThanOrEqual(2);
  await again.close();
});
