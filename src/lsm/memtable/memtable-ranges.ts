import { copyBytes } from '../../base/bytes.js';
import {
  fragmentsOf,
  hiddenBelow,
  mergeFragments,
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

interface Part {
  readonly fragments: RangeFragments;
  /** How many tombstones they are of. */
  readonly count: number;
}

/**
 * The range tombstones of a memtable, put in order when somebody reads, and not before. They are kept as parts, each of at
 * least twice as many tombstones as the next one: who reads after each of n deletions merges each of them about log n times,
 * and looks at about log n parts.
 */
export class MemtableRanges {
  /** The oldest and largest first. */
  readonly #parts: Part[] = [];
  /** All, as they were added. */
  readonly #tombstones: RangeTombstone[] = [];
  /** So many of them are in parts. */
  #settled = 0;
  #bytes = 0;

  /** Number of tombstones. */
  get count(): number {
    return this.#tombstones.length;
  }

  /** For who puts them in order elsewhere: must not be kept while some are added. */
  get tombstones(): readonly RangeTombstone[] {
    return this.#tombstones;
  }

  /** Memory, at most. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of the tombstones there are now; those of several lists hide together. The lists never change. */
  get lists(): readonly RangeFragments[] {
    this.#settle();
    return this.#parts.map(({ fragments }) => fragments);
  }

  /** Entries of `key` of versions below this one are hidden from reads at `at`; 0 if none are. */
  hiddenBelow(key: Uint8Array, at: number): number {
    this.#settle();
    let below = 0;
    for (const { fragments } of this.#parts) below = Math.max(below, hiddenBelow(fragments, key, at));
    return below;
  }

  #settle(): void {
    if (this.#settled === this.#tombstones.length) return;
    const added = this.#tombstones.slice(this.#settled);
    this.#settled = this.#tombstones.length;
    let part: Part = { fragments: fragmentsOf(added), count: added.length };
    for (let last = this.#parts.at(-1); last !== undefined && last.count < 2 * part.count; last = this.#parts.at(-1)) {
      this.#parts.pop();
      part = { fragments: mergeFragments(last.fragments, part.fragments), count: last.count + part.count };
    }
    this.#parts.push(part);
  }

  add({ lower, upper, version }: RangeTombstone): void {
    this.#bytes += lower.length + upper.length + overheadBytes + overlapBytes * this.count;
    this.#tombstones.push({ lower: copyBytes(lower), upper: copyBytes(upper), version });
  }
}
