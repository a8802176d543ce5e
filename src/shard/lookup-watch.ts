/**
 * Has a leader whose disk answers no lookup any more hand over: to lead, another needs none of this disk. Its log notices a stalled
 * disk by itself (leadership.ts), but only where there is something to write: what is to be evaluated waits for what it depends on
 * first, and a read writes nothing.
 */
import type { MaybePromise } from '../base/promises.js';
import type { Clock, Timer } from '../env/clock.js';
import type { Logger } from '../env/logger.js';
import type { Replica } from './replica.js';

/**
 * Without an end of any lookup, while there are some. Much longer than one takes of a disk with too much to do, whose leader no other
 * would relieve.
 */
const stalledMs = 5000;

export interface LookupWatchOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly replica: Pick<Replica, 'shard' | 'transferLeadership'>;
}

export class LookupWatch {
  readonly #options: LookupWatchOptions;
  #underWay = 0;
  #progressAtMs = 0;
  /** While lookups are under way. */
  #timer: Timer | undefined;

  constructor(options: LookupWatchOptions) {
    this.#options = options;
  }

  /** What is there already is no lookup of the disk. */
  watch<T>(lookup: MaybePromise<T>): MaybePromise<T> {
    if (!(lookup instanceof Promise)) return lookup;
    if (this.#underWay++ === 0) this.#progressAtMs = this.#options.clock.monotonicMs();
    if (this.#timer === undefined) this.#lookIn(stalledMs);
    return lookup.finally(() => {
      this.#progressAtMs = this.#options.clock.monotonicMs();
      if (--this.#underWay > 0) return;
      this.#timer?.cancel();
      this.#timer = undefined;
    });
  }

  #lookIn(delayMs: number): void {
    const { clock } = this.#options;
    this.#timer = clock.after(delayMs, () => {
      const waitedMs = clock.monotonicMs() - this.#progressAtMs;
      if (waitedMs >= stalledMs) this.#handOver();
      this.#lookIn(waitedMs >= stalledMs ? stalledMs : stalledMs - waitedMs);
    });
  }

  /** Again after each further {@link stalledMs} of the same: the first may have found nobody. */
  #handOver(): void {
    const { logger, replica } = this.#options;
    if (replica.transferLeadership()) logger.warn('the disk answers no lookup: hands over', { shard: replica.shard });
  }
}
