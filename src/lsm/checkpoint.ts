import { defined } from '../base/assert.js';
import type { LogIndex } from '../base/ids.js';
import { DiskError, makeDurableDirectory, type Disk } from '../env/disk.js';
import type { KeyBounds } from './iterator/entry-iterator.js';
import { trimSstable } from './sstable/trim-sstable.js';
import type { TableMetadata } from './sstable/sstable-format.js';
import { noValueFiles, valueFilesAfter, type ValueFiles } from './value/value-files.js';
import { emptyLevels, type Levels } from './version/levels.js';
import type { TreeState } from './version/manifest-reader.js';
import { currentFileName, tableFileName, valueFileName } from './version/file-names.js';
import type { LsmVersion } from './version/lsm-version.js';
import { ManifestWriter } from './version/manifest-writer.js';

export interface CheckpointContent {
  readonly version: LsmVersion;
  /** Of the last batch in it. */
  readonly appliedIndex: LogIndex;
  /** Which keys go into the checkpoint; tables at the bounds are trimmed. */
  readonly bounds: KeyBounds;
}

/**
 * Writes a tree of its own with the tables of a version: hard links to their files, which never change, and a manifest.
 * Its root comes last, so that after a crash there is the whole checkpoint or no tree; what the folder has then belongs
 * to nobody and may be removed. Rejects with a DiskError `exists` if there is something at `directory`, and with the
 * signal's reason if that is aborted before all tables are there; then nothing is left, as far as the disk allows.
 */
export async function writeCheckpoint(
  disk: Disk,
  directory: string,
  content: CheckpointContent,
  closing: AbortSignal,
): Promise<void> {
  // Its tables stay until they have names in the new folder.
  content.version.retain();
  try {
    await write(disk, directory, content, closing);
  } finally {
    content.version.release();
  }
}

async function write(disk: Disk, directory: string, content: CheckpointContent, closing: AbortSignal): Promise<void> {
  if (await disk.exists(directory)) throw new DiskError('exists', directory, 'checkpoint');
  await makeDurableDirectory(disk, directory);
  try {
    const levels = await linkTablesWithin(disk, directory, content, closing);
    const valueFiles = valueFilesOf(content.version.valueFiles, levels);
    await linkValueFiles(disk, directory, content.version, valueFiles, closing);
    await writeManifest(disk, directory, { levels, valueFiles }, content.appliedIndex);
  } catch (error) {
    await remove(disk, directory).catch(() => undefined);
    throw error;
  }
}

/** The root first: a crash on the way must not leave a tree that misses tables. */
async function remove(disk: Disk, directory: string): Promise<void> {
  const root = `${directory}/${currentFileName}`;
  if (await disk.exists(root)) {
    await disk.remove(root);
    await disk.syncDirectory(directory);
  }
  await disk.removeTree(directory);
}

async function linkTablesWithin(
  disk: Disk,
  directory: string,
  { version, bounds }: CheckpointContent,
  closing: AbortSignal,
): Promise<Levels> {
  const levels: TableMetadata[][] = version.levels.map(() => []);
  for (const { level, reader } of version.tablesWithin(bounds)) {
    closing.throwIfAborted();
    const table = await trimSstable(reader, bounds);
    if (table === undefined) continue;
    await disk.link(reader.path, `${directory}/${tableFileName(table.number)}`);
    levels[level].push(table);
  }
  return levels;
}

/** Those of `files` that the tables name. */
function valueFilesOf(files: ValueFiles, levels: Levels): ValueFiles {
  const added = levels.flatMap((tables, level) => tables.map((table) => ({ level, table })));
  const named = new Set(levels.flat().flatMap((table) => table.valueFiles.map(({ number }) => number)));
  const addedValues = [...files.values()].flatMap(({ metadata }) => (named.has(metadata.number) ? [metadata] : []));
  return valueFilesAfter(noValueFiles, emptyLevels, { removed: [], added, addedValues });
}

async function linkValueFiles(
  disk: Disk,
  directory: string,
  { sharedValues }: LsmVersion,
  files: ValueFiles,
  closing: AbortSignal,
): Promise<void> {
  for (const number of files.keys()) {
    closing.throwIfAborted();
    const { path } = defined(sharedValues.get(number), 'a value file that a table names').reader;
    await disk.link(path, `${directory}/${valueFileName(number)}`);
  }
}

async function writeManifest(
  disk: Disk,
  directory: string,
  files: Pick<TreeState, 'levels' | 'valueFiles'>,
  appliedIndex: LogIndex,
): Promise<void> {
  const numbers = [...files.levels.flat().map((table) => table.number), ...files.valueFiles.keys()];
  const number = 1 + numbers.reduce((largest, each) => Math.max(largest, each), 0);
  const state = { ...files, appliedIndex, nextFileNumber: number + 1 };
  // A new manifest syncs the folder before its root is put in place: the links are durable then, too.
  const writer = new ManifestWriter(disk, directory, 0);
  await writer.append({ ...state, removed: [], added: [], addedValues: [] }, state, () => number);
}
