import { reconnectMs } from './retry.js';

interface Unreachable {
  /** In a row. */
  readonly failures: number;
  readonly untilMs: number;
}

/**
 * Which nodes cannot be reached at present, as all calls of a client together have found: what one has learnt, the
 * others need not pay for again. A node is left alone for a while after each failure, longer each time. Times are by
 * `performance.now()`.
 */
export class Reachability {
  readonly #unreachable = new Map<string, Unreachable>();

  isAvailable(address: string, nowMs: number): boolean {
    const found = this.#unreachable.get(address);
    return found === undefined || found.untilMs <= nowMs;
  }

  /** @param time `tookMs`: what the attempt cost; a node that only times out is left alone for longer than that */
  failed(address: string, time: { readonly nowMs: number; readonly tookMs: number }): void {
    const failures = (this.#unreachable.get(address)?.failures ?? 0) + 1;
    const waitMs = Math.max(reconnectMs(failures, Math.random()), 2 * time.tookMs);
    this.#unreachable.set(address, { failures, untilMs: time.nowMs + waitMs });
  }

  answered(address: string): void {
    this.#unreachable.delete(address);
  }

  /** Forgets all other addresses. */
  retain(addresses: readonly string[]): void {
    for (const address of this.#unreachable.keys()) {
      if (!addresses.includes(address)) this.#unreachable.delete(address);
    }
  }
}
