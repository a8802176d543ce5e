import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { compactTables, type CompactInput } from '../../../src/lsm/compaction/compact-job.js';
import type { TableMetadata } from '../../../src/lsm/sstable/sstable-format.js';
import { SstableWriter } from '../../../src/lsm/sstable/sstable-writer.js';
import { flushEntries, type FlushInput } from '../../../src/lsm/memtable/flush-job.js';
import { Memtable } from '../../../src/lsm/memtable/memtable.js';
import { TreeBatch } from '../../../src/lsm/tree-batch.js';
import { Tree } from '../../../src/lsm/tree.js';
import { ValueOutput } from '../../../src/lsm/value/value-output.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { inlineBackground, newDisk, put, scan, treeDirectory, treeResources } from '../harness.js';

const tableOptions = { blockBytes: 4096, bloomBitsPerKey: 10, compression: 'none' } as const;

/** Two overlapping tables of about two MiB: some ten reads of each. */
async function setUp(): Promise<{ disk: SimDisk; input: CompactInput }> {
  const disk = newDisk();
  await disk.makeDirectory('tree');
  const random = new Prng(1);
  const table = async (number: number): Promise<TableMetadata> => {
    const path = `tree/00000${number}.sst`;
    const writer = await SstableWriter.create(disk, path, number, tableOptions);
    for (let n = 0; n < 2000; n++) await writer.add(utf8(String(10_000 + n)), number, 'put', random.bytes(1000));
    return writer.finish();
  };
  const input = {
    ...tableOptions,
    directory: 'tree',
    runs: [[await table(2)], [await table(1)]],
    collected: [],
    collectedBytesMax: 1000,
    valueFileNumber: 900,
    firstOutputNumber: 20,
    outputsMax: 9,
    sstableBytesTarget: 1 << 20,
    safePoint: 0,
    tombstoneDropVersionMax: -1,
  };
  return { disk, input };
}

/** A table of which each entry points to one of 600 values of 4 KiB, in a file that is to be emptied. */
async function setUpValues(): Promise<{ disk: SimDisk; input: CompactInput }> {
  const disk = newDisk();
  await disk.makeDirectory('tree');
  const random = new Prng(1);
  const values = new ValueOutput({ directory: 'tree', valueFileNumber: 8 }, disk);
  const writer = await SstableWriter.create(disk, 'tree/000007.sst', 7, tableOptions);
  for (let n = 0; n < 600; n++) {
    await values.ready();
    await writer.add(utf8(String(10_000 + n)), 1, 'pointer', values.add(random.bytes(4096), 'none'));
  }
  const collected = await values.finish();
  const { input } = await setUp();
  return { disk, input: { ...input, runs: [[await writer.finish()]], collected, collectedBytesMax: 64 << 20 } };
}

/** A memtable of 600 values of 4 KiB, which leave for a value file. */
async function setUpFlush(): Promise<{ disk: SimDisk; input: FlushInput }> {
  const disk = newDisk();
  await disk.makeDirectory('tree');
  const random = new Prng(1);
  const memtable = new Memtable(LogIndex(0));
  for (let n = 1; n <= 600; n++) {
    memtable.write(new TreeBatch().put(utf8(String(10_000 + n)), Timestamp(n), random.bytes(4096)), LogIndex(n));
  }
  const input = {
    ...tableOptions,
    directory: 'tree',
    number: 7,
    valueFileNumber: 8,
    valueCompression: 'none' as const,
    largeValueBytesMin: 4096,
    safePoint: 0,
    buffers: memtable.entries.buffers,
    references: memtable.index.references(),
    rangeTombstones: [],
  };
  return { disk, input };
}

type Start = (disk: SimDisk, signal: AbortSignal) => Promise<unknown>;

/** Cancels at every `step`th operation in turn; gives how often that ended it. */
async function cancelEverywhere(start: SimDisk, step: number, run: Start): Promise<number> {
  const before = start.paths();
  let cancelled = 0;
  for (let at = 1, isOver = false; !isOver; at += step) {
    const disk = start.clone(new Prng(at));
    const closing = new AbortController();
    let operations = 0;
    let transfersAfter = 0;
    disk.fault = (operation) => {
      if (++operations === at) closing.abort(new Error('closed'));
      else if (operations > at && (operation === 'read' || operation === 'write')) transfersAfter++;
      return undefined;
    };
    const done = await run(disk, closing.signal).then(
      () => true,
      (error: unknown) => {
        expect(error).toMatchObject({ message: 'closed' });
        return false;
      },
    );
    isOver = operations < at;
    // Near its end it may as well succeed.
    if (done) continue;
    cancelled++;
    // Each is of a quarter of a MiB at most: some 30 ms of work.
    expect(transfersAfter).toBeLessThanOrEqual(12);
    expect(disk.paths()).toEqual(before);
  }
  return cancelled;
}

describe('a job that is cancelled ends soon, wherever it is, and leaves nothing behind:', () => {
  it('a compaction', async () => {
    const { disk, input } = await setUp();
    const run: Start = (copy, signal) => compactTables(input, copy, signal);
    expect(await cancelEverywhere(disk, 3, run)).toBeGreaterThan(10);
  });

  it('one that moves large values', async () => {
    const { disk, input } = await setUpValues();
    const run: Start = (copy, signal) => compactTables(input, copy, signal);
    expect(await cancelEverywhere(disk, 23, run)).toBeGreaterThan(20);
  });

  it('a flush of large values', async () => {
    const { disk, input } = await setUpFlush();
    const run: Start = (copy, signal) => flushEntries(input, copy, signal);
    expect(await cancelEverywhere(disk, 1, run)).toBeGreaterThan(6);
  });
});

describe('a tree that is closed while it compacts', () => {
  const options = { memtableBytesMax: 1 << 20, level0TablesCompact: 2, sstableBytesTarget: 1000 };

  /** Closes the tree in the middle of a compaction, while files can be removed or not. */
  async function closeWhileCompacting(disk: SimDisk, canRemove: boolean): Promise<void> {
    const tree = await Tree.create(treeDirectory, treeResources(disk), options);
    let outputs = 0;
    let closed: Promise<void> | undefined;
    disk.fault = (operation, path) => {
      if (operation === 'remove' && path.endsWith('.sst') && closed !== undefined && !canRemove) return 'io';
      // Level 0 is being merged: its second output is written.
      const isOutput = operation === 'open' && path.endsWith('.sst') && tree.stats().levels[0].tables === 2;
      if (isOutput && !disk.paths().includes(path) && ++outputs === 2) closed = tree.close();
      return undefined;
    };
    for (let flushes = 0; flushes < 2; flushes++) {
      for (let n = 0; n < 40; n++) put(tree, String(100 + n), tree.appliedIndex + 1, 'x'.repeat(100));
      await tree.flush();
    }
    while (closed === undefined) await new Promise((resolve) => setImmediate(resolve));
    await closed;
    expect(tree.failure).toBeUndefined();
    expect(tree.stats().compactions).toBe(0);
    disk.fault = undefined;
  }

  const tables = (disk: SimDisk): number => disk.paths().filter((path) => path.endsWith('.sst')).length;

  it('removes what it has written so far', async () => {
    const disk = newDisk();
    await closeWhileCompacting(disk, true);
    expect(tables(disk)).toBe(2);
  });

  it('collects it when it is opened again, if it could not', async () => {
    const disk = newDisk();
    await closeWhileCompacting(disk, false);
    expect(tables(disk)).toBeGreaterThan(2);
    const resources = treeResources(disk, { background: inlineBackground(disk) });
    const tree = await Tree.open(treeDirectory, resources, { ...options, level0TablesCompact: 9 });
    expect(tables(disk)).toBe(2);
    expect(await scan(tree)).toHaveLength(40);
    await tree.close();
  });
});
