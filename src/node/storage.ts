/** The data directory of a node that does not run, for tools: where its trees are, and that nobody else is at them. */
import { basename, dirname } from 'node:path';

import { QuorateError } from '../base/errors.js';
import { TreeInspection } from '../lsm/tree-inspection.js';
import { Tree } from '../lsm/tree.js';
import { fileOfLostTree } from '../lsm/version/file-names.js';
import { NodeDisk } from '../platform/disk.js';
import { lockDirectory } from '../platform/directory-lock.js';

export type { RangeTombstone } from '../lsm/range/range-tombstones.js';

/** What storage tools work on. Held until it is disposed. */
export interface ClosedStorage extends AsyncDisposable {
  /** Folders of trees, in order of their shards. */
  readonly trees: readonly string[];
  /** Rejects with a CorruptionError where the tree's manifest is damaged. */
  open(tree: string): Promise<TreeInspection>;
}

/**
 * @param directory a node's data directory, or the folder of one tree, there or elsewhere
 * @throws DirectoryLockedError while a node runs there; QuorateError (INVALID_ARGUMENT) where there is no tree
 */
export async function openClosedStorage(directory: string): Promise<ClosedStorage> {
  const disk = new NodeDisk();
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
  const lock = await lockFor(isTree ? dataDirectoryOf(directory) : directory);
  return {
    trees,
    open: (tree) => TreeInspection.open(disk, tree),
    [Symbol.asyncDispose]: async () => lock?.release(),
  };
}

async function treesOf(disk: NodeDisk, directory: string): Promise<string[]> {
  const shards = `${directory}/shards`;
  if (!(await disk.exists(shards))) return [];
  const numbers = (await disk.list(shards)).filter((name) => /^\d+$/.test(name)).map(Number);
  return numbers.sort((a, b) => a - b).map((shard) => `${shards}/${shard}`);
}

/** Undefined for a tree that is in no data directory: nobody can hold that one. */
function dataDirectoryOf(tree: string): string | undefined {
  const shards = dirname(tree);
  return basename(shards) === 'shards' ? dirname(shards) : undefined;
}

async function lockFor(directory: string | undefined): Promise<Awaited<ReturnType<typeof lockDirectory>> | undefined> {
  return directory === undefined ? undefined : await lockDirectory(directory);
}
