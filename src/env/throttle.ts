import { assert } from '../base/assert.js';
import type { Clock } from './clock.js';
import { pause } from './pause.js';

export interface ThrottleOptions {
  readonly bytesPerSecondMax: number;
  readonly clock: Clock;
}

/**
 * Bounds how many bytes pieces of work take in a second, on average. Each begins when what was taken before is paid for, one by
 * one in the order in which they asked, and then runs as fast as it can: a single one should take little. Nothing is saved up.
 */
export class Throttle {
  readonly #options: ThrottleOptions;
  /** Until when what was taken is paid for, and what will be. */
  #paidMs = 0;

  constructor(options: ThrottleOptions) {
    assert(options.bytesPerSecondMax > 0, 'a throttle must let something pass');
    this.#options = options;
  }

  /** So much was taken by what does not wait: whoever asks next pays for it. */
  charge(bytes: number): void {
    this.#paidMs = Math.max(this.#paidMs, this.#options.clock.monotonicMs()) + this.#costMs(bytes);
  }

  /** Resolves when work may begin that takes `bytes` at most, and charges them. Rejects when `signal` is aborted. */
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

  /** Work took less than it was charged for. */
  giveBack(bytes: number): void {
    this.#paidMs -= this.#costMs(bytes);
  }

  #costMs(bytes: number): number {
    return (bytes * 1000) / this.#options.bytesPerSecondMax;
  }
}
