import { compareBytes, copyBytes, keySuccessor } from '../../base/bytes.js';
import type { KeyBounds } from '../iterator/entry-iterator.js';
import { clipFragments } from '../range/range-tombstones.js';
import { rangeOf, type KeyRange } from '../version/levels.js';
import { SstableIterator } from './sstable-iterator.js';
import type { TableMetadata } from './sstable-format.js';
import type { SstableReader } from './sstable-reader.js';

/**
 * The table as a tree with these bounds has it: whole, trimmed to the keys within them, or not at all. Reads at most the
 * blocks at the bounds, and the range tombstones; of a table that is all within them, nothing.
 */
export async function trimSstable(table: SstableReader, bounds: KeyBounds): Promise<TableMetadata | undefined> {
  if (isWithin(table.metadata, bounds)) return table.metadata;
  const ranges = clipFragments(await table.rangeTombstones(), bounds);
  const first = new SstableIterator(table, bounds, false);
  await first.start();
  const last = new SstableIterator(table, bounds, true);
  await last.start();
  const parts = ranges.map(({ lower, upper }): KeyRange => ({ smallestKey: lower, endKey: upper }));
  if (first.valid) parts.push({ smallestKey: first.key, endKey: keySuccessor(last.key) });
  if (parts.length === 0) return undefined;
  const { smallestKey, endKey } = rangeOf(parts);
  return { ...table.metadata, smallestKey: copyBytes(smallestKey), endKey: copyBytes(endKey), trimmed: true };
}

function isWithin({ smallestKey, endKey }: KeyRange, { lower, upper }: KeyBounds): boolean {
  return compareBytes(lower, smallestKey) <= 0 && (upper === undefined || compareBytes(endKey, upper) <= 0);
}
