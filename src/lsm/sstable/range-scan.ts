import { DecodeError } from '../../base/coding.js';
import type { KeyBounds } from '../iterator/entry-iterator.js';
import { fragmentsIn } from '../range/range-block.js';
import { clipFragments, type RangeFragment } from '../range/range-tombstones.js';
import type { SstableReader } from './sstable-reader.js';

/**
 * The range tombstones of what the tree has of a table, within the bounds, in order of keys. In memory are those that were asked for,
 * beside their block; readers keep them all, for those who read them again. Throws a CorruptionError.
 */
export async function* scanRanges(table: SstableReader, bounds: KeyBounds): AsyncGenerator<RangeFragment, void> {
  const { rangeTombstones, smallestKey, endKey } = table.metadata;
  if (rangeTombstones === 0) return;
  const { ranges } = await table.footer();
  const block = await table.readBlock(ranges, false);
  let count = 0;
  try {
    for (const fragment of fragmentsIn(block)) {
      count += fragment.versions.length;
      yield* clipFragments(clipFragments([fragment], { lower: smallestKey, upper: endKey }), bounds);
    }
  } catch (error) {
    throw error instanceof DecodeError ? table.corruption(ranges.offset, error.message) : error;
  }
  if (count === rangeTombstones) return;
  throw table.corruption(ranges.offset, `the manifest says that there are ${rangeTombstones} range tombstones`);
}
