/** The range tombstone block of a table; docs/formats/sstable.md has it to the byte. */
import { compareBytes } from '../../base/bytes.js';
import { ByteReader, ByteWriter, DecodeError } from '../../base/coding.js';
import { Timestamp } from '../../base/ids.js';
import type { RangeFragment, RangeFragments } from './range-tombstones.js';

/** About what a fragment takes in the block. */
export function encodedBytes({ lower, upper, versions }: RangeFragment): number {
  return lower.length + upper.length + 4 + 8 * versions.length;
}

export function encodeRangeBlock(fragments: RangeFragments): Uint8Array {
  const writer = new ByteWriter();
  for (const { lower, upper, versions } of fragments) {
    writer.bytes(lower).bytes(upper).varint(versions.length);
    for (const version of versions) writer.varint(version);
  }
  return writer.finish();
}

/** Keys are views of the block. Throws a DecodeError if these are not disjoint fragments in order. */
export function decodeRangeBlock(block: Uint8Array): RangeFragments {
  return [...fragmentsIn(block)];
}

/** As {@link decodeRangeBlock}, one at a time: for blocks that take much more memory decoded. */
export function* fragmentsIn(block: Uint8Array): Generator<RangeFragment, void> {
  const reader = new ByteReader(block);
  let last: RangeFragment | undefined;
  while (reader.remaining > 0) {
    const fragment = decodeFragment(reader);
    if (compareBytes(fragment.lower, fragment.upper) >= 0) throw new DecodeError('a range that ends before it starts');
    if (last !== undefined && compareBytes(last.upper, fragment.lower) > 0) {
      throw new DecodeError('ranges are out of order');
    }
    yield fragment;
    last = fragment;
  }
  if (last === undefined) throw new DecodeError('a range tombstone block without ranges');
}

function decodeFragment(reader: ByteReader): RangeFragment {
  const [lower, upper] = [reader.bytes(), reader.bytes()];
  const versions: Timestamp[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const version = Timestamp(reader.varint());
    if (versions.length > 0 && version >= versions[versions.length - 1]) {
      throw new DecodeError('versions of a range are out of order');
    }
    versions.push(version);
  }
  if (versions.length === 0) throw new DecodeError('a range without a version');
  return { lower, upper, versions };
}
