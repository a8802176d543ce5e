/** Steps that a session does to its own tree and to trees beside it. */
import { LogIndex, Timestamp } from '../../base/ids.js';
import type { Disk } from '../../env/disk.js';
import { TreeBatch } from '../../lsm/tree-batch.js';
import { Tree, type TreeResources } from '../../lsm/tree.js';
import type { ModelEntry } from './engine-model.js';
import { bytesOf } from './open-reads.js';

export function writeTo(tree: Tree, entries: readonly ModelEntry[], appliedIndex: number): void {
  const batch = new TreeBatch();
  for (const { key, version, kind, value } of entries) {
    if (kind === 'put') batch.put(bytesOf(key), Timestamp(version), bytesOf(value));
    else if (kind === 'delete') batch.delete(bytesOf(key), Timestamp(version));
    else batch.deleteRange(bytesOf(key), bytesOf(value), Timestamp(version));
  }
  tree.write(batch, LogIndex(appliedIndex));
}

export async function waitForRoom(tree: Tree): Promise<void> {
  for (let stall = tree.writeStall(); stall !== undefined; stall = tree.writeStall()) await stall;
}

export function pause({ clock }: TreeResources, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

/** The root goes first, so that a crash leaves no tree that misses tables. */
export async function removeTree(disk: Disk, directory: string): Promise<void> {
  if (await Tree.exists(directory, disk)) {
    await disk.remove(`${directory}/CURRENT`);
    await disk.syncDirectory(directory);
  }
  await disk.removeTree(directory);
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
