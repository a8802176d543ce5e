import { describe, expect, it, vi } from 'vitest';
import { compareBytes, utf8 } from '../../../src/base/bytes.js';
import { CorruptionError } from '../../../src/base/errors.js';
import { Timestamp } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { deferred, type Deferred } from '../../../src/base/promises.js';
import { compactTables, type CompactInput } from '../../../src/lsm/compaction/compact-job.js';
import { rangeBytesTarget } from '../../../src/lsm/compaction/output-tables.js';
import { encodedBytes } from '../../../src/lsm/range/range-block.js';
import { fragmentsOf, mergeAllFragments, type RangeFragments } from '../../../src/lsm/range/range-tombstones.js';
import { SstableReader } from '../../../src/lsm/sstable/sstable-reader.js';
import { jobResources } from '../../../src/lsm/sstable/sstable-resources.js';
import type { TableMetadata } from '../../../src/lsm/sstable/sstable-format.js';
import { SstableWriter } from '../../../src/lsm/sstable/sstable-writer.js';
import { verifySstable } from '../../../src/lsm/sstable/verify-sstable.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { newDisk } from '../harness.js';

const tableOptions = { blockBytes: 200, bloomBitsPerKey: 10, compression: 'none' } as const;

async function writeTable(disk: SimDisk, number: number, entries: [string, number][]): Promise<TableMetadata> {
  const path = `tree/${String(number).padStart(6, '0')}.sst`;
  const writer = await SstableWriter.create(disk, path, number, tableOptions);
  for (const [key, version] of entries) await writer.add(utf8(key), version, 'put', utf8(`table ${number}`));
  return writer.finish();
}

async function setUp(): Promise<{ disk: SimDisk; input: CompactInput }> {
  const disk = newDisk();
  await disk.makeDirectory('tree');
  const versionsOf = (keys: string[], versions: number[]): [string, number][] =>
    keys.flatMap((key) => versions.map((version): [string, number] => [key, version]));
  const many = Array.from({ length: 60 }, (_, i) => 90 - i);
  const upper = await writeTable(disk, 9, versionsOf(['a', 'b', 'c'], many));
  const lower = [
    await writeTable(disk, 1, versionsOf(['a'], [20, 10])),
    await writeTable(disk, 2, versionsOf(['b', 'c', 'd'], [40, 20, 10])),
  ];
  const input = {
    ...tableOptions,
    directory: 'tree',
    runs: [[upper], lower],
    collected: [],
    collectedBytesMax: 1000,
    valueFileNumber: 900,
    firstOutputNumber: 20,
    outputsMax: 9,
    sstableBytesTarget: 500,
    safePoint: 0,
    tombstoneDropVersionMax: -1,
  };
  return { disk, input };
}

const signal = new AbortController().signal;

describe('the job lsm.compact', () => {
  it('keeps all versions of a key in one table, of sound tables in order', async () => {
    const { disk, input } = await setUp();
    const { tables, entriesRead, entriesDropped } = await compactTables(input, disk, signal);
    // 40 is in both runs for b and c.
    expect([entriesRead, entriesDropped]).toEqual([60 * 3 + 2 + 9, 2]);
    expect(tables.map(({ number }) => number)).toEqual([20, 21, 22, 23]);
    tables
      .slice(1)
      .forEach((table, i) => expect(compareBytes(tables[i].endKey, table.smallestKey)).toBeLessThanOrEqual(0));
    for (const table of tables) {
      const path = `tree/0000${table.number}.sst`;
      await verifySstable(new SstableReader(path, table, jobResources(disk)()));
    }
    expect(tables.reduce((sum, { entries }) => sum + entries, 0)).toBe(entriesRead - entriesDropped);
  });

  it('puts the rest into the last table when it runs out of numbers', async () => {
    const { disk, input } = await setUp();
    const { tables } = await compactTables({ ...input, outputsMax: 1 }, disk, signal);
    expect(tables).toHaveLength(1);
  });

  it('divides range tombstones that overlap among tables, each with few of them', async () => {
    const { disk, input } = await setUp();
    const random = new Prng(1);
    const keyOf = (i: number): Uint8Array => utf8(String(i).padStart(5, '0'));
    const lists: RangeFragments[] = [];
    const runs: TableMetadata[][] = [];
    for (let number = 100; number < 106; number++) {
      const tombstones = Array.from({ length: 150 }, (_, i) => {
        const lower = random.int(0, 90_000);
        const upper = random.int(lower + 1, 99_999);
        return { lower: keyOf(lower), upper: keyOf(upper), version: Timestamp(1000 * number + i) };
      });
      const fragments = fragmentsOf(tombstones);
      lists.push(fragments);
      const writer = await SstableWriter.create(disk, `tree/000${number}.sst`, number, tableOptions);
      for (const fragment of fragments) writer.addRange(fragment);
      runs.unshift([await writer.finish()]);
    }
    const rangeBytesOf = (all: RangeFragments): number => all.reduce((sum, one) => sum + encodedBytes(one), 0);
    const expected = mergeAllFragments(lists);
    const bytes = rangeBytesOf(expected);
    expect(bytes).toBeGreaterThan(3 * rangeBytesTarget);

    const { tables } = await compactTables({ ...input, runs, sstableBytesTarget: 1e9, outputsMax: 99 }, disk, signal);
    const written: RangeFragments[] = [];
    for (const table of tables) {
      const reader = new SstableReader(`tree/0000${table.number}.sst`, table, jobResources(disk)());
      written.push(await reader.rangeTombstones());
      await reader.close();
    }
    for (const list of written) expect(rangeBytesOf(list)).toBeLessThan(1.05 * rangeBytesTarget);
    expect(tables.length).toBeLessThan(1 + (1.05 * bytes) / rangeBytesTarget);
    expect(mergeAllFragments(written)).toEqual(expected);
  });

  it('makes no table when nothing stays', async () => {
    const disk = newDisk();
    await disk.makeDirectory('tree');
    const writer = await SstableWriter.create(disk, 'tree/000001.sst', 1, tableOptions);
    await writer.add(utf8('a'), 1, 'delete', utf8(''));
    const { input } = await setUp();
    const runs = [[await writer.finish()]];
    const output = await compactTables({ ...input, runs, safePoint: 5, tombstoneDropVersionMax: 5 }, disk, signal);
    expect(output).toEqual({ tables: [], valueFiles: [], entriesRead: 1, entriesDropped: 1 });
  });

  it('leaves nothing behind when it is cancelled, or an input is damaged', async () => {
    const { disk, input } = await setUp();
    const before = disk.paths();
    const cancel = new AbortController();
    const reason = new Error('enough');
    disk.fault = (operation, path) => {
      if (operation === 'write' && path.endsWith('21.sst')) cancel.abort(reason);
      return undefined;
    };
    await expect(compactTables(input, disk, cancel.signal)).rejects.toBe(reason);
    expect(disk.paths()).toEqual(before);

    disk.corrupt('tree/000002.sst', 30);
    await expect(compactTables(input, disk, signal)).rejects.toThrow(CorruptionError);
    expect(disk.paths()).toEqual(before);
  });

  it('refuses an input whose manifest counts other entries', async () => {
    const { disk, input } = await setUp();
    const runs = [[{ ...input.runs[0][0], entries: 1 }]];
    await expect(compactTables({ ...input, runs }, disk, signal)).rejects.toThrow('the manifest says 1');
  });

  it('makes the next table while the one before is synced, and leaves nothing behind when that fails', async () => {
    const { disk, input } = await setUp();
    const writer = await SstableWriter.create(disk, 'tree/000003.sst', 3, tableOptions);
    // So large that each is written, and fills a table.
    for (const key of ['a', 'b', 'c']) await writer.add(utf8(key), 1, 'put', new Uint8Array(300_000));
    const table = await writer.finish();
    const before = disk.paths();
    const syncs: Deferred<void>[] = [];
    const written: string[] = [];
    const open = disk.open.bind(disk);
    vi.spyOn(disk, 'open').mockImplementation(async (path, mode) => {
      const file = await open(path, mode);
      const write = file.write.bind(file);
      vi.spyOn(file, 'sync').mockImplementation(() => {
        const sync = deferred<void>();
        syncs.push(sync);
        return sync.promise;
      });
      vi.spyOn(file, 'write').mockImplementation((bytes, offset) => {
        written.push(path);
        return write(bytes, offset);
      });
      return file;
    });
    const outcome = compactTables({ ...input, runs: [[table]] }, disk, signal).catch((error: unknown) => error);
    await vi.waitUntil(() => written.includes('tree/000021.sst'));
    expect(syncs).toHaveLength(1);
    syncs[0].reject(new Error('the sync failed'));
    expect(await outcome).toMatchObject({ message: 'the sync failed' });
    expect(disk.paths()).toEqual(before);
  });
});
