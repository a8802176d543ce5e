/**
 * The job `lsm.flush`: writes the entries of a sealed memtable as a table, in a worker, from memory that it shares with
 * the main thread (docs/decisions/2026-11-21-flush-in-a-worker.md).
 */
import type { Disk } from '../../env/disk.js';
import { Retention } from '../compaction/retention.js';
import type { RangeFragments } from '../range/range-tombstones.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import { SstableWriter, type SstableWriterOptions } from '../sstable/sstable-writer.js';
import { tableFileName } from '../version/file-names.js';
import { EntryArena } from './entry-arena.js';
import { realignedFrom } from './realign.js';

export const flushJobType = 'lsm.flush';

export interface FlushInput extends SstableWriterOptions {
  readonly directory: string;
  /** The table's number. */
  readonly number: number;
  /** No read is made at a version below this one. */
  readonly safePoint: number;
  /** See EntryArena.buffers. */
  readonly buffers: readonly SharedArrayBuffer[];
  /** Of all entries, in order. */
  readonly references: Int32Array;
  /** Lists that hide together. If there is none of them, there is an entry at least. */
  readonly ranges: readonly RangeFragments[];
}

/** The table is durable when this resolves, but for its name. On failure nothing is left behind, as far as the disk allows. */
export async function flushEntries(input: FlushInput, disk: Disk, signal: AbortSignal): Promise<TableMetadata> {
  const { directory, number, safePoint, references } = input;
  const writer = await SstableWriter.create(disk, `${directory}/${tableFileName(number)}`, number, input);
  try {
    const entries = EntryArena.of(input.buffers);
    const retention = new Retention({ safePoint, tombstoneDropVersionMax: -1 }, input.ranges);
    for (const reference of references) {
      const key = entries.keyOf(reference);
      const version = entries.versionOf(reference);
      const kind = entries.kindOf(reference);
      if (!retention.keeps(key, version, kind)) continue;
      const pending = writer.add(key, version, kind, realignedFrom(entries.valueOf(reference)));
      if (pending === undefined) continue;
      await pending;
      signal.throwIfAborted();
    }
    for (const fragment of retention.ranges) writer.addRange(fragment);
    return await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}
