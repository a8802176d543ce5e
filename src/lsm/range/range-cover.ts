import { compareBytes } from '../../base/bytes.js';
import { firstEndingAfter, neighboursHiding, newestAt, type RangeFragments } from './range-tombstones.js';

/** So many neighbours are looked at for one jump: they cost about as much as the search that it is. */
const neighboursMax = 64;

/**
 * What range tombstones of several places hide from reads at one version. Made for keys that are asked for in order:
 * remembers around the last key where the answer is the same.
 */
export class RangeCover {
  readonly #sources: readonly RangeFragments[];
  readonly #at: number;
  /** Within these bounds, the lower one included, `#below` is the answer; undefined for none, to the end. */
  #from: Uint8Array | undefined;
  #to: Uint8Array | undefined;
  #below = 0;
  #isKnown = false;
  /** The fragment that answered. */
  #source: RangeFragments | undefined;
  #position = 0;

  constructor(sources: readonly RangeFragments[], at: number) {
    this.#sources = sources;
    this.#at = at;
  }

  /** Entries of `key` of versions below this one are hidden; 0 if none are. */
  hiddenBelow(key: Uint8Array): number {
    if (!this.#isKnownFor(key)) this.#find(key);
    return this.#below;
  }

  /**
   * What was answered last holds, at least, for all keys from there up to but without this one, or down to this one;
   * undefined if nothing was hidden.
   */
  hiddenTo(reverse: boolean): Uint8Array | undefined {
    if (this.#source === undefined) return undefined;
    const limits = { at: this.#at, below: this.#below, neighboursMax };
    const last = this.#source[neighboursHiding(this.#source, this.#position, reverse, limits)];
    return reverse ? last.lower : last.upper;
  }

  #isKnownFor(key: Uint8Array): boolean {
    return (
      this.#isKnown &&
      (this.#from === undefined || compareBytes(this.#from, key) <= 0) &&
      (this.#to === undefined || compareBytes(key, this.#to) < 0)
    );
  }

  #find(key: Uint8Array): void {
    this.#isKnown = true;
    this.#below = 0;
    this.#source = this.#from = this.#to = undefined;
    for (const fragments of this.#sources) {
      const position = firstEndingAfter(fragments, key);
      const fragment = fragments.at(position);
      if (fragment === undefined || compareBytes(fragment.lower, key) > 0) {
        // A gap between two of them.
        this.#narrow(position === 0 ? undefined : fragments[position - 1].upper, fragment?.lower);
        continue;
      }
      this.#narrow(fragment.lower, fragment.upper);
      const below = newestAt(fragment, this.#at);
      if (below <= this.#below) continue;
      this.#below = below;
      this.#source = fragments;
      this.#position = position;
    }
  }

  #narrow(from: Uint8Array | undefined, to: Uint8Array | undefined): void {
    if (from !== undefined && (this.#from === undefined || compareBytes(from, this.#from) > 0)) this.#from = from;
    if (to !== undefined && (this.#to === undefined || compareBytes(to, this.#to) < 0)) this.#to = to;
  }
}
