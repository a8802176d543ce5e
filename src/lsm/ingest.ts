import { defined } from '../base/assert.js';
import type { Timestamp } from '../base/ids.js';
import type { MaybePromise } from '../base/promises.js';
import { DiskError, type Disk } from '../env/disk.js';
import { smallestVersionOf, verifyForeignSstable, verifySstableFile } from './sstable/foreign-sstable.js';
import { OpenFiles } from './sstable/open-files.js';
import type { TableMetadata } from './sstable/sstable-format.js';
import type { SstableWriterOptions } from './sstable/sstable-writer.js';
import { repointTable } from './value/repoint-table.js';
import type { ValueFileMetadata, ValuePointer } from './value/value-file-format.js';
import { ValueFileReader } from './value/value-file-reader.js';
import { currentFileName, tableFileName, valueFileName } from './version/file-names.js';
import { readManifest } from './version/manifest-reader.js';
import type { VersionSet } from './version/version-set.js';

/** Value files of a tree that is taken in, while it is checked. */
const openFilesMax = 16;

/** What was given is no table or tree, or one that is sound but cannot become part of this tree. */
export class IngestError extends Error {
  override readonly name = 'IngestError';
  readonly file: string;

  constructor(file: string, reason: string, cause?: DiskError) {
    super(`${file} cannot be ingested: ${reason}`, cause === undefined ? undefined : { cause });
    this.file = file;
  }
}

/** Of a trimmed table only what is within its range is taken. */
interface CheckedTable {
  readonly path: string;
  readonly metadata: TableMetadata;
}

interface CheckedValueFile {
  readonly path: string;
  readonly metadata: ValueFileMetadata;
}

/** What one path has given, and was checked: a table, or those of a tree. */
export interface ForeignFiles {
  /** Of equal entries those of later tables count. */
  readonly tables: readonly CheckedTable[];
  /** Those that the tables name, by the numbers of their own tree. */
  readonly valueFiles: readonly CheckedValueFile[];
}

interface CheckOptions {
  readonly safePoint: Timestamp;
  readonly closing: AbortSignal;
}

/** Throws an IngestError for a path of the tree's own files, which merges remove: as far as its name tells. */
export function requireForeign(paths: readonly string[], directory: string): void {
  const own = plainPath(directory);
  for (const path of paths) {
    const plain = plainPath(path);
    if (plain === own || plain.startsWith(`${own}/`)) throw new IngestError(path, 'the tree has it already');
  }
}

/** Without what a path may have in vain. */
function plainPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..' && parts.length > 0 && parts[parts.length - 1] !== '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return (path.startsWith('/') ? '/' : '') + parts.join('/');
}

/**
 * Reads all of every file, and syncs it. Rejects with a CorruptionError, or an IngestError, that names the first bad one.
 * @param paths of tables, which are taken whole, and of folders of trees, which say in their manifests what they have of
 * their tables: a checkpoint's are trimmed to its bounds there alone
 */
export async function checkForeignFiles(
  disk: Disk,
  paths: readonly string[],
  options: CheckOptions,
): Promise<readonly ForeignFiles[]> {
  const checked: ForeignFiles[] = [];
  for (const path of paths) {
    const isTree = await disk.exists(`${path}/${currentFileName}`);
    checked.push(await (isTree ? filesOfTree(disk, path, options) : tableAlone(disk, path, options)));
  }
  return checked;
}

async function requireTable(disk: Disk, path: string): Promise<void> {
  if (!(await disk.exists(path))) throw new IngestError(path, 'there is nothing of that name');
  const isFolder = await disk.list(path).then(
    () => true,
    () => false,
  );
  if (isFolder)
    throw new IngestError(path, `it is a folder without ${currentFileName}, so that there is no tree in it`);
}

async function tableAlone(disk: Disk, path: string, options: CheckOptions): Promise<ForeignFiles> {
  await requireTable(disk, path);
  const table = { path, metadata: await verifyForeignSstable(disk, path, 0) };
  if (table.metadata.valueFiles.length > 0) {
    throw new IngestError(path, 'it points to value files: the folder of its tree must be given');
  }
  await accept(disk, table, options);
  return { tables: [table], valueFiles: [] };
}

/** The deepest level comes first, and the newest table last. */
async function filesOfTree(disk: Disk, directory: string, options: CheckOptions): Promise<ForeignFiles> {
  const { state } = await readManifest(disk, directory);
  const openFiles = new OpenFiles(openFilesMax);
  const readers = [...state.valueFiles.values()].map(({ metadata }) => {
    return new ValueFileReader(`${directory}/${valueFileName(metadata.number)}`, metadata, { disk, openFiles });
  });
  const byNumber = new Map(readers.map((reader) => [reader.metadata.number, reader]));
  const follow = (pointer: ValuePointer): MaybePromise<unknown> => {
    options.closing.throwIfAborted();
    // Where there is none, the table is found to name other files than it says.
    return byNumber.get(pointer.file)?.verifyPointer(pointer);
  };
  try {
    for (const reader of readers) {
      await reader.verify();
      await syncFile(disk, reader.path);
      options.closing.throwIfAborted();
    }
    const tables: CheckedTable[] = [];
    for (const metadata of state.levels.flat().reverse()) {
      const table = { path: `${directory}/${tableFileName(metadata.number)}`, metadata };
      await verifySstableFile(disk, table.path, metadata, follow);
      await accept(disk, table, options);
      tables.push(table);
    }
    return { tables, valueFiles: readers.map(({ path, metadata }) => ({ path, metadata })) };
  } finally {
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

async function accept(disk: Disk, { path, metadata }: CheckedTable, options: CheckOptions): Promise<void> {
  const { safePoint, closing } = options;
  if (metadata.smallestVersion <= safePoint) {
    const smallest = await smallestVersionOf(disk, path, metadata);
    if (smallest <= safePoint) {
      throw new IngestError(path, `it has version ${smallest}, which is not above the safe point ${safePoint}`);
    }
  }
  await syncFile(disk, path);
  closing.throwIfAborted();
}

async function syncFile(disk: Disk, path: string): Promise<void> {
  const file = await disk.open(path, 'read');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

export interface TakenFiles {
  readonly tables: readonly TableMetadata[];
  readonly valueFiles: readonly ValueFileMetadata[];
}

/**
 * Gives the files names in the tree's folder, not durably yet. Tables that point to value files are written again: those
 * have other numbers here. On failure nothing is left behind, as far as the disk allows.
 */
export async function takeFiles(
  disk: Disk,
  sources: readonly ForeignFiles[],
  versions: Pick<VersionSet, 'takeFileNumbers' | 'directory'>,
  { closing, ...options }: SstableWriterOptions & { readonly closing: AbortSignal },
): Promise<TakenFiles> {
  const { directory } = versions;
  const paths: string[] = [];
  const tables: TableMetadata[] = [];
  const valueFiles: ValueFileMetadata[] = [];
  try {
    for (const source of sources) {
      const fileNumbers = new Map(
        source.valueFiles.map(({ metadata }) => [metadata.number, versions.takeFileNumbers(1)]),
      );
      const named = new Set<number>();
      for (const table of source.tables) {
        closing.throwIfAborted();
        const number = versions.takeFileNumbers(1);
        const path = `${directory}/${tableFileName(number)}`;
        const taken =
          table.metadata.valueFiles.length === 0
            ? await linkForeign(disk, table.path, path).then(() => ({ ...table.metadata, number }))
            : await repointTable(disk, table, { ...options, path, number, fileNumbers }, closing);
        paths.push(path);
        tables.push(taken);
        for (const file of taken.valueFiles) named.add(file.number);
      }
      for (const { path: from, metadata } of source.valueFiles) {
        const number = defined(fileNumbers.get(metadata.number), 'the new number of a value file');
        // Trimmed tables may have named it for what is not taken.
        if (!named.has(number)) continue;
        closing.throwIfAborted();
        const path = `${directory}/${valueFileName(number)}`;
        await linkForeign(disk, from, path);
        paths.push(path);
        valueFiles.push({ ...metadata, number });
      }
    }
    return { tables, valueFiles };
  } catch (error) {
    for (const path of paths) await disk.remove(path).catch(() => undefined);
    throw error;
  }
}

async function linkForeign(disk: Disk, from: string, to: string): Promise<void> {
  try {
    await disk.link(from, to);
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'otherFileSystem') throw error;
    throw new IngestError(from, 'it is on another file system: copy it to that of the tree first', error);
  }
}
