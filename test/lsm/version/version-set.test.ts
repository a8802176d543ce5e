import { expect, it } from 'vitest';
import { errorOf } from '../../../src/base/errors.js';
import { silentLogger } from '../../../src/env/logger.js';
import { isNoSpace } from '../../../src/lsm/background-errors.js';
import { BlockCache } from '../../../src/lsm/block-cache.js';
import { OpenFiles } from '../../../src/lsm/sstable/open-files.js';
import { VersionSet } from '../../../src/lsm/version/version-set.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { newDisk } from '../harness.js';
import { table } from '../tables.js';

const resources = (disk: SimDisk): Parameters<typeof VersionSet.create>[2] => ({
  disk,
  blockCache: new BlockCache(0),
  openFiles: new OpenFiles(1),
  logger: silentLogger,
});

/**
 * Applies edits of a table each, where other work has written the next one by the time the folder is synced once more.
 * Gives the tables of edits that succeeded, and those that a power loss leaves.
 */
async function applied(failing: number): Promise<{ done: number[]; left: number[]; syncs: number }> {
  const disk = newDisk();
  const versions = await VersionSet.create('tree', 0, resources(disk));
  const written: number[] = [];
  const writeTable = async (): Promise<void> => {
    const number = versions.takeFileNumbers(1);
    const file = await disk.open(versions.tablePath(number), 'create');
    await file.sync();
    await file.close();
    written.push(number);
  };
  await writeTable();
  let syncs = 0;
  const sync = disk.syncDirectory.bind(disk);
  disk.syncDirectory = async (path) => {
    if (++syncs === failing) disk.fault = (operation) => (operation === 'syncDirectory' ? 'noSpace' : undefined);
    await sync(path).finally(() => (disk.fault = undefined));
    await writeTable();
  };
  const done: number[] = [];
  const editsMax = 6;
  for (let edit = 0; edit < editsMax; edit++) {
    const number = written[edit];
    const apply = (): Promise<void> =>
      versions.apply({ removed: [], added: [{ level: 0, table: table(`${number}:a-z`) }] });
    try {
      // Once more, as after a failure for want of space.
      await apply().catch((error: unknown) => (isNoSpace(error) ? apply() : Promise.reject(errorOf(error))));
      done.push(number);
    } catch (error) {
      expect(error).toMatchObject({ code: 'io' });
      // Nor may another one follow.
      break;
    }
  }
  await versions.close();
  disk.syncDirectory = sync;
  disk.crash({ keep: 'none' });
  const opened = await VersionSet.open('tree', 0, resources(disk));
  const left = opened.current.levels[0].map(({ number }) => number).reverse();
  await opened.close();
  return { done, left, syncs };
}

it('has after a power loss what was applied, whichever sync of the folder found no space before', async () => {
  const { syncs, ...all } = await applied(0);
  expect(all.left).toEqual(all.done);
  for (let failing = 1; failing <= syncs; failing++) {
    const { done, left } = await applied(failing);
    expect(left.slice(0, done.length), `sync ${failing} of ${syncs}`).toEqual(done);
  }
});
