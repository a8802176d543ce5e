/** Files of entries that a tree is to take in: a table, the folder of a tree, or that of a checkpoint with bounds. */
import type { Disk } from '../../env/disk.js';
import { SstableWriter, type SstableWriterOptions } from '../../lsm/sstable/sstable-writer.js';
import type { TreeOptions } from '../../lsm/tree-options.js';
import { Tree, type TreeResources } from '../../lsm/tree.js';
import type { ModelBounds, ModelEntry } from './engine-model.js';
import { bytesOf } from './open-reads.js';
import { removeTree, waitForRoom, writeTo } from './tree-steps.js';

export interface ForeignFiles {
  /** To ingest. */
  readonly path: string;
  /** What it has, in the order of writing. */
  readonly entries: readonly ModelEntry[];
  /** Takes away all that was made. */
  readonly remove: () => Promise<void>;
}

/** @param entries at least one that is no range: those it leaves out. Of equal versions it has the last one. */
export async function writeForeignTable(
  disk: Disk,
  path: string,
  entries: readonly ModelEntry[],
  options: SstableWriterOptions,
): Promise<ForeignFiles> {
  const points = new Map<string, ModelEntry>();
  for (const entry of entries) if (entry.kind !== 'deleteRange') points.set(`${entry.key}@${entry.version}`, entry);
  const sorted = [...points.values()].sort((a, b) =>
    a.key === b.key ? b.version - a.version : a.key < b.key ? -1 : 1,
  );
  const writer = await SstableWriter.create(disk, path, 1, options);
  for (const { key, version, kind, value } of sorted) {
    await writer.add(bytesOf(key), version, kind === 'put' ? kind : 'delete', bytesOf(value));
  }
  await writer.finish();
  return { path, entries: sorted, remove: () => disk.remove(path) };
}

export interface ForeignTreeContent {
  readonly directories: { readonly source: string; readonly checkpoint: string };
  readonly entries: readonly ModelEntry[];
  /** In so many tables they are, at most, before any are merged. */
  readonly flushes: number;
  readonly bounds: ModelBounds;
}

/** A tree that may have value files; without bounds that itself, else a checkpoint, whose tables have more than belongs to it. */
export async function writeForeignTree(
  resources: TreeResources,
  options: TreeOptions,
  { directories, entries, flushes, bounds }: ForeignTreeContent,
): Promise<ForeignFiles> {
  const { source, checkpoint } = directories;
  const { lower, upper } = bounds;
  const tree = await Tree.create(source, resources, options);
  const partLength = Math.ceil(entries.length / flushes);
  for (let part = 0; part * partLength < entries.length; part++) {
    await waitForRoom(tree);
    writeTo(tree, entries.slice(part * partLength, (part + 1) * partLength), part + 1);
    await tree.flush();
  }
  if (lower === '' && upper === undefined) {
    await tree.close();
    return { path: source, entries, remove: () => removeTree(resources.disk, source) };
  }
  await tree.checkpoint(checkpoint, {
    lower: bytesOf(lower),
    upper: upper === undefined ? undefined : bytesOf(upper),
  });
  await tree.close();
  await removeTree(resources.disk, source);
  return {
    path: checkpoint,
    entries: entriesWithin(entries, bounds),
    remove: () => removeTree(resources.disk, checkpoint),
  };
}

/** Ranges are cut off at the bounds. */
function entriesWithin(entries: readonly ModelEntry[], { lower, upper }: ModelBounds): ModelEntry[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'deleteRange') {
      return entry.key >= lower && (upper === undefined || entry.key < upper) ? [entry] : [];
    }
    const key = entry.key > lower ? entry.key : lower;
    const value = upper === undefined || entry.value < upper ? entry.value : upper;
    return key < value ? [{ ...entry, key, value }] : [];
  });
}
