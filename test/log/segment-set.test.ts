import { expect, test } from 'vitest';
import { segmentHeaderBytes } from '../../src/log/segment-format.js';
import { SegmentFile } from '../../src/log/segment-file.js';
import { SegmentSet } from '../../src/log/segment-set.js';
import { directory, newDisk } from './support.js';

/** Segments from 3 on, of which each holds so many bytes of live entries. */
async function segments(liveBytes: readonly number[]): Promise<SegmentSet> {
  const disk = newDisk();
  await disk.makeDirectory(directory);
  const set = new SegmentSet();
  for (const [i, bytes] of liveBytes.entries()) {
    set.add(await SegmentFile.create(disk, directory, { segment: 3 + i, firstBatch: 1 }, segmentHeaderBytes));
    set.retain(3 + i, bytes);
  }
  return set;
}

test('what a log cannot be rid of begins with its oldest live entry', async () => {
  const set = await segments([0, 0, 70, 0, 30]);
  expect(set.pinned).toEqual({ bytes: 3 * segmentHeaderBytes, liveBytes: 100 });
  expect(set.firstWithEntries).toBe(5);
  set.release(5, 70);
  expect(set.pinned).toEqual({ bytes: segmentHeaderBytes, liveBytes: 30 });
});

test.each([
  { count: 1, old: [] },
  { count: 4, old: [3, 4] },
  { count: 5, old: [3, 4] },
])('of $count segments, $old are old', async ({ count, old }) => {
  const set = await segments(Array.from({ length: count }, () => 1));
  const numbers = set.all.map(({ segment }) => segment);
  expect(numbers.filter((segment) => set.isOld(segment))).toEqual(old);
});
