import { QuorateError } from '../base/errors.js';
import type { Clock } from '../env/clock.js';

const retryMs = 20;
/** A page takes milliseconds of the one thread; what else is due comes in between. */
const runningMax = 4;

/**
 * The pages that all shards of a node read, for scans of this node and of others: a few at a time, in the order in which
 * they were asked for. The loop goes round before a page that waited is read, so that many scans delay neither ticks nor
 * heartbeats for longer than a few pages take.
 */
export class PageReads {
  readonly #max: number;
  readonly #clock: Pick<Clock, 'after'>;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param max `scansInFlightMax`: pages that are read or wait */
  constructor(max: number, clock: Pick<Clock, 'after'>) {
    this.#max = max;
    this.#clock = clock;
  }

  /** Rejects with OVERLOADED when there are too many. */
  async run<T>(read: () => Promise<T>): Promise<T> {
    if (this.#running + this.#waiting.length >= this.#max) {
      const message = `the node reads ${this.#max} pages of scans (scansInFlightMax)`;
      throw new QuorateError('OVERLOADED', message, { retryAfterMs: retryMs });
    }
    if (this.#running < runningMax) this.#running++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await read();
    } finally {
      this.#next();
    }
  }

  /** The place goes to the one that has waited longest. */
  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else this.#clock.after(0, next);
  }
}
