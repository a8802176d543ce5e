import type { Clock } from '../env/clock.js';
import { isNoSpace } from './background-errors.js';
import { pause } from '../env/pause.js';

export interface SpaceRetryOptions {
  readonly clock: Clock;
  /** First and longest pause between two attempts; each is twice the one before. */
  readonly pauseMsMin: number;
  readonly pauseMsMax: number;
  /** Aborted with a TreeClosedError when the tree is closed. */
  readonly closing: AbortSignal;
  /** When work begins to wait for space, before each pause. */
  readonly onWait: (what: string, pauseMs: number) => void;
}

/** Makes work wait while the disk is full, instead of failing. */
export class SpaceRetry {
  readonly #options: SpaceRetryOptions;
  #waiting = 0;

  constructor(options: SpaceRetryOptions) {
    this.#options = options;
  }

  /** Whether any work has found the disk full and has not succeeded since. */
  get isWaiting(): boolean {
    return this.#waiting > 0;
  }

  /**
   * Attempts until it does not fail for want of space, once at least: what was made for an edit is not left without it.
   * Rejects with whatever else an attempt rejects with, and instead of another one when the tree is closed.
   */
  async run<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const { clock, pauseMsMin, pauseMsMax, closing, onWait } = this.#options;
    let isWaiting = false;
    try {
      for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(2 * pauseMs, pauseMsMax)) {
        try {
          return await attempt();
        } catch (error) {
          if (!isNoSpace(error)) throw error;
        }
        if (!isWaiting) this.#waiting++;
        isWaiting = true;
        onWait(what, pauseMs);
        await pause(clock, pauseMs, closing);
      }
    } finally {
      if (isWaiting) this.#waiting--;
    }
  }
}
