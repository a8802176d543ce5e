import type { Disk } from '../../env/disk.js';
import { Retention } from '../compaction/retention.js';
import { emptyBytes } from '../../base/bytes.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import { SstableWriter, type SstableWriterOptions } from '../sstable/sstable-writer.js';
import type { Memtable } from './memtable.js';
import { MemtableIterator } from './memtable-iterator.js';

export interface FlushTarget {
  readonly disk: Disk;
  readonly directory: string;
  readonly path: string;
  /** The table's number. */
  readonly number: number;
}

/**
 * Writes a sealed memtable, which must not be empty, as a table; durable when this resolves, name too. Runs on the main
 * thread and gives way at every write. On failure nothing is left behind, as far as the disk allows.
 */
export async function flushMemtable(
  memtable: Memtable,
  target: FlushTarget,
  safePoint: number,
  options: SstableWriterOptions,
  signal: AbortSignal,
): Promise<TableMetadata> {
  const writer = await SstableWriter.create(target.disk, target.path, target.number, options);
  try {
    const retention = new Retention({ safePoint, tombstoneDropVersionMax: -1 });
    const entries = new MemtableIterator(memtable, { lower: emptyBytes, upper: undefined }, false);
    for (entries.start(); entries.valid; entries.advance()) {
      const { key, version, kind } = entries;
      if (!retention.keeps(key, version, kind)) continue;
      const pending = writer.add(key, version, kind, entries.value);
      if (pending !== undefined) {
        await pending;
        signal.throwIfAborted();
      }
    }
    const table = await writer.finish();
    await target.disk.syncDirectory(target.directory);
    return table;
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}
