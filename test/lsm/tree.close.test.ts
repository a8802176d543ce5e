/** What a close finds under way, at every operation of the disk: its end is waited for, and the folder is the next owner's. */
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, timestampMax } from '../../src/base/ids.js';
import { TreeClosedError } from '../../src/lsm/background-errors.js';
import { BlockCache } from '../../src/lsm/block-cache.js';
import { OpenFiles } from '../../src/lsm/sstable/open-files.js';
import { Tree } from '../../src/lsm/tree.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { newDisk, put, scan, treeDirectory, treeResources } from './harness.js';

const source = 'node/source';
const target = 'node/checkpoint';
const manyTables = { level0TablesCompact: 100, level0TablesStall: 101 };

/** A tree of five tables. */
async function fill(disk: SimDisk, directory: string): Promise<Tree> {
  const tree = await Tree.create(directory, treeResources(disk), manyTables);
  for (let version = 1; version <= 5; version++) {
    put(tree, `key-${version}`, version, 'value');
    await tree.flush();
  }
  return tree;
}

function tablesIn(disk: SimDisk, directory: string): string[] {
  return disk.paths().filter((path) => path.startsWith(`/${directory}/`) && path.endsWith('.sst'));
}

function liveTables(tree: Tree): number {
  return tree.stats().levels.reduce((sum, level) => sum + level.tables, 0);
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

type Outcome = { readonly type: 'done' } | { readonly type: 'failed'; readonly error: unknown };

/** Begins the call, and the close at its `at`-th operation of the disk. */
async function closeDuring(
  disk: SimDisk,
  at: number,
  tree: Tree,
  call: () => Promise<unknown>,
): Promise<{ outcome: Outcome; isOver: boolean }> {
  let operations = 0;
  let closed: Promise<void> | undefined;
  let afterClose = 0;
  let isClosed = false;
  disk.fault = () => {
    if (isClosed) afterClose++;
    if (++operations === at) {
      closed = tree.close().then(() => {
        isClosed = true;
      });
    }
    return undefined;
  };
  const outcome = await call().then(
    (): Outcome => ({ type: 'done' }),
    (error: unknown): Outcome => ({ type: 'failed', error }),
  );
  const isOver = closed === undefined;
  await (closed ?? tree.close());
  await turns(20);
  disk.fault = undefined;
  expect(afterClose, 'operations after the close').toBe(0);
  expect(tree.failure).toBeUndefined();
  if (outcome.type === 'failed') expect(outcome.error).toBeInstanceOf(TreeClosedError);
  return { outcome, isOver };
}

describe('close', () => {
  it('cancels an ingestion and waits for its end', async () => {
    const outcomes = new Set<string>();
    for (let at = 1, isOver = false; !isOver; at++) {
      const disk = newDisk();
      await (await fill(disk, source)).close();
      const foreign = tablesIn(disk, source);
      const tree = await Tree.create(treeDirectory, treeResources(disk), manyTables);
      put(tree, 'a', 1, 'written');
      const during = await closeDuring(disk, at, tree, () => tree.ingest(foreign, LogIndex(2)));
      ({ isOver } = during);
      outcomes.add(during.outcome.type);
      const left = tablesIn(disk, treeDirectory);
      const next = await Tree.open(treeDirectory, treeResources(disk), manyTables);
      expect(left).toHaveLength(liveTables(next));
      if (during.outcome.type === 'done') expect(await scan(next)).toHaveLength(6);
      put(next, 'b', 9, 'of the next owner');
      await next.flush();
      await next.verify();
      await next.close();
    }
    expect([...outcomes].sort()).toEqual(['done', 'failed']);
  });

  it('cancels a checkpoint and waits for its end', async () => {
    const outcomes = new Set<string>();
    for (let at = 1, isOver = false; !isOver; at++) {
      const disk = newDisk();
      const tree = await fill(disk, treeDirectory);
      put(tree, 'key-6', 6, 'value');
      const during = await closeDuring(disk, at, tree, () => tree.checkpoint(target));
      ({ isOver } = during);
      outcomes.add(during.outcome.type);
      if (during.outcome.type === 'failed') {
        expect(await disk.exists(target)).toBe(false);
      } else {
        const taken = await Tree.open(target, treeResources(disk), manyTables);
        expect(await scan(taken)).toHaveLength(6);
        await taken.close();
      }
    }
    expect([...outcomes].sort()).toEqual(['done', 'failed']);
  });

  it('gives the promise of the first call to the second one', async () => {
    const tree = await Tree.create(treeDirectory, treeResources(newDisk()));
    const first = tree.close();
    expect(tree.close()).toBe(first);
    await first;
    expect(tree.close()).toBe(first);
    await expect(tree.checkpoint(target)).rejects.toThrow(TreeClosedError);
    await expect(tree.ingest([], LogIndex(1))).rejects.toThrow(TreeClosedError);
  });

  it('ends the reads under way with a TreeClosedError, and iterators for good', async () => {
    const disk = newDisk();
    // Neither blocks nor files stay: each read asks the disk.
    const resources = { blockCache: new BlockCache(0), openFiles: new OpenFiles(1) };
    await (await fill(disk, treeDirectory)).close();
    const tree = await Tree.open(treeDirectory, treeResources(disk, resources), manyTables);
    const [waiting, idle] = [tree.openIterator(), tree.openIterator()];
    const reads = [tree.get(utf8('key-1'), timestampMax), waiting.next(), tree.getMany([utf8('key-2')], timestampMax)];
    const outcomes = Promise.allSettled(reads.map((read) => Promise.resolve<unknown>(read)));
    await tree.close();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(TreeClosedError) as unknown });
    }
    for (const iterator of [waiting, idle]) {
      expect(() => iterator.next()).toThrow('next of an iterator of a closed tree');
      iterator.close();
    }
  });

  it('leaves no table that nobody names, of flushes and compactions', async () => {
    const options = { level0TablesCompact: 2, memtableBytesMax: 300 };
    let compactions = 0;
    for (let at = 1, isOver = false; !isOver; at++) {
      const disk = newDisk();
      const tree = await Tree.create(treeDirectory, treeResources(disk), options);
      ({ isOver } = await closeDuring(disk, at, tree, async () => {
        for (let version = 1; version <= 3; version++) put(tree, 'key', version, 'value '.repeat(50));
        await tree.flush();
        await turns(60);
      }));
      expect(tablesIn(disk, treeDirectory), `closed at operation ${at}`).toHaveLength(liveTables(tree));
      ({ compactions } = tree.stats());
    }
    expect(compactions).toBeGreaterThan(0);
  });
});
