/**
 * Notices that the disk of a leader answers no lookup any more. Its log notices a stalled disk by itself (leadership.ts), but only
 * where there is something to write: what is to be evaluated waits for what it depends on first, and a read writes nothing.
 */
import type { MaybePromise } from '../base/promises.js';
import type { Clock, Timer } from '../env/clock.js';

/**
 * Without an end of any lookup, while there are some. Much longer than one takes of a disk with too much to do, whose leader no other
 * would relieve.
 */
const stalledMs = 5000;

export class LookupWatch {
  readonly #clock: Clock;
  readonly #onStalled: () => void;
  #underWay = 0;
  #progressAtMs = 0;
  /** While lookups are under way. */
  #timer: Timer | undefined;

  /** @param onStalled runs again after each further {@link stalledMs} of the same */
  constructor(clock: Clock, onStalled: () => void) {
    this.#clock = clock;
    this.#onStalled = onStalled;
  }

  /** What is there already is no lookup of the disk. */
  watch<T>(lookup: MaybePromise<T>): MaybePromise<T> {
    if (!(lookup instanceof Promise)) return lookup;
    if (this.#underWay++ === 0) this.#progressAtMs = this.#clock.monotonicMs();
    if (this.#timer === undefined) this.#lookIn(stalledMs);
    return lookup.finally(() => {
      this.#progressAtMs = this.#clock.monotonicMs();
      if (--this.#underWay > 0) return;
      this.#timer?.cancel();
      this.#timer = undefined;
    });
  }

  #lookIn(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => {
      const waitedMs = this.#clock.monotonicMs() - this.#progressAtMs;
      if (waitedMs >= stalledMs) this.#onStalled();
      this.#lookIn(waitedMs >= stalledMs ? stalledMs : stalledMs - waitedMs);
    });
  }
}
