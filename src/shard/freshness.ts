/**
 * How current this replica's state is, for stale reads: all that had been acknowledged at `asOfMs` is applied here.
 *
 * A replica cannot see how long a message was on its way: the network may have held it, or the process was paused. So
 * the time at which a heartbeat comes in proves nothing. A follower's answer to a heartbeat carries a number that it
 * has drawn, the probe. A heartbeat that gives it back was made after the probe was drawn, and what it says to be
 * committed includes all that had been acknowledged by then. The number is random, so that one which was drawn before
 * a restart proves nothing after it.
 *
 * A leader knows by its ReadIndex rounds, and by the entries that it appends: whoever acknowledged one of them had not voted
 * for a later leader by then, so when it is committed, nobody else had acknowledged anything when it was appended.
 */
import type { LogIndex, Term } from '../base/ids.js';
import type { Prng } from '../base/prng.js';
import type { Entry, Heartbeat } from '../raft/types.js';

export class Freshness {
  readonly #random: Prng;
  #asOfMs = -Infinity;
  /** Drawn, and not come back. */
  #probe: { readonly value: number; readonly drawnAtMs: number } | undefined;
  /** As leader of `term`, and not applied yet; the oldest of those that wait. */
  #appended: { readonly index: LogIndex; readonly term: Term; readonly atMs: number } | undefined;
  /** What must be applied here for the state to be as of a time; the oldest such proof that waits. */
  #proof: { readonly index: LogIndex; readonly asOfMs: number } | undefined;

  constructor(random: Prng) {
    this.#random = random;
  }

  /** On this node's monotonic clock, in milliseconds; -Infinity when nothing is known. */
  get asOfMs(): number {
    return this.#asOfMs;
  }

  /** For an answer to a heartbeat that leaves now. */
  probe(nowMs: number): number {
    this.#probe ??= { value: this.#random.u32() + 1, drawnAtMs: nowMs };
    return this.#probe.value;
  }

  /** This replica leads `term`, and has appended an entry that has not been sent yet. */
  appended(index: LogIndex, term: Term, nowMs: number): void {
    if (this.#appended?.term !== term) this.#appended = { index, term, atMs: nowMs };
  }

  entryApplied({ index, term }: Pick<Entry, 'index' | 'term'>): void {
    const appended = this.#appended;
    if (appended === undefined || index < appended.index) return;
    this.#appended = undefined;
    if (term === appended.term) this.proven(appended.atMs);
  }

  /** A heartbeat of the leader of the current term. */
  heard(heartbeat: Heartbeat, appliedIndex: LogIndex): void {
    const probe = this.#probe;
    if (probe?.value !== heartbeat.probe) return;
    this.#probe = undefined;
    if (heartbeat.leaderCommit === 0) return;
    this.#proof ??= { index: heartbeat.leaderCommit, asOfMs: probe.drawnAtMs };
    this.applied(appliedIndex);
  }

  applied(appliedIndex: LogIndex): void {
    if (this.#proof === undefined || this.#proof.index > appliedIndex) return;
    this.proven(this.#proof.asOfMs);
    this.#proof = undefined;
  }

  /** All that had been acknowledged at `asOfMs` is applied. */
  proven(asOfMs: number): void {
    if (this.#asOfMs < asOfMs) this.#asOfMs = asOfMs;
  }
}
