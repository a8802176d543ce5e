/**
 * The timestamp oracle's arithmetic. Timestamps are microseconds since the epoch of `base/ids`, bumped to stay unique.
 *
 * Invariants
 * - No timestamp at or above `highWater` is issued, and `highWater` is raised only to what the placement group has
 *   committed (pitfall 31). A new leader starts at the committed high water, above all that was ever issued.
 * - Each issued timestamp is above every one issued before, whatever the wall clock does.
 */
import { assert } from '../base/assert.js';
import { Timestamp, timestampEpochMs } from '../base/ids.js';

/** How far ahead of what is issued the high water is put, in microseconds. */
const highWaterStepMicros = 3_000_000;

export type Allocation =
  /** `raiseAhead`: half of the step is used; the high water had better be raised to this before the rest is. */
  | { readonly type: 'issued'; readonly first: Timestamp; readonly raiseAhead: Timestamp | undefined }
  /** The placement group must first commit a high water of at least `highWater`. */
  | { readonly type: 'raiseFirst'; readonly highWater: Timestamp };

export class Oracle {
  /** The next timestamp is at least this. */
  #next: number;
  #highWater: Timestamp;

  /** @param highWater as committed when this leader's term began; 0 in a new cluster. */
  constructor(highWater: Timestamp) {
    this.#next = Math.max(1, highWater);
    this.#highWater = highWater;
  }

  get highWater(): Timestamp {
    return this.#highWater;
  }

  /** `count` consecutive timestamps. @param wallMicros microseconds since 1970. */
  allocate(count: number, wallMicros: number): Allocation {
    assert(Number.isSafeInteger(count) && count >= 1, `${count} timestamps were asked for`);
    const now = Math.max(0, wallMicros - timestampEpochMs * 1000);
    const first = Math.max(this.#next, now);
    if (first + count > this.#highWater) {
      return { type: 'raiseFirst', highWater: Timestamp(first + count + highWaterStepMicros) };
    }
    this.#next = first + count;
    const isHalfUsed = this.#highWater - this.#next < highWaterStepMicros / 2;
    const raiseAhead = isHalfUsed ? Timestamp(this.#next + highWaterStepMicros) : undefined;
    return { type: 'issued', first: Timestamp(first), raiseAhead };
  }

  /** The placement group has committed this high water. */
  raised(highWater: Timestamp): void {
    assert(highWater > this.#highWater, `the high water went from ${this.#highWater} to ${highWater}`);
    this.#highWater = highWater;
  }
}
