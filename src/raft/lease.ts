/**
 * The leader lease: after a quorum has confirmed a round of heartbeats, no other replica can be elected for an
 * election timeout from the beginning of that round, since these voters refuse everybody else so long. Until then the
 * leader may answer reads without asking again. Off unless `RaftOptions.lease` is there, for all replicas of a group
 * alike; it relies on clocks that run at about the same speed.
 *
 * Invariant: what voters promise, they keep through restarts, broken connections and their own wish to campaign; only
 * a leader that hands over releases them, and it gives its lease up for good before it does (pitfalls 8 and 9).
 */
export interface LeaseOptions {
  /** Below (electionTicksMin - 1) ticks, by more than clocks drift apart in that time. */
  readonly durationMs: number;
  /** A clock that never goes back and is not set. */
  readonly monotonicMs: () => number;
}

/** What the clocks of two replicas may drift apart in one election timeout, of that time, and timers come early. */
const clockDriftMax = 0.1;

/** The longest duration that is safe for voters who count an election timeout in ticks of their own clocks. */
export function leaseDurationMs({ electionTicksMin, tickMs }: { electionTicksMin: number; tickMs: number }): number {
  return ((electionTicksMin - 1) * tickMs * (1 - clockDriftMax)) / (1 + clockDriftMax);
}

/** The leader's side. */
export class LeaderLease {
  readonly #options: LeaseOptions | undefined;
  /** When the newest confirmed round began. */
  #provenMs = -Infinity;
  #isGivenUp = false;

  constructor(options: LeaseOptions | undefined) {
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#options !== undefined && !this.#isGivenUp;
  }

  /** A round that began at this time is confirmed. */
  proven(begunMs: number): void {
    if (begunMs > this.#provenMs) this.#provenMs = begunMs;
  }

  /** The configuration has changed: whoever confirmed need not have a say any more. */
  forget(): void {
    this.#provenMs = -Infinity;
  }

  /** Somebody else is told to campaign. The message can be late by any time, so there is no lease in this term any more. */
  giveUp(): void {
    this.#isGivenUp = true;
  }

  get holds(): boolean {
    if (this.#options === undefined || this.#isGivenUp) return false;
    return this.#options.monotonicMs() < this.#provenMs + this.#options.durationMs;
  }
}

/**
 * A voter's side: whom it has answered as a leader it protects for an election timeout, also after a restart. That it may have
 * done so a restart knows by the term; with term 0 it has not, and the first election of a new group need not wait. So answers to
 * heartbeats wait until a term is durable.
 */
export class LeasePromise {
  readonly #ticks: number;
  #ticksLeft = 0;
  #hasDurableTerm: boolean;

  /** @param ticks 0 where there are no leases. */
  constructor(ticks: number, { hasDurableTerm }: { readonly hasDurableTerm: boolean }) {
    this.#ticks = ticks;
    this.#hasDurableTerm = hasDurableTerm;
    // It may have answered a leader shortly before it stopped.
    if (hasDurableTerm) this.renew();
  }

  get holds(): boolean {
    return this.#ticksLeft > 0;
  }

  /** Otherwise an answer to a heartbeat has to wait. */
  get outlivesRestart(): boolean {
    return this.#hasDurableTerm || this.#ticks === 0;
  }

  onTermDurable(): void {
    this.#hasDurableTerm = true;
  }

  renew(): void {
    this.#ticksLeft = this.#ticks;
  }

  tick(): void {
    if (this.#ticksLeft > 0) this.#ticksLeft--;
  }
}
