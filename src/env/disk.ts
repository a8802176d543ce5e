/**
 * `read`, `readWrite`: the file must exist. `create`: it must not. With `Durable` each write is durable when it resolves, as with
 * a sync of its own, and one that fails leaves as little to rely on as a failed sync.
 */
export type OpenMode = 'read' | 'readWrite' | 'readWriteDurable' | 'create' | 'createDurable';

/**
 * Files, as the log and the engine see them. An implementation must keep the promises of a POSIX file system with a
 * working fsync, and no more: what was written and not synced may survive a power loss wholly, partly or not at all;
 * a created, renamed, linked or removed name survives surely only after `syncDirectory` of its folder.
 *
 * Paths are absolute or relative to the process, with `/`. Every method may reject with a {@link DiskError}.
 * A file has one user at a time for writing; reads may run side by side.
 */
export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Names in a folder, sorted; without `.` and `..`. */
  list(path: string): Promise<string[]>;
  /** False when there is nothing at `path`. */
  exists(path: string): Promise<boolean>;
  /** Creates the folder and its missing parents; no effect if it exists. */
  makeDirectory(path: string): Promise<void>;
  /** Removes one file. */
  remove(path: string): Promise<void>;
  /** Removes a folder with all it holds; no effect if it does not exist. */
  removeTree(path: string): Promise<void>;
  /** Atomic; replaces a file at `to`. */
  rename(from: string, to: string): Promise<void>;
  /** A second name for the same file. `to` must not exist. */
  link(from: string, to: string): Promise<void>;
  /** Makes the names in this folder durable. */
  syncDirectory(path: string): Promise<void>;
}

export interface DiskFile {
  readonly path: string;
  /** Bytes in the file. */
  size(): Promise<number>;
  /**
   * Fills `target` from `offset` on; resolves to the number of bytes read, which is less than asked for only at the
   * end of the file.
   */
  read(target: Uint8Array, offset: number): Promise<number>;
  /**
   * As {@link read}, before it returns, where the operating system is likely to have the bytes in memory; undefined, with
   * `target` as it was, where nobody may wait for them now: then `read` has to be taken. Throws what `read` rejects with.
   */
  readNow(target: Uint8Array, offset: number): number | undefined;
  /** Writes all of `bytes` at `offset`; the caller leaves them unchanged until this resolves. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** Resolves when all that was written before is durable. After a rejection nothing written may be relied on. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * `noSpace`: the device or quota is full. `io`: the device failed. `otherFileSystem`: a link or a renaming would lead to
 * another one. `crashed`: the simulated process died. The rest as in POSIX.
 */
export type DiskErrorCode =
  'notFound' | 'exists' | 'noSpace' | 'notPermitted' | 'otherFileSystem' | 'io' | 'closed' | 'crashed';

export class DiskError extends Error {
  override readonly name = 'DiskError';
  readonly code: DiskErrorCode;
  readonly path: string;

  constructor(code: DiskErrorCode, path: string, operation: string, cause?: unknown) {
    const reason = cause instanceof Error ? `${code} (${cause.message})` : code;
    super(`${operation} ${path}: ${reason}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.path = path;
  }
}

/** Reads a whole small file. */
export async function readWholeFile(disk: Disk, path: string): Promise<Uint8Array> {
  const file = await disk.open(path, 'read');
  try {
    const bytes = new Uint8Array(await file.size());
    const length = await file.read(bytes, 0);
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

/** Creates the folder and its missing parents, and makes their names durable. What is there stays as it is. */
export async function makeDurableDirectory(disk: Disk, path: string): Promise<void> {
  const missing: string[] = [];
  for (let folder = path; !(await disk.exists(folder)); folder = parentOf(folder)) missing.unshift(folder);
  await disk.makeDirectory(path);
  try {
    // Also where the folder was there: a crash may have come between its making and this.
    for (const folder of missing.length === 0 ? [path] : missing) await disk.syncDirectory(parentOf(folder));
  } catch (error) {
    // A disk forgets what it failed to write, and the next sync succeeds: whoever saw the folder would take it for durable.
    if (missing.length > 0) await disk.removeTree(missing[0]).catch(() => undefined);
    throw error;
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}

/**
 * Puts a small file in place so that after a crash either the old content is there or the new one, whole:
 * write aside, sync, rename, sync the folder.
 */
export async function replaceFile(disk: Disk, folder: string, name: string, content: Uint8Array): Promise<void> {
  const aside = `${folder}/${name}.new`;
  if (await disk.exists(aside)) await disk.remove(aside);
  const file = await disk.open(aside, 'create');
  try {
    await file.write(content, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(aside, `${folder}/${name}`);
  await syncNames(disk, folder);
}

/**
 * Makes the names in the folder durable, of all work that is under way there. What fails is never `noSpace`: the names are
 * forgotten by the disk, and a later sync, when there is room, succeeds without them.
 */
export async function syncNames(disk: Disk, folder: string): Promise<void> {
  try {
    await disk.syncDirectory(folder);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === 'noSpace')) throw error;
    throw new DiskError('io', folder, 'syncDirectory', error);
  }
}
