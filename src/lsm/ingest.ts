import type { Timestamp } from '../base/ids.js';
import type { Disk } from '../env/disk.js';
import { verifyForeignSstable } from './sstable/foreign-sstable.js';
import type { TableMetadata } from './sstable/sstable-format.js';
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

/** A foreign table that was checked, and is durable. */
export interface CheckedTable {
  readonly path: string;
  readonly metadata: TableMetadata;
}

/** Reads all of every file, and syncs it. Rejects with a CorruptionError, or an IngestError, that names the first bad one. */
export async function checkForeignTables(
  disk: Disk,
  paths: readonly string[],
  { safePoint }: { readonly safePoint: Timestamp },
): Promise<CheckedTable[]> {
  const checked: CheckedTable[] = [];
  for (const path of paths) {
    const metadata = await verifyForeignSstable(disk, path, 0);
    if (metadata.smallestVersion <= safePoint) {
      const reason = `it has version ${metadata.smallestVersion}, which is not above the safe point ${safePoint}`;
      throw new IngestError(path, reason);
    }
    await syncFile(disk, path);
    checked.push({ path, metadata });
  }
  return checked;
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
): Promise<TableMetadata[]> {
  const firstNumber = versions.takeFileNumbers(tables.length);
  const linked: TableMetadata[] = [];
  try {
    for (const { path, metadata } of tables) {
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
