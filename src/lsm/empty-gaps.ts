import { assert } from '../base/assert.js';
import { compareBytes, copyBytes } from '../base/bytes.js';
import type { KeyBounds } from './iterator/entry-iterator.js';

interface Gap extends KeyBounds {
  /** Reads at this version or above it find nothing there. */
  readonly since: number;
}

/**
 * Ranges of keys where an iterator passed over much and found nothing: who reads from there next begins behind. So a look at
 * the front of a queue does not pass over all that was ever taken from it, in memtables or tables.
 *
 * A gap says something of what is visible, not of what is stored: flushes, compactions and deletions leave it true. It ends
 * with a put of one of its keys.
 */
export class EmptyGaps {
  readonly #gapsMax: number;
  /** Disjoint; the newest first. */
  #gaps: Gap[] = [];

  constructor(gapsMax: number) {
    assert(gapsMax >= 1, `gapsMax must be at least 1, got ${gapsMax}`);
    this.#gapsMax = gapsMax;
  }

  /**
   * The bounds without a gap on that side where an iterator starts; they may then be empty.
   * @param at the version of the iterator
   */
  without(bounds: KeyBounds, reverse: boolean, at: number): KeyBounds {
    for (const gap of this.#gaps) {
      if (at < gap.since) continue;
      if (!reverse && contains(gap, bounds.lower)) return behind(gap, bounds);
      if (reverse && reaches(gap, bounds.upper)) return { ...bounds, upper: larger(gap.lower, bounds.lower) };
    }
    return bounds;
  }

  /** @param since see Gap */
  add(bounds: KeyBounds, since: number): void {
    let gap: Gap = { lower: copyBytes(bounds.lower), upper: bounds.upper && copyBytes(bounds.upper), since };
    const others: Gap[] = [];
    for (const other of this.#gaps) {
      if (touch(gap, other)) gap = union(gap, other);
      else others.push(other);
    }
    this.#gaps = [gap, ...others.slice(0, this.#gapsMax - 1)];
  }

  /** There is a value of `key` now. */
  put(key: Uint8Array): void {
    for (let i = 0; i < this.#gaps.length; i++) {
      if (!contains(this.#gaps[i], key)) continue;
      this.#gaps.splice(i, 1);
      return;
    }
  }

  clear(): void {
    this.#gaps = [];
  }
}

function contains({ lower, upper }: KeyBounds, key: Uint8Array): boolean {
  return compareBytes(lower, key) <= 0 && (upper === undefined || compareBytes(key, upper) < 0);
}

/** Whether the keys right before `end` are in the gap; undefined is the end of all keys. */
function reaches({ lower, upper }: KeyBounds, end: Uint8Array | undefined): boolean {
  if (end === undefined) return upper === undefined;
  return compareBytes(lower, end) < 0 && (upper === undefined || compareBytes(end, upper) <= 0);
}

/** Those of the bounds, whose lower one is in the gap, that come after it. */
function behind(gap: Gap, { lower, upper }: KeyBounds): KeyBounds {
  const isAll = gap.upper === undefined || (upper !== undefined && compareBytes(upper, gap.upper) <= 0);
  return isAll ? { lower, upper: lower } : { lower: gap.upper, upper };
}

function larger(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareBytes(a, b) > 0 ? a : b;
}

function touch(a: KeyBounds, b: KeyBounds): boolean {
  const aReachesB = a.upper === undefined || compareBytes(b.lower, a.upper) <= 0;
  const bReachesA = b.upper === undefined || compareBytes(a.lower, b.upper) <= 0;
  return aReachesB && bReachesA;
}

function union(a: Gap, b: Gap): Gap {
  const lower = larger(a.lower, b.lower) === a.lower ? b.lower : a.lower;
  const upper = a.upper === undefined || b.upper === undefined ? undefined : larger(a.upper, b.upper);
  return { lower, upper, since: Math.max(a.since, b.since) };
}
