/** Power loss at every operation on the disk. The seed of what it keeps is the number of the operation. */
import { beforeAll, describe, expect, it } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { utf8 } from '../../src/base/bytes.js';
import { DiskError } from '../../src/env/disk.js';
import type { Disk } from '../../src/env/disk.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import type { TreeOptions } from '../../src/lsm/tree-options.js';
import type { TreeStats } from '../../src/lsm/metrics.js';
import { Tree } from '../../src/lsm/tree.js';
import type { CrashKeeps, SimDisk } from '../../src/sim/disk.js';
import { newDisk, processIsDead, scan, settled, treeDirectory, treeResources, type ShownRecord } from './harness.js';

let options: Partial<TreeOptions> = {
  memtableBytesMax: 500,
  sealedMemtablesMax: 2,
  blockBytes: 200,
  sstableBytesTarget: 500,
  level0TablesCompact: 2,
  level0TablesStall: 4,
  levelBytesBase: 150,
  levelBytesMultiplier: 2,
  manifestBytesMax: 1,
};

const batchCount = 28;

/** Batch i of the workload: a few keys that overwrite and delete those of earlier batches, and deleted ranges. */
function writeBatch(tree: Tree, index: number): void {
  const version = Timestamp(index);
  const batch = new TreeBatch()
    .put(utf8(`a${index % 7}`), version, utf8(`value ${index}`))
    .put(utf8(`b${(index * 5) % 23}`), version, utf8('x'.repeat(index % 40)));
  if (index % 3 === 0) batch.delete(utf8(`a${(index + 2) % 7}`), version);
  if (index % 9 === 4) batch.deleteRange(utf8('b1'), utf8('b15'), version);
  if (index % 6 === 0) tree.setSafePoint(Timestamp(index - 3));
  tree.write(batch, LogIndex(index));
}

/** What the tree has after the first `count` batches, by the obvious way. */
function expectedAfter(count: number): ShownRecord[] {
  const values = new Map<string, { version: number; value: string }>();
  for (let index = 1; index <= count; index++) {
    // The puts of the batch have the same version: they stay.
    if (index % 9 === 4) for (const key of values.keys()) if (key >= 'b1' && key < 'b15') values.delete(key);
    values.set(`a${index % 7}`, { version: index, value: `value ${index}` });
    values.set(`b${(index * 5) % 23}`, { version: index, value: 'x'.repeat(index % 40) });
    if (index % 3 === 0) values.delete(`a${(index + 2) % 7}`);
  }
  return [...values.keys()].sort().map((key) => ({ key, ...defined(values.get(key), key) }));
}

interface Progress {
  created: boolean;
  durable: number;
  /** At the end. */
  stats?: TreeStats;
}

/** Writes, flushes, compacts, reopens; `progress` is what the tree has said. */
async function workload(disk: Disk, progress: Progress): Promise<void> {
  let tree = await Tree.create(treeDirectory, treeResources(disk), options);
  progress.created = true;
  const watch = (): void => tree.onDurable((index) => (progress.durable = index));
  watch();
  for (let index = 1; index <= batchCount; index++) {
    await tree.writeStall();
    writeBatch(tree, index);
    if (index % 11 === 0) await tree.flush();
    if (index !== batchCount / 2) continue;
    await tree.close();
    tree = await Tree.open(treeDirectory, treeResources(disk), options);
    watch();
    for (let again = tree.durableAppliedIndex + 1; again <= index; again++) writeBatch(tree, again);
  }
  await settled(tree);
  if (tree.failure !== undefined) throw tree.failure;
  progress.stats = tree.stats();
  await tree.close();
}

async function recover(disk: SimDisk, progress: Progress): Promise<void> {
  const resources = treeResources(disk);
  const exists = await Tree.exists(treeDirectory, disk);
  if (progress.created) expect(exists).toBe(true);
  const tree = exists
    ? await Tree.open(treeDirectory, resources, options)
    : await Tree.create(treeDirectory, resources, options);
  expect(tree.durableAppliedIndex).toBeGreaterThanOrEqual(progress.durable);
  expect(await scan(tree)).toEqual(expectedAfter(tree.durableAppliedIndex));
  await tree.verify();

  for (let index = tree.durableAppliedIndex + 1; index <= batchCount; index++) writeBatch(tree, index);
  await settled(tree);
  expect(tree.failure).toBeUndefined();
  expect(await scan(tree)).toEqual(expectedAfter(batchCount));
  // What the scan passed over may call for a compaction.
  await settled(tree);
  await tree.close();
  expectNoStrayFiles(disk, tree);
}

/** One file for each table and value file, one manifest, and the root. */
function expectNoStrayFiles(disk: SimDisk, tree: Tree): void {
  const { levels, valueFiles } = tree.stats();
  const tables = levels.reduce((sum, level) => sum + level.tables, 0);
  const names = disk.paths().map((path) => path.slice(path.lastIndexOf('/') + 1));
  expect(names.filter((name) => name.endsWith('.sst'))).toHaveLength(tables);
  expect(names.filter((name) => name.startsWith('manifest-'))).toHaveLength(1);
  expect(names.filter((name) => name.endsWith('.val'))).toHaveLength(valueFiles);
  expect(names).toHaveLength(tables + valueFiles + 2);
}

async function crashAt(operation: number, keep: CrashKeeps): Promise<'crashed' | 'over'> {
  const disk = newDisk(operation);
  await disk.makeDirectory('node');
  await disk.syncDirectory('.');
  disk.crashAtOperation = operation;
  const progress: Progress = { created: false, durable: 0 };
  try {
    await workload(disk, progress);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === 'crashed')) throw error;
  }
  const isOver = disk.operationCount < operation;
  await processIsDead();
  disk.crash({ keep });
  await recover(disk, progress);
  return isOver ? 'over' : 'crashed';
}

/** The power goes at operation `first`, and again at each operation of what follows, until that comes to its end. */
async function crashTwice(first: number): Promise<number> {
  for (let again = 1; ; again++) {
    const disk = newDisk(first * 1000 + again);
    await disk.makeDirectory('node');
    await disk.syncDirectory('.');
    disk.crashAtOperation = disk.operationCount + first;
    const progress: Progress = { created: false, durable: 0 };
    await workload(disk, progress).catch(ignoreCrash);
    await processIsDead();
    disk.crash({ keep: 'random' });
    const begun = disk.operationCount;
    disk.crashAtOperation = begun + again;
    await workloadAgain(disk, progress).catch(ignoreCrash);
    const isOver = disk.operationCount < begun + again;
    await processIsDead();
    disk.crash({ keep: 'random' });
    await recover(disk, progress);
    if (isOver) return again;
  }
}

/** Opens what the crash has left, and makes it durable with all that it lacks. */
async function workloadAgain(disk: SimDisk, progress: Progress): Promise<void> {
  const tree = (await Tree.exists(treeDirectory, disk))
    ? await Tree.open(treeDirectory, treeResources(disk), options)
    : await Tree.create(treeDirectory, treeResources(disk), options);
  progress.created = true;
  progress.durable = tree.durableAppliedIndex;
  tree.onDurable((index) => (progress.durable = index));
  for (let index = tree.durableAppliedIndex + 1; index <= batchCount; index++) {
    await tree.writeStall();
    writeBatch(tree, index);
  }
  await tree.flush();
  await tree.close();
}

function ignoreCrash(error: unknown): void {
  if (!(error instanceof DiskError && error.code === 'crashed')) throw error;
}

describe.each([Number.MAX_SAFE_INTEGER, 7])(
  'a tree after power loss, values beside it from %d bytes on',
  (largeValueBytesMin) => {
    beforeAll(() => void (options = { ...options, largeValueBytesMin }));

    // Every operation with a random part of what was not synced; a sample of them with the extremes.
    it.each([
      { keep: 'random', first: 1, step: 1 },
      { keep: 'none', first: 2, step: 7 },
      { keep: 'all', first: 3, step: 7 },
    ] as const)(
      'is a prefix of what was written, with all that was durable; keeps $keep',
      async ({ keep, first, step }) => {
        let operation = first;
        while ((await crashAt(operation, keep)) === 'crashed') operation += step;
        expect(operation).toBeGreaterThan(200);
      },
      // Some seven hundred trees are written and recovered.
      120_000,
    );

    it('is a prefix also when the power goes again while it recovers', async () => {
      for (const first of [9, 97]) expect(await crashTwice(first)).toBeGreaterThan(20);
    });

    it('is tested through flushes, compactions of two levels and new manifests', async () => {
      const disk = newDisk();
      const progress: Progress = { created: false, durable: 0 };
      await workload(disk, progress);
      expect(progress.stats).toMatchObject({ outOfSpace: false });
      expect(progress.stats?.compactions).toBeGreaterThan(2);
      // Each flush makes a table that leaves level 0 once: there are compactions of a level below it.
      expect(progress.stats?.compactions).toBeGreaterThan(progress.stats?.flushes ?? Infinity);
      expect(progress.stats?.levels[6].tables).toBeGreaterThan(0);
      if (largeValueBytesMin === 7) expect(progress.stats?.collectedBytes).toBeGreaterThan(0);
      const manifest = disk.paths().find((path) => path.includes('manifest-'));
      expect(Number(manifest?.slice(-6))).toBeGreaterThan(2);
    });

    // The simulated disk keeps changes of names in their order; others need not.
    it('does not need names to become durable in their order', async () => {
      const disk = newDisk();
      const named = new Set<string>();
      let notDurable: string[] = [];
      let roots = 0;
      disk.fault = (operation, path) => {
        if (operation === 'open' && !named.has(path) && !path.endsWith('.new')) {
          named.add(path);
          notDurable.push(path);
        }
        if (operation === 'syncDirectory') notDurable = [];
        if (operation === 'rename') {
          roots++;
          expect(notDurable).toEqual([]);
        }
        return undefined;
      };
      // One thing at a time, so that all names that are not durable belong to the edit; and no new manifest after the
      // first, whose sync of the folder would do for the tables.
      const roomy = { memtableBytesMax: 1 << 20, manifestBytesMax: 1 << 20 };
      const tree = await Tree.create(treeDirectory, treeResources(disk), { ...options, ...roomy });
      for (let index = 1; index <= batchCount; index++) {
        writeBatch(tree, index);
        if (index % 4 === 0) await settled(tree);
      }
      expect(tree.stats().compactions).toBeGreaterThan(2);
      expect(roots).toBeGreaterThan(10);
      await tree.close();
    });
  },
);
