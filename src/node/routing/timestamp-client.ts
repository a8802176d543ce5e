/**
 * Timestamps for all shards of this node: what a turn asks for travels as one request to the placement leader, or is
 * served here when this node is it (`timestamp-route.ts`). While one request is under way, the next gathers; so there is
 * never more than one.
 */
import { assert } from '../../base/assert.js';
import { QuorateError } from '../../base/errors.js';
import { placementShardId, Timestamp } from '../../base/ids.js';
import { timestampsPerRequestMax } from '../../rpc/peer-messages.js';
import type { TimestampSource } from '../../shard/write-batches.js';
import { TimestampRoute, type TimestampRouteOptions } from './timestamp-route.js';

export interface TimestampClientOptions extends TimestampRouteOptions {
  /** Calls that wait; more are refused. */
  readonly waitingMax: number;
}

interface Waiting {
  readonly count: number;
  readonly resolve: (first: Timestamp) => void;
  readonly reject: (error: QuorateError) => void;
}

/** A request is given up after this; whoever waits decides whether to ask again. */
const requestMsMax = 1000;
const retryMs = 20;

export class TimestampClient implements TimestampSource {
  readonly #options: TimestampClientOptions;
  readonly #route: TimestampRoute;
  #waiting: Waiting[] = [];
  #running = false;
  /** The newest that was handed out. */
  #newest = 0;

  constructor(options: TimestampClientOptions) {
    this.#options = options;
    this.#route = new TimestampRoute(options);
  }

  request(count: number): Promise<Timestamp> {
    assert(count >= 1 && count <= timestampsPerRequestMax, `${count} timestamps at once`);
    if (this.#waiting.length >= this.#options.waitingMax) {
      return Promise.reject(unavailable(new QuorateError('OVERLOADED', 'too many wait for timestamps')));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ count, resolve, reject });
      this.#run();
    });
  }

  #run(): void {
    if (this.#running || this.#waiting.length === 0) return;
    this.#running = true;
    this.#options.clock.endOfTurn(() => {
      void this.#serve(this.#takeRound()).finally(() => {
        this.#running = false;
        this.#run();
      });
    });
  }

  /** What waits, as far as one request may ask for. */
  #takeRound(): readonly Waiting[] {
    let taken = 0;
    let count = 0;
    while (taken < this.#waiting.length && count + this.#waiting[taken].count <= timestampsPerRequestMax) {
      count += this.#waiting[taken++].count;
    }
    return this.#waiting.splice(0, taken);
  }

  async #serve(waiting: readonly Waiting[]): Promise<void> {
    const count = waiting.reduce((sum, request) => sum + request.count, 0);
    const { clock } = this.#options;
    const giveUpAtMs = clock.monotonicMs() + requestMsMax;
    for (;;) {
      try {
        let first: number = this.#checked(await this.#route.ask(count, giveUpAtMs - clock.monotonicMs()));
        this.#newest = first + count - 1;
        for (const request of waiting) {
          request.resolve(Timestamp(first));
          first += request.count;
        }
        return;
      } catch (thrown) {
        const cause = QuorateError.from(thrown);
        if (!cause.retryable || clock.monotonicMs() + retryMs >= giveUpAtMs) {
          const error = unavailable(cause);
          // Who came meanwhile would otherwise wait as long again to be told the same.
          const behind = cause.retryable ? this.#waiting.splice(0) : [];
          for (const request of [...waiting, ...behind]) request.reject(error);
          return;
        }
        await new Promise<void>((resolve) => clock.after(retryMs, resolve));
      }
    }
  }

  /** Rounds follow each other, so the oracle's answers do. Two writes with one timestamp would be one too many. */
  #checked(first: Timestamp): Timestamp {
    if (first > this.#newest) return first;
    throw new QuorateError('INTERNAL', `the placement leader issued ${first}, when ${this.#newest} was issued before`);
  }
}

function unavailable(cause: QuorateError): QuorateError {
  const message = `no timestamp from the placement group: ${cause.message}`;
  return new QuorateError('TIMESTAMP_UNAVAILABLE', message, { cause, shard: placementShardId, retryAfterMs: retryMs });
}
