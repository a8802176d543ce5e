/** The data directory of a node that does not run, for tools: where its trees are, and that nobody else is at them. */
import { QuorateError } from '../base/errors.js';
import { TreeInspection } from '../lsm/tree-inspection.js';
import { Tree } from '../lsm/tree.js';
import { fileOfLostTree } from '../lsm/version/file-names.js';
import { NodeDisk } from '../platform/disk.js';
import { isLockName, lockDirectory, refuseHeldDirectory, type DirectoryLock } from '../platform/directory-lock.js';
import { dataDirectoryOf, systemCodeOf } from './directory/data-directory.js';

export type { RangeTombstone } from '../lsm/range/range-tombstones.js';

/** What storage tools work on. Held until it is disposed. */
export interface ClosedStorage extends AsyncDisposable {
  /** Folders of trees, in order of their shards. */
  readonly trees: readonly string[];
  /**
   * Folders on a read-only file system, which cannot be locked: no process of this machine has them, but one on another
   * machine may, where the file system can be written to, or one that takes them now by another mount.
   */
  readonly unlocked: readonly string[];
  /** Rejects with a CorruptionError where the tree's manifest is damaged. */
  open(tree: string): Promise<TreeInspection>;
}

/**
 * @param directory a node's data directory, or the folder of one tree, there or elsewhere
 * @throws DirectoryLockedError while a node, or a program with the tree, runs there; QuorateError (INVALID_ARGUMENT) where there is no tree
 */
export async function openClosedStorage(directory: string): Promise<ClosedStorage> {
  const disk = new StoredFiles();
  if (!(await disk.exists(directory))) throw new QuorateError('INVALID_ARGUMENT', `there is no ${directory}`);
  if (!(await disk.exists(`${directory}/.`))) {
    throw new QuorateError('INVALID_ARGUMENT', `${directory} is a file, not a directory`);
  }
  // One without a root is damaged, and opening it says so.
  const isTree = (await Tree.exists(directory, disk)) || fileOfLostTree(await disk.list(directory)) !== undefined;
  const trees = isTree ? [directory] : await treesOf(disk, directory);
  if (trees.length === 0) {
    throw new QuorateError('INVALID_ARGUMENT', `${directory} is no data directory, and no tree is in it`);
  }
  const { held, unlocked } = await lockAll(isTree ? await ownersOf(disk, directory) : [directory]);
  return {
    trees,
    unlocked,
    open: (tree) => TreeInspection.open(disk, tree),
    [Symbol.asyncDispose]: () => releaseAll(held),
  };
}

async function treesOf(disk: NodeDisk, directory: string): Promise<string[]> {
  const shards = `${directory}/shards`;
  if (!(await disk.exists(shards))) return [];
  const numbers = (await disk.list(shards)).filter((name) => /^\d+$/.test(name)).map(Number);
  return numbers.sort((a, b) => a - b).map((shard) => `${shards}/${shard}`);
}

/** Without the sockets of locks, our own among them: no tree knows of those. */
class StoredFiles extends NodeDisk {
  override async list(path: string): Promise<string[]> {
    return (await super.list(path)).filter((name) => !isLockName(name));
  }
}

/** What whoever has the tree open has locked: a node its data directory, `openTree` the tree's own folder. */
async function ownersOf(disk: NodeDisk, tree: string): Promise<string[]> {
  const dataDirectory = await dataDirectoryOf(disk, tree);
  return dataDirectory === undefined ? [tree] : [dataDirectory, tree];
}

interface Locks {
  readonly held: readonly DirectoryLock[];
  readonly unlocked: readonly string[];
}

async function lockAll(directories: readonly string[]): Promise<Locks> {
  const held: DirectoryLock[] = [];
  const unlocked: string[] = [];
  try {
    for (const directory of directories) {
      const lock = await lockUnlessReadOnly(directory);
      if (lock === undefined) unlocked.push(directory);
      else held.push(lock);
    }
    return { held, unlocked };
  } catch (error) {
    await releaseAll(held);
    throw error;
  }
}

async function lockUnlessReadOnly(directory: string): Promise<DirectoryLock | undefined> {
  try {
    return await lockDirectory(directory);
  } catch (error) {
    if (systemCodeOf(error) !== 'EROFS') throw error;
    await refuseHeldDirectory(directory);
    return undefined;
  }
}

async function releaseAll(locks: readonly DirectoryLock[]): Promise<void> {
  for (const lock of locks) await lock.release();
}
