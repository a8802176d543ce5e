import type { ReplicaId } from '../../src/base/ids.js';
import type { Prng } from '../../src/base/prng.js';

export const tickMs = 10;

/** As far as `leaseDurationMs` allows clocks to drift. */
const rates = { min: 0.9, max: 1.1 } as const;

interface Clock {
  readonly rate: number;
  nowMs: number;
  nextTickMs: number;
}

/** Time where it matters that it is one: each replica's clock is a bit fast or slow, and its ticks come by its clock. */
export class ChaosClocks {
  readonly #random: Prng;
  readonly #clocks = new Map<ReplicaId, Clock>();

  constructor(random: Prng) {
    this.#random = random;
  }

  add(replica: ReplicaId): () => number {
    const rate = this.#random.pick([rates.min, 1, rates.max]);
    const clock = { rate, nowMs: this.#random.int(0, 1000), nextTickMs: 0 };
    clock.nextTickMs = clock.nowMs + this.#random.float() * tickMs;
    this.#clocks.set(replica, clock);
    return () => clock.nowMs;
  }

  /** Less than a tick goes by. Returns whose next tick is due. */
  elapse(ms: number): ReplicaId[] {
    const due: ReplicaId[] = [];
    for (const [replica, clock] of this.#clocks) {
      clock.nowMs += ms * clock.rate;
      if (clock.nowMs < clock.nextTickMs) continue;
      clock.nextTickMs += tickMs;
      due.push(replica);
    }
    return due;
  }
}
