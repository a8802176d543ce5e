import { QuorateError } from '../base/errors.js';
import { makeDurableDirectory, type Disk } from '../env/disk.js';
import { DirectoryLockedError, lockDirectory, type DirectoryLock } from '../platform/directory-lock.js';

const reasons: Readonly<Record<string, string>> = {
  EEXIST: 'it is a file, not a directory',
  ENOTDIR: 'a part of its path is a file, not a directory',
  ENOENT: 'no directory can be made there',
  EACCES: 'no permission to write there',
  EPERM: 'no permission to write there',
  EROFS: 'the file system is mounted read-only',
  ENOSPC: 'the disk is full',
};

/**
 * Makes the data directory with the folders above it where they are missing, durably, and takes it for this process.
 *
 * @throws DirectoryLockedError when another process has it; QuorateError (INVALID_ARGUMENT) that names the directory and
 * says why it cannot be used
 */
export async function openDataDirectory(disk: Disk, directory: string): Promise<DirectoryLock> {
  try {
    await makeDurableDirectory(disk, directory);
    return await lockDirectory(directory);
  } catch (error) {
    if (error instanceof DirectoryLockedError) throw error;
    throw new QuorateError('INVALID_ARGUMENT', `cannot use the data directory ${directory}: ${unusableReason(error)}`, {
      cause: error,
    });
  }
}

/** Why a directory cannot be made or used: by the code that the operating system gave, wherever it is in the chain of causes. */
export function unusableReason(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    const reason = code === undefined ? undefined : reasons[code];
    if (reason !== undefined) return `${reason} (${code})`;
  }
  return error instanceof Error ? error.message : String(error);
}
