/** Power loss at every operation of an ingest and of checkpoints. The seed of what it keeps is the number of the operation. */
import { beforeAll, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { DiskError, type Disk } from '../../src/env/disk.js';
import { SstableWriter } from '../../src/lsm/sstable/sstable-writer.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import type { TreeOptions } from '../../src/lsm/tree-options.js';
import { Tree } from '../../src/lsm/tree.js';
import type { CrashKeeps, SimDisk } from '../../src/sim/disk.js';
import { newDisk, processIsDead, scan, settled, treeDirectory, treeResources, type ShownRecord } from './harness.js';

let options: Partial<TreeOptions> = {
  memtableBytesMax: 400,
  blockBytes: 100,
  level0TablesCompact: 2,
  manifestBytesMax: 1,
};
/** The batch that is a foreign table. */
const ingested = 7;
const batchCount = 12;
const checkpoints = [
  { after: 4, directory: 'node/whole', lower: '', upper: undefined },
  { after: 9, directory: 'node/part', lower: 'k3', upper: 'k6' },
] as const;

/** Batch i: some keys of ten, over those of earlier batches. */
function recordsOf(index: number): { key: string; value: string }[] {
  return [index, index + 3, index * 2].map((n) => ({ key: `k${n % 10}`, value: `value ${index}, ${n}` }));
}

function expectedAfter(count: number): ShownRecord[] {
  const all = new Map<string, ShownRecord>();
  for (let index = 1; index <= count; index++) {
    for (const { key, value } of recordsOf(index)) all.set(key, { key, version: index, value });
  }
  return [...all.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

function expectedPart(count: number, { lower, upper }: (typeof checkpoints)[number]): ShownRecord[] {
  return expectedAfter(count).filter(({ key }) => key >= lower && (upper === undefined || key < upper));
}

/** @param foreign path of the table to ingest */
async function write(tree: Tree, index: number, foreign: string): Promise<void> {
  if (index === ingested) return tree.ingest([foreign], LogIndex(index));
  const batch = new TreeBatch();
  for (const { key, value } of recordsOf(index)) batch.put(utf8(key), Timestamp(index), utf8(value));
  tree.write(batch, LogIndex(index));
}

interface Progress {
  durable: number;
  readonly written: Set<string>;
}

async function prepare(disk: SimDisk): Promise<void> {
  await disk.makeDirectory('node');
  await disk.syncDirectory('.');
  await (await Tree.create(treeDirectory, treeResources(disk), options)).close();
  await makeForeign(disk, 'node/foreign');
}

/** A table of which nothing is synced; where values are beside tables, a tree of its own. */
async function makeForeign(disk: SimDisk, path: string): Promise<void> {
  if (options.largeValueBytesMin === 7) return makeForeignTree(disk, path);
  const made = `${path}.made`;
  const tableOptions = { blockBytes: 30, bloomBitsPerKey: 10, compression: 'none' } as const;
  const writer = await SstableWriter.create(disk, made, 1, tableOptions);
  for (const { key, value } of recordsOf(ingested).sort((a, b) => (a.key < b.key ? -1 : 1))) {
    await writer.add(utf8(key), ingested, 'put', utf8(value));
  }
  await writer.finish();
  const file = await disk.open(path, 'create');
  await file.write(disk.content(made), 0);
  await file.close();
}

async function makeForeignTree(disk: SimDisk, path: string): Promise<void> {
  await using tree = await Tree.create(path, treeResources(disk), options);
  const batch = new TreeBatch();
  for (const { key, value } of recordsOf(ingested)) batch.put(utf8(key), Timestamp(ingested), utf8(value));
  tree.write(batch, LogIndex(1));
  await tree.flush();
  expect(tree.stats().valueFiles).toBe(1);
}

async function workload(disk: Disk, progress: Progress): Promise<void> {
  const tree = await Tree.open(treeDirectory, treeResources(disk), options);
  tree.onDurable((index) => (progress.durable = index));
  for (let index = 1; index <= batchCount; index++) {
    await tree.writeStall();
    await write(tree, index, 'node/foreign');
    for (const { after, directory, lower, upper } of checkpoints) {
      if (after !== index) continue;
      await tree.checkpoint(directory, { lower: utf8(lower), upper: upper === undefined ? undefined : utf8(upper) });
      progress.written.add(directory);
    }
  }
  await settled(tree);
  if (tree.failure !== undefined) throw tree.failure;
  await tree.close();
}

async function recover(disk: SimDisk, progress: Progress): Promise<void> {
  await using tree = await Tree.open(treeDirectory, treeResources(disk), options);
  expect(tree.durableAppliedIndex).toBeGreaterThanOrEqual(progress.durable);
  expect(await scan(tree)).toEqual(expectedAfter(tree.durableAppliedIndex));
  await tree.verify();
  await makeForeign(disk, 'node/again');
  for (let index = tree.durableAppliedIndex + 1; index <= batchCount; index++) {
    await write(tree, index, 'node/again');
  }
  await settled(tree);
  expect(tree.failure).toBeUndefined();
  expect(await scan(tree)).toEqual(expectedAfter(batchCount));
  await tree.verify();

  for (const checkpoint of checkpoints) {
    const { directory, after } = checkpoint;
    const exists = await Tree.exists(directory, disk);
    if (progress.written.has(directory)) expect(exists).toBe(true);
    if (exists) {
      await using opened = await Tree.open(directory, treeResources(disk), options);
      expect(opened.durableAppliedIndex).toBe(after);
      expect(await scan(opened)).toEqual(expectedPart(after, checkpoint));
      await opened.verify();
    } else {
      await disk.removeTree(directory);
      await tree.checkpoint(directory);
      expect(await Tree.exists(directory, disk)).toBe(true);
    }
  }
}

async function crashAt(operation: number, keep: CrashKeeps): Promise<'crashed' | 'over'> {
  const disk = newDisk(operation);
  await prepare(disk);
  const first = disk.operationCount;
  disk.crashAtOperation = first + operation;
  const progress: Progress = { durable: 0, written: new Set() };
  try {
    await workload(disk, progress);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === 'crashed')) throw error;
  }
  const isOver = disk.operationCount < first + operation;
  await processIsDead();
  disk.crash({ keep });
  await recover(disk, progress);
  return isOver ? 'over' : 'crashed';
}

describe.each([Number.MAX_SAFE_INTEGER, 7])(
  'an ingest and checkpoints under power loss, values beside it from %d bytes on',
  (largeValueBytesMin) => {
    beforeAll(() => void (options = { ...options, largeValueBytesMin }));

    it.each([
      { keep: 'random', first: 1, step: 1 },
      { keep: 'none', first: 1, step: 3 },
      { keep: 'all', first: 2, step: 3 },
    ] as const)(
      'have happened or not, and have if they said so; keeps $keep',
      async ({ keep, first, step }) => {
        let operation = first;
        while ((await crashAt(operation, keep)) === 'crashed') operation += step;
        expect(operation).toBeGreaterThan(150);
      },
      // Some hundred trees are written and recovered.
      120_000,
    );

    // The simulated disk keeps changes of names in their order; others need not.
    it('make links durable before a root means them', async () => {
      const disk = newDisk();
      await prepare(disk);
      let notDurable: string[] = [];
      let roots = 0;
      disk.fault = (operation, path) => {
        if (operation === 'link') notDurable.push(path);
        if (operation === 'syncDirectory') notDurable = notDurable.filter((name) => !name.startsWith(`${path}/`));
        if (operation === 'rename') {
          roots++;
          expect(notDurable).toEqual([]);
        }
        return undefined;
      };
      await using tree = await Tree.open(treeDirectory, treeResources(disk), { manifestBytesMax: 1 << 20 });
      await tree.ingest(['node/foreign'], LogIndex(1));
      await tree.checkpoint('node/whole');
      // Of the open, the ingest and the checkpoint.
      expect(roots).toBe(3);
    });
  },
);
