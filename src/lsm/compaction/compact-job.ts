/**
 * The job `lsm.compact`: merges tables into new ones, in a worker. Everything it must know is in its input; what it
 * made, in its output. It changes nothing but the files that it creates.
 */
import { assert } from '../../base/assert.js';
import { equalBytes } from '../../base/bytes.js';
import type { Disk } from '../../env/disk.js';
import type { Kind } from '../entry.js';
import type { EntryIterator, Pending } from '../iterator/entry-iterator.js';
import { MergingIterator } from '../iterator/merging-iterator.js';
import { SstableReader } from '../sstable/sstable-reader.js';
import { jobResources } from '../sstable/sstable-resources.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import { SstableWriter, type SstableWriterOptions } from '../sstable/sstable-writer.js';
import { tableFileName } from '../version/file-names.js';
import { InputRun } from './input-run.js';
import { Retention, type RetentionOptions } from './retention.js';

export const compactJobType = 'lsm.compact';

export interface CompactInput extends RetentionOptions, SstableWriterOptions {
  readonly directory: string;
  /** Newest first. Tables of one run do not overlap and are in order of keys. */
  readonly runs: readonly (readonly TableMetadata[])[];
  /** The numbers of the new tables are this one and the next ones, `outputsMax` at most: the last takes what is left. */
  readonly firstOutputNumber: number;
  readonly outputsMax: number;
  /** See TreeOptions. */
  readonly sstableBytesTarget: number;
}

export interface CompactOutput {
  /** In order of keys; durable, names too. */
  readonly tables: readonly TableMetadata[];
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
  const outputs = new Outputs(input, disk);
  try {
    const counts = await merge(new MergingIterator(sources, false), outputs, new Retention(input), signal);
    await checkCounts(runs.flat(), counts.entriesRead);
    const tables = await outputs.finish();
    if (tables.length > 0) await disk.syncDirectory(input.directory);
    return { tables, ...counts };
  } catch (error) {
    await outputs.abandon();
    throw error;
  } finally {
    await Promise.all(sources.map((source) => source.close()));
    await Promise.all(runs.flat().map((reader) => reader.close()));
  }
}

async function merge(
  entries: EntryIterator,
  outputs: Outputs,
  retention: Retention,
  signal: AbortSignal,
): Promise<{ entriesRead: number; entriesDropped: number }> {
  let entriesRead = 0;
  let entriesDropped = 0;
  await entries.start();
  while (entries.valid) {
    const { key, version, kind } = entries;
    entriesRead++;
    if (retention.keeps(key, version, kind)) {
      const pending = outputs.add(key, version, kind, entries.value);
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
  return { entriesRead, entriesDropped };
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

/** The new tables, one after the other. All versions of a user key go into one. */
class Outputs {
  readonly #input: CompactInput;
  readonly #disk: Disk;
  readonly #finished: TableMetadata[] = [];
  #writer: SstableWriter | undefined;
  #created = 0;

  constructor(input: CompactInput, disk: Disk) {
    this.#input = input;
    this.#disk = disk;
  }

  add(key: Uint8Array, version: number, kind: Kind, value: Uint8Array): Pending {
    const writer = this.#writer;
    if (writer === undefined || this.#isFull(writer, key)) return this.#addToNew(key, version, kind, value);
    return writer.add(key, version, kind, value);
  }

  #isFull(writer: SstableWriter, nextKey: Uint8Array): boolean {
    return (
      writer.bytes >= this.#input.sstableBytesTarget &&
      this.#created < this.#input.outputsMax &&
      !equalBytes(writer.lastKey, nextKey)
    );
  }

  async #addToNew(...entry: Parameters<SstableWriter['add']>): Promise<void> {
    await this.#finishWriter();
    const number = this.#input.firstOutputNumber + this.#created++;
    assert(this.#created <= this.#input.outputsMax, 'a compaction ran out of numbers for its tables');
    const path = this.#path(number);
    this.#writer = await SstableWriter.create(this.#disk, path, number, this.#input);
    await this.#writer.add(...entry);
  }

  async #finishWriter(): Promise<void> {
    if (this.#writer === undefined) return;
    this.#finished.push(await this.#writer.finish());
    this.#writer = undefined;
  }

  async finish(): Promise<readonly TableMetadata[]> {
    await this.#finishWriter();
    return this.#finished;
  }

  async abandon(): Promise<void> {
    await this.#writer?.abandon();
    for (const { number } of this.#finished) await this.#disk.remove(this.#path(number)).catch(() => undefined);
  }

  #path(number: number): string {
    return `${this.#input.directory}/${tableFileName(number)}`;
  }
}
