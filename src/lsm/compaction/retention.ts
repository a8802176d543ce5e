import { equalBytes } from '../../base/bytes.js';
import type { Timestamp } from '../../base/ids.js';
import type { StoredKind } from '../entry.js';

export interface RetentionOptions {
  /** No read is made at a version below this one. */
  readonly safePoint: number;
  /**
   * Tombstones, of ranges too, up to this version may be dropped: they are below the safe point, and nothing older of the same keys can
   * be outside of what is merged. -1 to keep them all.
   */
  readonly tombstoneDropVersionMax: number;
}

/** Without versions that hide from nobody what others do not: the newest that all reads see hides what older ones hide. */
export function visibleVersions(versions: readonly Timestamp[], safePoint: number): readonly Timestamp[] {
  const newest = versions.findIndex((version) => version <= safePoint);
  return newest < 0 || newest === versions.length - 1 ? versions : versions.slice(0, newest + 1);
}

/** The versions of a range tombstone that outlive a merge. */
export function outlivingVersions(
  versions: readonly Timestamp[],
  { tombstoneDropVersionMax }: RetentionOptions,
): readonly Timestamp[] {
  const dropped = versions.findIndex((version) => version <= tombstoneDropVersionMax);
  return dropped < 0 ? versions : versions.slice(0, dropped);
}

/** What range tombstones hide from all reads: entries of `key` of versions below this one; 0 if none. Asked for keys in order. */
export interface HiddenRanges {
  hiddenBelow(key: Uint8Array): number;
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
  readonly #ranges: HiddenRanges;
  #key: Uint8Array | undefined;
  #lastVersion = 0;
  /** An entry of this key at or below the safe point was seen: all further ones are replaced. */
  #replaced = false;

  constructor(options: RetentionOptions, ranges: HiddenRanges) {
    this.#options = options;
    this.#ranges = ranges;
  }

  /** `key` must never change. */
  keeps(key: Uint8Array, version: number, kind: StoredKind): boolean {
    if (version < this.#ranges.hiddenBelow(key)) return false;
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
