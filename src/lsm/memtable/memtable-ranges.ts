import { copyBytes } from '../../base/bytes.js';
import {
  fragmentsOf,
  mergeFragments,
  noFragments,
  type RangeFragments,
  type RangeTombstone,
} from '../range/range-tombstones.js';

/** What a tombstone takes: itself, and the two fragments that it makes at most. */
const overheadBytes = 400;
/**
 * And for each one before it: it may be within all of them, so that its fragments have all of their versions, and lie
 * before all of them. With that much counted a memtable is full long before its fragments are too many.
 */
const overlapBytes = 32;

/** The range tombstones of a memtable. Usually few: they are put in order when somebody reads, and not before. */
export class MemtableRanges {
  #fragments = noFragments;
  /** Those that are not among the fragments yet. */
  #added: RangeTombstone[] = [];
  #count = 0;
  #bytes = 0;

  /** Number of tombstones. */
  get count(): number {
    return this.#count;
  }

  /** Memory, at most. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of the tombstones there are now. */
  get fragments(): RangeFragments {
    if (this.#added.length > 0) {
      this.#fragments = mergeFragments(this.#fragments, fragmentsOf(this.#added));
      this.#added = [];
    }
    return this.#fragments;
  }

  add({ lower, upper, version }: RangeTombstone): void {
    this.#added.push({ lower: copyBytes(lower), upper: copyBytes(upper), version });
    this.#bytes += lower.length + upper.length + overheadBytes + overlapBytes * this.#count;
    this.#count++;
  }
}
