import { equalBytes } from '../../base/bytes.js';
import type { StoredKind } from '../entry.js';
import { RangeCover } from '../range/range-cover.js';
import { mergeAllFragments, newestAt, withVersions, type RangeFragments } from '../range/range-tombstones.js';

export interface RetentionOptions {
  /** No read is made at a version below this one. */
  readonly safePoint: number;
  /**
   * Tombstones, of ranges too, up to this version may be dropped: they are below the safe point, and nothing older of the same keys can
   * be outside of what is merged. -1 to keep them all.
   */
  readonly tombstoneDropVersionMax: number;
}

/**
 * Decides which entries outlive a merge. It is shown all of them in order, of equal ones the newer write first, and
 * drops
 * - an entry written again with the same version,
 * - an entry that a newer one at or below the safe point replaced: no read can see it,
 * - an entry that a range tombstone at or below the safe point hides,
 * - such a newest entry itself if it is a tombstone with nothing below it to hide.
 */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #ranges: RangeFragments;
  readonly #cover: RangeCover;
  #key: Uint8Array | undefined;
  #lastVersion = 0;
  /** An entry of this key at or below the safe point was seen: all further ones are replaced. */
  #replaced = false;

  /** @param ranges of all that is merged, as lists that hide together */
  constructor(options: RetentionOptions, ranges: readonly RangeFragments[]) {
    this.#options = options;
    // Cleared first: lists of many versions that overlap would multiply, for nobody.
    this.#ranges = this.#cleared(mergeAllFragments(ranges.map((list) => this.#cleared(list))));
    this.#cover = new RangeCover([this.#ranges], options.safePoint);
  }

  /** Without versions that hide from nobody what others do not. The newest that all reads see hides what older ones hide. */
  #cleared(ranges: RangeFragments): RangeFragments {
    const { safePoint } = this.#options;
    return withVersions(ranges, (fragment) => {
      const newest = newestAt(fragment, safePoint);
      return fragment.versions.filter((version) => version >= newest);
    });
  }

  /** The range tombstones that outlive the merge: dropped is what an entry in their place would be. */
  get ranges(): RangeFragments {
    const { tombstoneDropVersionMax } = this.#options;
    return withVersions(this.#ranges, ({ versions }) =>
      versions.filter((version) => version > tombstoneDropVersionMax),
    );
  }

  /** `key` must never change. */
  keeps(key: Uint8Array, version: number, kind: StoredKind): boolean {
    if (this.#ranges.length > 0 && version < this.#cover.hiddenBelow(key)) return false;
    if (this.#key === undefined || !equalBytes(this.#key, key)) {
      this.#key = key;
      this.#replaced = false;
    } else if (this.#replaced || version === this.#lastVersion) {
      return false;
    }
    this.#lastVersion = version;
    if (version > this.#options.safePoint) return true;
    this.#replaced = true;
    return kind !== 'delete' || version > this.#options.tombstoneDropVersionMax;
  }
}
