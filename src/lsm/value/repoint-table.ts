import { defined } from '../../base/assert.js';
import type { Disk } from '../../env/disk.js';
import { InputRun } from '../compaction/input-run.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import { SstableReader } from '../sstable/sstable-reader.js';
import { jobResources } from '../sstable/sstable-resources.js';
import { SstableWriter, type SstableWriterOptions } from '../sstable/sstable-writer.js';
import { decodeValuePointer, encodeValuePointer } from './value-file-format.js';

export interface RepointOptions extends SstableWriterOptions {
  readonly path: string;
  /** The new table's. */
  readonly number: number;
  /** What is to be written for each number of a value file. */
  readonly fileNumbers: ReadonlyMap<number, number>;
}

/**
 * Writes what a tree has of a table to a new one, whose pointers name the same value files by other numbers. It is durable
 * but for its name. On failure nothing is left behind, as far as the disk allows.
 */
export async function repointTable(
  disk: Disk,
  table: { readonly path: string; readonly metadata: TableMetadata },
  options: RepointOptions,
  signal: AbortSignal,
): Promise<TableMetadata> {
  const reader = new SstableReader(table.path, table.metadata, jobResources(disk)());
  const entries = new InputRun([reader], disk);
  const writer = await SstableWriter.create(disk, options.path, options.number, options);
  const repointed = (encoded: Uint8Array): Uint8Array => {
    const pointer = decodeValuePointer(encoded);
    const file = defined(options.fileNumbers.get(pointer.file), 'the new number of a value file');
    return encodeValuePointer({ ...pointer, file });
  };
  try {
    await entries.start();
    while (entries.valid) {
      const { key, version, kind, value } = entries;
      await writer.add(key, version, kind, kind === 'pointer' ? repointed(value) : value);
      const pending = entries.advance();
      if (pending === undefined) continue;
      await pending;
      signal.throwIfAborted();
    }
    for (const range of await reader.rangeTombstones()) writer.addRange(range);
    return await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  } finally {
    await entries.close();
    await reader.close();
  }
}
