import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { segmentHeaderBytes } from '../../src/log/segment-format.js';
import { SegmentFile } from '../../src/log/segment-file.js';
import { directory, newDisk } from './support.js';

const header = { segment: 7, firstBatch: 3 };

/**
 * Pitfall: a sync that failed must not be tried again and believed. Here only what was done after it is believed: that the file is gone,
 * and, later, that another one is there.
 */
test('a segment that found no room is surely gone, and one that is made later surely there', async () => {
  const disk = newDisk();
  await disk.makeDirectory(directory);
  await disk.syncDirectory('.');
  let failures = 1;
  disk.fault = (operation) => (operation === 'write' && failures-- > 0 ? 'noSpace' : undefined);
  expect(await SegmentFile.createIfRoom(disk, directory, header, segmentHeaderBytes)).toBeUndefined();
  for (const keep of ['all', 'none'] as const) {
    const after = disk.clone(new Prng(1));
    after.crash({ keep });
    expect(await after.list(directory), `kept: ${keep}`).toEqual([]);
  }
  const file = await SegmentFile.createIfRoom(disk, directory, header, segmentHeaderBytes);
  disk.crash({ keep: 'none' });
  expect(await disk.list(directory)).toEqual([file?.path.split('/').at(-1)]);
});

test('where its name finds no room the log must end: names of others may be lost with it', async () => {
  const disk = newDisk();
  await disk.makeDirectory(directory);
  disk.fault = (operation) => (operation === 'syncDirectory' ? 'noSpace' : undefined);
  const created = SegmentFile.createIfRoom(disk, directory, header, segmentHeaderBytes);
  await expect(created).rejects.toMatchObject({ code: 'io' });
});

test('a segment is closed when what is being read of it has been', async () => {
  const disk = newDisk();
  await disk.makeDirectory(directory);
  const file = await SegmentFile.create(disk, directory, header, segmentHeaderBytes);
  const releases = [file.retainForRead(), file.retainForRead()];
  let isClosed = false;
  const closed = file.close().then(() => (isClosed = true));
  for (const release of releases) {
    await setImmediate();
    expect(isClosed).toBe(false);
    expect(await file.read(0, 4)).toHaveLength(4);
    release();
  }
  await closed;
});
