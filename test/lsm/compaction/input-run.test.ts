import { describe, expect, it, vi } from 'vitest';
import { keySuccessor, utf8 } from '../../../src/base/bytes.js';
import { CorruptionError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { InputRun } from '../../../src/lsm/compaction/input-run.js';
import type { EntryIterator } from '../../../src/lsm/iterator/entry-iterator.js';
import { LevelIterator } from '../../../src/lsm/iterator/level-iterator.js';
import type { TableMetadata } from '../../../src/lsm/sstable/sstable-format.js';
import { SstableReader } from '../../../src/lsm/sstable/sstable-reader.js';
import { jobResources } from '../../../src/lsm/sstable/sstable-resources.js';
import { SstableWriter } from '../../../src/lsm/sstable/sstable-writer.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { newDisk, show } from '../harness.js';

const everything = { lower: utf8(''), upper: undefined };

function keyOf(n: number): Uint8Array {
  return utf8(`key/${String(n).padStart(6, '0')}`);
}

/** Keys from `first` on, each with up to five versions, so that versions of a key lie in several blocks. */
async function writeTable(disk: SimDisk, number: number, first: number, random: Prng): Promise<TableMetadata> {
  const options = { blockBytes: 150, bloomBitsPerKey: 10, compression: random.pick(['none', 'snappy'] as const) };
  const writer = await SstableWriter.create(disk, `${number}.sst`, number, options);
  for (let n = first; n < first + 300; n++) {
    for (let version = random.int(1, 5); version >= 1; version--) {
      const kind = random.chance(0.2) ? 'delete' : 'put';
      await writer.add(keyOf(n), version, kind, kind === 'put' ? random.bytes(random.int(0, 60)) : utf8(''));
    }
  }
  return writer.finish();
}

function readersOf(disk: SimDisk, tables: readonly TableMetadata[]): SstableReader[] {
  const resources = jobResources(disk);
  return tables.map((table) => new SstableReader(`${table.number}.sst`, table, resources()));
}

async function shown(entries: EntryIterator): Promise<string> {
  const collected = [];
  for (await entries.start(); entries.valid; await entries.advance()) {
    const { key, version, kind, value } = entries;
    collected.push({ key, version, kind, value });
  }
  return show(collected);
}

describe('an input of a merge', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'has what an iterator over the level has, of trimmed tables too, seed %i',
    async (seed) => {
      const random = new Prng(seed);
      const disk = newDisk();
      const whole = [];
      for (let i = 0; i < 3; i++) whole.push(await writeTable(disk, i + 1, 1000 * i, random));
      const part = whole.map((table, i) => {
        const from = 1000 * i + random.int(0, 299);
        const to = random.int(from, 1000 * i + 299);
        return { ...table, trimmed: true, smallestKey: keyOf(from), endKey: keySuccessor(keyOf(to)) };
      });
      for (const tables of [whole, part, [whole[0], part[1], whole[2]], [part[2]]]) {
        const run = new InputRun(readersOf(disk, tables), disk);
        expect(await shown(run)).toBe(await shown(new LevelIterator(readersOf(disk, tables), everything, false)));
        await run.close();
      }
    },
  );

  it('reads many blocks at a time, and the next ones before it is asked', async () => {
    const disk = newDisk();
    const options = { blockBytes: 8192, bloomBitsPerKey: 10, compression: 'none' } as const;
    const writer = await SstableWriter.create(disk, '1.sst', 1, options);
    for (let n = 0; n < 4000; n++) await writer.add(keyOf(n), 1, 'put', new Uint8Array(250));
    const [reader] = readersOf(disk, [await writer.finish()]);
    const lengths: number[] = [];
    const open = disk.open.bind(disk);
    vi.spyOn(disk, 'open').mockImplementation(async (path, mode) => {
      const file = await open(path, mode);
      const read = file.read.bind(file);
      vi.spyOn(file, 'read').mockImplementation((target, offset) => {
        lengths.push(target.length);
        return read(target, offset);
      });
      return file;
    });
    const run = new InputRun([reader], disk);
    await run.start();
    const isData = (length: number): boolean => length > 200_000;
    await vi.waitUntil(() => lengths.filter(isData).length === 2);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(256 * 1024);
    while (run.valid) await run.advance();
    // Footer and index, and four pieces and the rest.
    expect(lengths).toHaveLength(2 + 5);
    await run.close();
  });

  it('names file and offset of a damaged block, and closes its files', async () => {
    const disk = newDisk();
    const table = await writeTable(disk, 1, 0, new Prng(1));
    disk.corrupt('1.sst', 400);
    const [reader] = readersOf(disk, [table]);
    const open = disk.open.bind(disk);
    const closes: Promise<void>[] = [];
    vi.spyOn(disk, 'open').mockImplementation(async (path, mode) => {
      const file = await open(path, mode);
      const close = file.close.bind(file);
      vi.spyOn(file, 'close').mockImplementation(() => {
        const closed = close();
        closes.push(closed);
        return closed;
      });
      return file;
    });
    const run = new InputRun([reader], disk);
    const failure = await shown(run).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CorruptionError);
    expect(String(failure)).toMatch(/1\.sst is damaged at offset \d+: a block does not match its checksum/);
    await run.close();
    expect(closes).toHaveLength(1);

    const unfinished = new InputRun(readersOf(disk, [await writeTable(disk, 2, 0, new Prng(2))]), disk);
    await unfinished.start();
    await unfinished.close();
    expect(closes).toHaveLength(1 + 2);
  });
});
