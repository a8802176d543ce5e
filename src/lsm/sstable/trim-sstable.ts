import { equalBytes } from '../../base/bytes.js';
import type { KeyBounds } from '../iterator/entry-iterator.js';
import { SstableIterator } from './sstable-iterator.js';
import type { TableMetadata } from './sstable-format.js';
import type { SstableReader } from './sstable-reader.js';

/**
 * The table as a tree with these bounds has it: whole, trimmed to the keys within them, or not at all. Reads at most the
 * blocks at the bounds.
 */
export async function trimSstable(table: SstableReader, bounds: KeyBounds): Promise<TableMetadata | undefined> {
  const first = new SstableIterator(table, bounds, false);
  await first.start();
  if (!first.valid) return undefined;
  const last = new SstableIterator(table, bounds, true);
  await last.start();
  const [smallestKey, largestKey] = [first.key, last.key];
  const { metadata } = table;
  const isWhole = equalBytes(smallestKey, metadata.smallestKey) && equalBytes(largestKey, metadata.largestKey);
  return isWhole ? metadata : { ...metadata, smallestKey, largestKey, trimmed: true };
}
