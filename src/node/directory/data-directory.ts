import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { QuorateError } from '../../base/errors.js';
import { makeDurableDirectory, type Disk } from '../../env/disk.js';
import { identityFileName } from './identity.js';
import { DirectoryLockedError, lockDirectory, type DirectoryLock } from '../../platform/directory-lock.js';

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

/**
 * As {@link openDataDirectory}, of a tree by itself. One of a node's is taken with the data directory of the node, which locks
 * nothing else while it runs.
 */
export async function openTreeDirectory(disk: Disk, tree: string): Promise<AsyncDisposable> {
  const dataDirectory = await dataDirectoryOf(disk, tree);
  if (dataDirectory === undefined) return openDataDirectory(disk, tree);
  const outer = await openDataDirectory(disk, dataDirectory);
  try {
    const inner = await openDataDirectory(disk, tree);
    return {
      async [Symbol.asyncDispose]() {
        try {
          await inner.release();
        } finally {
          await outer.release();
        }
      },
    };
  } catch (error) {
    await outer.release();
    throw error;
  }
}

/** Of the node whose tree is, or would be, in this folder; undefined where it is nobody's. */
export async function dataDirectoryOf(disk: Disk, tree: string): Promise<string | undefined> {
  const shards = dirname(await realPlace(tree));
  const dataDirectory = dirname(shards);
  const isOfNode = basename(shards) === 'shards' && (await disk.exists(join(dataDirectory, identityFileName)));
  return isOfNode ? dataDirectory : undefined;
}

/** The place itself, not that of a link to it or of `.`; also of what is not there yet. */
async function realPlace(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    return await realpath(absolute);
  } catch {
    const above = dirname(absolute);
    return above === absolute ? absolute : join(await realPlace(above), basename(absolute));
  }
}

/** Why a directory cannot be made or used. */
export function unusableReason(error: unknown): string {
  const code = systemCodeOf(error);
  if (code !== undefined) return `${reasons[code]} (${code})`;
  return error instanceof Error ? error.message : String(error);
}

/** Which of the known codes the operating system gave, wherever it is in the chain of causes. */
export function systemCodeOf(error: unknown): keyof typeof reasons | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (code !== undefined && code in reasons) return code;
  }
  return undefined;
}
