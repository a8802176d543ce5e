/**
 * The disk is full at every operation in turn that takes space, of flushes, compactions, manifests, checkpoints and
 * ingests: for a while, then there is room again. Nothing that was written is lost, what can wait waits, what is refused
 * has not happened, and no file is left behind.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { DiskError, type Disk } from '../../src/env/disk.js';
import { SstableWriter } from '../../src/lsm/sstable/sstable-writer.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import type { TreeOptions } from '../../src/lsm/tree-options.js';
import { Tree } from '../../src/lsm/tree.js';
import type { SimDisk } from '../../src/sim/disk.js';
import type { DiskOperation } from '../../src/sim/tree-disk.js';
import { ManualClock, newDisk, scan, settled, treeDirectory, treeResources, type ShownRecord } from './harness.js';

let options: Partial<TreeOptions> = {
  memtableBytesMax: 400,
  blockBytes: 100,
  sstableBytesTarget: 500,
  level0TablesCompact: 2,
  levelBytesBase: 700,
  levelBytesMultiplier: 2,
  manifestBytesMax: 1,
};
const batchCount = 14;
const takeSpace: readonly DiskOperation[] = ['write', 'link', 'rename', 'makeDirectory', 'sync'];
/** Attempts that find no space. */
const refusals = 3;

function recordsOf(index: number): { key: string; value: string }[] {
  return [index, index + 3, index * 2].map((n) => ({ key: `k${n % 10}`, value: `value ${index}, ${n}` }));
}

function expected(): ShownRecord[] {
  return expectedAfter(batchCount);
}

function expectedAfter(count: number): ShownRecord[] {
  const all = new Map<string, ShownRecord>();
  for (let index = 1; index <= count; index++) {
    for (const { key, value } of recordsOf(index)) all.set(key, { key, version: index, value });
  }
  return [...all.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Opens, writes, takes in a table, makes a checkpoint; what is refused for want of space is tried again. */
async function workload(disk: Disk, clock: ManualClock): Promise<Tree> {
  const tree = await again(() => openTree(disk, clock));
  for (let index = 1; index <= batchCount; index++) {
    await inTime(clock, tree.writeStall());
    if (index === 6) {
      await again(() => inTime(clock, tree.ingest(['node/foreign'], LogIndex(index))));
    } else {
      writeBatch(tree, index);
    }
    if (index === 10) await again(() => inTime(clock, tree.checkpoint('node/checkpoint')));
  }
  await inTime(clock, settled(tree));
  return tree;
}

function writeBatch(tree: Tree, index: number): void {
  const batch = new TreeBatch();
  for (const { key, value } of recordsOf(index)) batch.put(utf8(key), Timestamp(index), utf8(value));
  tree.write(batch, LogIndex(index));
}

async function writeAll(tree: Tree): Promise<void> {
  for (let index = 1; index <= batchCount; index++) {
    await tree.writeStall();
    writeBatch(tree, index);
    await tree.flush();
  }
}

async function openTree(disk: Disk, clock: ManualClock): Promise<Tree> {
  const resources = treeResources(disk, { clock });
  return (await Tree.exists(treeDirectory, disk))
    ? Tree.open(treeDirectory, resources, options)
    : Tree.create(treeDirectory, resources, options);
}

/** Lets time pass until the promise is settled. */
async function inTime<T>(clock: ManualClock, work: Promise<T> | undefined): Promise<T | undefined> {
  let isSettled = work === undefined;
  const settle = (): void => {
    isSettled = true;
  };
  work?.then(settle, settle);
  while (!isSettled) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(1000);
  }
  return work;
}

async function again<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'noSpace')) throw error;
    }
  }
}

async function prepared(): Promise<SimDisk> {
  const disk = newDisk();
  await disk.makeDirectory('node');
  await disk.syncDirectory('.');
  if (options.largeValueBytesMin === 7) {
    await using tree = await Tree.create('node/foreign', treeResources(disk), options);
    const batch = new TreeBatch();
    for (const { key, value } of recordsOf(6)) batch.put(utf8(key), Timestamp(6), utf8(value));
    tree.write(batch, LogIndex(1));
    await tree.flush();
    return disk;
  }
  const writer = await SstableWriter.create(disk, 'node/foreign', 1, {
    blockBytes: 100,
    bloomBitsPerKey: 10,
    compression: 'none',
  });
  const records = recordsOf(6).sort((a, b) => (a.key < b.key ? -1 : 1));
  for (const { key, value } of records) await writer.add(utf8(key), 6, 'put', utf8(value));
  await writer.finish();
  return disk;
}

/** From the operation on, those that take space find none, a few times. */
async function fullAt(operation: number): Promise<'full' | 'over'> {
  const disk = await prepared();
  let count = 0;
  let left = refusals;
  disk.fault = (type) => {
    if (!takeSpace.includes(type)) return undefined;
    return ++count >= operation && left-- > 0 ? 'noSpace' : undefined;
  };
  const clock = new ManualClock();
  const tree = await workload(disk, clock);
  expect(tree.failure, `full at operation ${operation}`).toBeUndefined();
  expect(tree.outOfSpace).toBe(false);
  expect(tree.durableAppliedIndex).toBe(batchCount);
  expect(await scan(tree)).toEqual(expected());
  await tree.verify();
  await inTime(clock, settled(tree));
  await tree.close();
  const { levels, valueFiles } = tree.stats();
  const tables = levels.reduce((sum, level) => sum + level.tables, 0);
  expect(await disk.list(treeDirectory), `after operation ${operation}`).toHaveLength(tables + valueFiles + 2);
  disk.fault = undefined;
  disk.crash({ keep: 'none' });
  await using whole = await Tree.open(treeDirectory, treeResources(disk), options);
  expect(await scan(whole)).toEqual(expected());
  await using checkpoint = await Tree.open('node/checkpoint', treeResources(disk), options);
  expect(checkpoint.durableAppliedIndex).toBe(10);
  await checkpoint.verify();
  return count < operation ? 'over' : 'full';
}

describe.each([Number.MAX_SAFE_INTEGER, 7])(
  'a tree on a disk that is full for a while, values beside it from %d bytes on',
  (largeValueBytesMin) => {
    beforeAll(() => void (options = { ...options, largeValueBytesMin }));

    it('goes on when there is room again, whichever operation found none', async () => {
      let operation = 1;
      while ((await fullAt(operation)) === 'full') operation++;
      expect(operation).toBeGreaterThan(50);
    });
  },
);

/** From now on nothing finds space. */
function fill(disk: SimDisk): void {
  disk.fault = (type) => (takeSpace.includes(type) ? 'noSpace' : undefined);
}

describe('a tree that is opened on a full disk', () => {
  it('can be read, takes writes and makes them durable when there is room again', async () => {
    const disk = await prepared();
    const clock = new ManualClock();
    await (await workload(disk, clock)).close();
    const stray = `${treeDirectory}/000999.sst`;
    await (await disk.open(stray, 'create')).close();
    fill(disk);
    await using tree = await Tree.open(treeDirectory, treeResources(disk, { clock }), options);
    expect(await scan(tree)).toEqual(expected());
    await tree.verify();
    expect([tree.appliedIndex, tree.durableAppliedIndex, tree.outOfSpace]).toEqual([batchCount, 0, true]);
    // Nothing of what is not known to be durable is relied on.
    expect(disk.paths()).toContain(`/${stray}`);
    const durable: number[] = [];
    tree.onDurable((index) => durable.push(index));
    tree.write(new TreeBatch().put(utf8('late'), Timestamp(batchCount + 1), utf8('x')), LogIndex(batchCount + 1));
    const flushed = tree.flush();
    for (let times = 0; times < 5; times++) {
      clock.advance(10_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([tree.durableAppliedIndex, durable, tree.failure]).toEqual([0, [], undefined]);
    disk.fault = undefined;
    await inTime(clock, flushed);
    expect(durable).toEqual([batchCount, batchCount + 1]);
    expect([tree.durableAppliedIndex, tree.outOfSpace]).toEqual([batchCount + 1, false]);
    await inTime(clock, settled(tree));
    expect(disk.paths()).not.toContain(`/${stray}`);
    expect(await scan(tree)).toContainEqual({ key: 'late', version: batchCount + 1, value: 'x' });
  });

  it('says of nothing that it is durable that a power loss may undo, whichever sync of the folder failed before', async () => {
    let undone = 0;
    for (let failing = 1; ; failing++) {
      const disk = await prepared();
      let syncs = 0;
      let isDown = false;
      disk.fault = (type) =>
        isDown || (type === 'syncDirectory' && (isDown = ++syncs === failing)) ? 'io' : undefined;
      let durable = 0;
      let isCreated = false;
      try {
        const tree = await Tree.create(treeDirectory, treeResources(disk), { ...options, manifestBytesMax: 1000 });
        isCreated = true;
        tree.onDurable((index) => (durable = index));
        await writeAll(tree).catch(() => undefined);
        await tree.close();
      } catch (error) {
        expect(error).toBeInstanceOf(DiskError);
      }
      const isOver = syncs < failing;
      if (isCreated && !isOver) {
        fill(disk);
        const seen = await Tree.open(treeDirectory, treeResources(disk), options);
        expect(seen.appliedIndex).toBeGreaterThanOrEqual(durable);
        expect(await scan(seen)).toEqual(expectedAfter(seen.appliedIndex));
        const { appliedIndex: before, durableAppliedIndex: promised } = seen;
        await seen.close();
        disk.fault = undefined;
        disk.crash({ keep: 'none' });
        await using tree = await Tree.open(treeDirectory, treeResources(disk), options);
        expect(tree.appliedIndex).toBeGreaterThanOrEqual(Math.max(durable, promised));
        expect(await scan(tree)).toEqual(expectedAfter(tree.appliedIndex));
        await tree.verify();
        if (tree.appliedIndex < before) undone++;
      }
      if (isOver) break;
    }
    expect(undone).toBeGreaterThan(2);
  });
});
