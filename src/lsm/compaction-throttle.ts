import { assert } from '../base/assert.js';
import type { Clock } from '../env/clock.js';
import { pause } from './pause.js';

export interface CompactionThrottleOptions {
  /** See Limits.compactionBytesPerSecondMax. */
  readonly bytesPerSecondMax: number;
  readonly clock: Clock;
}

/**
 * Bounds what the compactions of all trees of a node write in a second, on average. Compactions begin when what was
 * written before is paid for, one by one in the order in which they asked; each then runs as fast as it can, which is why
 * a single one takes little at a time. Flushes never wait, since writes would wait for them, but what they write is paid
 * for by the compactions that come next.
 */
export class CompactionThrottle {
  readonly #options: CompactionThrottleOptions;
  /** Until when what was written is paid for, and what will be. */
  #paidMs = 0;

  constructor(options: CompactionThrottleOptions) {
    assert(options.bytesPerSecondMax > 0, 'compactions must write something');
    this.#options = options;
  }

  /** A flush wrote so much. */
  charge(bytes: number): void {
    this.#paidMs = Math.max(this.#paidMs, this.#options.clock.monotonicMs()) + this.#costMs(bytes);
  }

  /** Resolves when a compaction may begin that writes `bytes` at most, and charges them. Rejects when `signal` is aborted. */
  async admit(bytes: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const waitMs = this.#paidMs - clock.monotonicMs();
    this.charge(bytes);
    if (waitMs <= 0) return;
    try {
      await pause(clock, waitMs, signal);
    } catch (error) {
      this.giveBack(bytes);
      throw error;
    }
  }

  /** A compaction wrote less than it was charged for. */
  giveBack(bytes: number): void {
    this.#paidMs -= this.#costMs(bytes);
  }

  #costMs(bytes: number): number {
    return (bytes * 1000) / this.#options.bytesPerSecondMax;
  }
}
