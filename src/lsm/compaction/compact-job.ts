/**
 * The job `lsm.compact`: merges tables into new ones, in a worker. Everything it must know is in its input; what it
 * made, in its output. It changes nothing but the files that it creates.
 */
import { emptyBytes } from '../../base/bytes.js';
import type { Disk } from '../../env/disk.js';
import type { EntryIterator } from '../iterator/entry-iterator.js';
import { MergingIterator } from '../iterator/merging-iterator.js';
import type { RangeStream } from '../range/merge-ranges.js';
import { scanRanges } from '../sstable/range-scan.js';
import { SstableReader } from '../sstable/sstable-reader.js';
import { jobResources } from '../sstable/sstable-resources.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import { tableFileName } from '../version/file-names.js';
import type { ValueFileMetadata } from '../value/value-file-format.js';
import { ValueCollection } from '../value/value-collection.js';
import { InputRun } from './input-run.js';
import { MergedRanges } from './merged-ranges.js';
import { OutputTables, type OutputOptions } from './output-tables.js';
import { Retention, type RetentionOptions } from './retention.js';

export const compactJobType = 'lsm.compact';

/** Inputs and outputs are in one directory. */
export interface CompactInput extends RetentionOptions, OutputOptions {
  /** Newest first. Tables of one run do not overlap and are in order of keys. */
  readonly runs: readonly (readonly TableMetadata[])[];
  /** Values that are met in these are moved to a new file, until that has `collectedBytesMax`. */
  readonly collected: readonly ValueFileMetadata[];
  readonly collectedBytesMax: number;
  readonly valueFileNumber: number;
}

export interface CompactOutput {
  /** In order of keys; durable, but for their names. */
  readonly tables: readonly TableMetadata[];
  /** Of values that were moved. */
  readonly valueFiles: readonly ValueFileMetadata[];
  readonly entriesRead: number;
  readonly entriesDropped: number;
}

/**
 * Rejects with a CorruptionError if an input is damaged, and with the signal's reason if that is aborted. Then no
 * output is left behind, as far as the disk allows.
 */
export async function compactTables(input: CompactInput, disk: Disk, signal: AbortSignal): Promise<CompactOutput> {
  const resources = jobResources(disk);
  const runs = input.runs.map((tables) =>
    tables.map((table) => {
      const path = `${input.directory}/${tableFileName(table.number)}`;
      return new SstableReader(path, table, resources());
    }),
  );
  const sources = runs.map((tables) => new InputRun(tables, disk));
  const values = new ValueCollection(input, disk);
  let outputs: OutputTables | undefined;
  try {
    const ranges = new MergedRanges(input, runs.map(rangesOf));
    outputs = new OutputTables(input, disk);
    const merging = { entries: new MergingIterator(sources, false), ranges, outputs, values };
    const counts = await merge(merging, new Retention(input, ranges), signal);
    await checkCounts(runs.flat(), counts.entriesRead);
    const valueFiles = await values.finish();
    const tables = await outputs.finish();
    return { tables, valueFiles, ...counts };
  } catch (error) {
    await outputs?.abandon();
    await values.abandon();
    throw error;
  } finally {
    await values.close();
    await Promise.all(sources.map((source) => source.close()));
    await Promise.all(runs.flat().map((reader) => reader.close()));
  }
}

/** In memory is the range tombstone block of one table. */
async function* rangesOf(run: readonly SstableReader[]): RangeStream {
  for (const table of run) yield* scanRanges(table, { lower: emptyBytes, upper: undefined });
}

interface Merging {
  readonly entries: EntryIterator;
  readonly ranges: MergedRanges;
  readonly outputs: OutputTables;
  readonly values: ValueCollection;
}

async function merge(
  { entries, ranges, outputs, values }: Merging,
  retention: Retention,
  signal: AbortSignal,
): Promise<{ entriesRead: number; entriesDropped: number }> {
  let entriesRead = 0;
  let entriesDropped = 0;
  await ranges.start();
  await entries.start();
  while (entries.valid) {
    const { key, version, kind } = entries;
    entriesRead++;
    if (ranges.beginsBy(key)) await mergeRangesUpTo(key, ranges, outputs, signal);
    if (retention.keeps(key, version, kind)) {
      const moving = kind === 'pointer' ? values.move(entries.value) : entries.value;
      const value = moving instanceof Promise ? await moving : moving;
      if (moving instanceof Promise) signal.throwIfAborted();
      const pending = outputs.add(key, version, kind, value);
      if (pending !== undefined) await pending;
    } else {
      entriesDropped++;
    }
    const pending = entries.advance();
    if (pending !== undefined) {
      await pending;
      signal.throwIfAborted();
    }
  }
  await mergeRangesUpTo(undefined, ranges, outputs, signal);
  return { entriesRead, entriesDropped };
}

async function mergeRangesUpTo(
  key: Uint8Array | undefined,
  ranges: MergedRanges,
  outputs: OutputTables,
  signal: AbortSignal,
): Promise<void> {
  while (ranges.beginsBy(key)) {
    const range = await ranges.begin();
    if (range !== undefined) await outputs.addRange(range);
    signal.throwIfAborted();
  }
}

/** Every block was checked against its checksum; a block that the index forgot would show here, in whole tables. */
async function checkCounts(readers: readonly SstableReader[], entriesRead: number): Promise<void> {
  for (const reader of readers) {
    const properties = await reader.readProperties();
    if (properties.entries !== reader.metadata.entries) {
      throw reader.corruption(0, `it has ${properties.entries} entries, the manifest says ${reader.metadata.entries}`);
    }
  }
  const expected = readers.reduce((sum, { metadata }) => sum + metadata.entries, 0);
  const isExact = readers.every(({ metadata }) => !metadata.trimmed);
  if (isExact ? entriesRead !== expected : entriesRead > expected) {
    throw readers[0].corruption(
      0,
      `merging it with others read ${entriesRead} entries, of which there are ${expected}`,
    );
  }
}
