/**
 * The job `lsm.flush`: writes the entries of a sealed memtable as a table, in a worker, from a copy of its memory
 * (docs/decisions/2026-11-22-memtables-are-not-shared.md).
 */
import type { Disk } from '../../env/disk.js';
import { Retention, visibleVersions } from '../compaction/retention.js';
import { RangeCover } from '../range/range-cover.js';
import { fragmentsOf, withVersions, type RangeTombstone } from '../range/range-tombstones.js';
import type { Compression } from '../sstable/compression.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import { SstableWriter, type SstableWriterOptions } from '../sstable/sstable-writer.js';
import type { Pending } from '../iterator/entry-iterator.js';
import type { ValueFileMetadata } from '../value/value-file-format.js';
import { ValueOutput } from '../value/value-output.js';
import { tableFileName } from '../version/file-names.js';
import { EntryArena } from './entry-arena.js';

export const flushJobType = 'lsm.flush';

export interface FlushInput extends SstableWriterOptions {
  readonly directory: string;
  /** The table's number. */
  readonly number: number;
  /** Of the value file, if there will be one. */
  readonly valueFileNumber: number;
  /** Of values in that file; `compression` is that of the table. */
  readonly valueCompression: Compression;
  /** See TreeOptions. */
  readonly largeValueBytesMin: number;
  /** No read is made at a version below this one. */
  readonly safePoint: number;
  /** A copy of EntryArena.buffers, which is given to the job. */
  readonly buffers: readonly ArrayBuffer[];
  /** Of all entries, in order. */
  readonly references: Int32Array;
  /** In any order. If there is none of them, there is an entry at least. */
  readonly rangeTombstones: readonly RangeTombstone[];
}

export interface FlushOutput {
  readonly table: TableMetadata;
  readonly valueFiles: readonly ValueFileMetadata[];
}

/** The files are durable when this resolves, but for their names. On failure nothing is left behind, as far as the disk allows. */
export async function flushEntries(input: FlushInput, disk: Disk, signal: AbortSignal): Promise<FlushOutput> {
  const { directory, number, safePoint, references } = input;
  const entries = EntryArena.of(input.buffers);
  const ranges = withVersions(fragmentsOf(input.rangeTombstones), ({ versions }) =>
    visibleVersions(versions, safePoint),
  );
  const cover = new RangeCover([ranges], safePoint);
  const retention = new Retention({ safePoint, tombstoneDropVersionMax: -1 }, cover);
  const values = new ValueOutput(input, disk);
  const writer = await SstableWriter.create(disk, `${directory}/${tableFileName(number)}`, number, input);
  try {
    for (const reference of references) {
      const key = entries.keyOf(reference);
      const version = entries.versionOf(reference);
      const kind = entries.kindOf(reference);
      if (!retention.keeps(key, version, kind)) continue;
      const value = entries.valueOf(reference);
      let pending: Pending;
      if (kind === 'put' && value.length >= input.largeValueBytesMin) {
        const room = values.ready();
        if (room !== undefined) {
          await room;
          signal.throwIfAborted();
        }
        pending = writer.add(key, version, 'pointer', values.add(value, input.valueCompression));
      } else {
        pending = writer.add(key, version, kind, value);
      }
      if (pending === undefined) continue;
      await pending;
      signal.throwIfAborted();
    }
    for (const fragment of ranges) writer.addRange(fragment);
    const valueFiles = await values.finish();
    return { table: await writer.finish(), valueFiles };
  } catch (error) {
    await writer.abandon();
    await values.abandon();
    throw error;
  }
}
