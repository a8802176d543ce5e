import type { Limits } from '../base/limits.js';

/** Even the slowest shard takes in so many: fewer would say nothing about how fast it is. */
const sizeMin = 32;

/** Of the window, with each batch that did not wait too long. */
const growth = 1.25;

/** When the oldest write of a batch arrived. */
export interface WriteArrival {
  readonly ms: number;
  /** Writes that had been done by then. */
  readonly done: number;
}

/**
 * How many writes a shard takes in: as many as it does within `writeWaitMsTarget`, which is what the last of them has to
 * wait (Little's law). A queue that is longer makes nothing faster, and its callers give up before their turn.
 *
 * The window is `shardOperationsInFlightMax` until a batch has waited longer than the target; then what was done during that wait
 * says how fast the shard is. Whatever is in flight already when the window shrinks shows the same rate, so it does not shrink twice
 * for one reason. It opens again as soon as batches wait less.
 */
export class WriteWindow {
  readonly #sizeMax: number;
  readonly #waitMsTarget: number;
  #size: number;
  #done = 0;

  constructor(limits: Pick<Limits, 'shardOperationsInFlightMax' | 'writeWaitMsTarget'>) {
    this.#sizeMax = limits.shardOperationsInFlightMax;
    this.#waitMsTarget = limits.writeWaitMsTarget;
    this.#size = this.#sizeMax;
  }

  /** Writes that may wait or run at a time. */
  get size(): number {
    return this.#size;
  }

  arrived(nowMs: number): WriteArrival {
    return { ms: nowMs, done: this.#done };
  }

  /** A batch of `count` writes is done, of which the oldest came at `since`. */
  done(count: number, since: WriteArrival, nowMs: number): void {
    this.#done += count;
    const waitedMs = nowMs - since.ms;
    if (waitedMs <= this.#waitMsTarget) {
      this.#size = Math.min(this.#sizeMax, Math.ceil(this.#size * growth));
      return;
    }
    const within = Math.floor(((this.#done - since.done) * this.#waitMsTarget) / waitedMs);
    this.#size = Math.min(this.#size, Math.max(within, Math.min(sizeMin, this.#sizeMax)));
  }
}
