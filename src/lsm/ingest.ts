import type { Timestamp } from '../base/ids.js';
import type { Disk } from '../env/disk.js';
import { verifyForeignSstable, verifySstableFile } from './sstable/foreign-sstable.js';
import type { TableMetadata } from './sstable/sstable-format.js';
import { currentFileName, tableFileName } from './version/file-names.js';
import { readManifest } from './version/manifest-reader.js';
import type { VersionSet } from './version/version-set.js';

/** A table that is sound cannot become part of the tree. */
export class IngestError extends Error {
  override readonly name = 'IngestError';
  readonly file: string;

  constructor(file: string, reason: string) {
    super(`${file} cannot be ingested: ${reason}`);
    this.file = file;
  }
}

/** A foreign table that was checked. Of a trimmed one only what is within its range is taken. */
export interface CheckedTable {
  readonly path: string;
  readonly metadata: TableMetadata;
}

/**
 * Reads all of every file, and syncs it. Rejects with a CorruptionError, or an IngestError, that names the first bad one.
 * @param paths of tables, which are taken whole, and of folders of trees, which say in their manifests what they have of
 * their tables: a checkpoint's are trimmed to its bounds there alone
 */
export async function checkForeignTables(
  disk: Disk,
  paths: readonly string[],
  { safePoint, closing }: { readonly safePoint: Timestamp; readonly closing: AbortSignal },
): Promise<CheckedTable[]> {
  const checked: CheckedTable[] = [];
  for (const given of paths) {
    const isTree = await disk.exists(`${given}/${currentFileName}`);
    const tables = isTree ? tablesOfTree(disk, given) : tableAlone(disk, given);
    for await (const table of tables) {
      const { path, metadata } = table;
      if (metadata.valueFiles.length > 0) throw new IngestError(path, 'its values are in files of another tree');
      if (metadata.smallestVersion <= safePoint) {
        const reason = `it has version ${metadata.smallestVersion}, which is not above the safe point ${safePoint}`;
        throw new IngestError(path, reason);
      }
      await syncFile(disk, path);
      checked.push(table);
      closing.throwIfAborted();
    }
  }
  return checked;
}

async function* tableAlone(disk: Disk, path: string): AsyncGenerator<CheckedTable, void> {
  yield { path, metadata: await verifyForeignSstable(disk, path, 0) };
}

/** Of equal entries those of later tables count: so the deepest level comes first, and the newest table last. */
async function* tablesOfTree(disk: Disk, directory: string): AsyncGenerator<CheckedTable, void> {
  const { state } = await readManifest(disk, directory);
  for (const metadata of state.levels.flat().reverse()) {
    const path = `${directory}/${tableFileName(metadata.number)}`;
    await verifySstableFile(disk, path, metadata);
    yield { path, metadata };
  }
}

async function syncFile(disk: Disk, path: string): Promise<void> {
  const file = await disk.open(path, 'read');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Gives the files their names in the tree's folder, not durably yet. On failure the names are removed again. */
export async function linkTables(
  disk: Disk,
  tables: readonly CheckedTable[],
  versions: Pick<VersionSet, 'takeFileNumbers' | 'tablePath'>,
  closing: AbortSignal,
): Promise<TableMetadata[]> {
  const firstNumber = versions.takeFileNumbers(tables.length);
  const linked: TableMetadata[] = [];
  try {
    for (const { path, metadata } of tables) {
      closing.throwIfAborted();
      const number = firstNumber + linked.length;
      await disk.link(path, versions.tablePath(number));
      linked.push({ ...metadata, number });
    }
    return linked;
  } catch (error) {
    for (const { number } of linked) await disk.remove(versions.tablePath(number)).catch(() => undefined);
    throw error;
  }
}
