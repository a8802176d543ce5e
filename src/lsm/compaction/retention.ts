import { equalBytes } from '../../base/bytes.js';
import type { Kind } from '../entry.js';

export interface RetentionOptions {
  /** No read is made at a version below this one. */
  readonly safePoint: number;
  /**
   * Tombstones up to this version may be dropped: they are below the safe point, and nothing older of the same keys can
   * be outside of what is merged. -1 to keep them all.
   */
  readonly tombstoneDropVersionMax: number;
}

/**
 * Decides which entries outlive a merge. It is shown all of them in order, of equal ones the newer write first, and
 * drops
 * - an entry written again with the same version,
 * - an entry that a newer one at or below the safe point replaced: no read can see it,
 * - such a newest entry itself if it is a tombstone with nothing below it to hide.
 */
export class Retention {
  readonly #options: RetentionOptions;
  #key: Uint8Array | undefined;
  #lastVersion = 0;
  /** An entry of this key at or below the safe point was seen: all further ones are replaced. */
  #replaced = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** `key` must never change. */
  keeps(key: Uint8Array, version: number, kind: Kind): boolean {
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
