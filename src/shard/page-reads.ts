import { QuorateError } from '../base/errors.js';

const retryMs = 20;

/** The pages that all shards of a node read at a time, for scans of this node and of others: each holds its bytes. */
export class PageReads {
  readonly #max: number;
  #count = 0;

  /** @param max `scansInFlightMax` */
  constructor(max: number) {
    this.#max = max;
  }

  /** Rejects with OVERLOADED when there are too many. */
  async run<T>(read: () => Promise<T>): Promise<T> {
    if (this.#count >= this.#max) {
      const message = `the node reads ${this.#max} pages of scans (scansInFlightMax)`;
      throw new QuorateError('OVERLOADED', message, { retryAfterMs: retryMs });
    }
    this.#count++;
    try {
      return await read();
    } finally {
      this.#count--;
    }
  }
}
