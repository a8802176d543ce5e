/**
 * Linearizable reads by ReadIndex (Ongaro's thesis, 6.4). Readers that arrive in one turn share one round: the leader
 * proves to a majority that it still leads, and they read when what was committed before is applied. While the leader
 * holds a lease, those who can look at it again need no round.
 *
 * Invariants
 * - A reader's round begins after the reader arrived; an answer to an earlier round does not count (pitfall 7).
 * - What was read under a lease counts only if the same leader still holds one afterwards (pitfall 8).
 */
import { QuorateError } from '../base/errors.js';
import type { LogIndex, ShardId, Term } from '../base/ids.js';
import type { Clock } from '../env/clock.js';
import type { Raft } from '../raft/raft.js';
import type { ReadState, Voucher } from '../raft/types.js';
import { notLeaderError } from './not-leader.js';

export type { Voucher } from '../raft/types.js';

/**
 * Called once: with undefined when the state machine may be read, or with why it may not. With `lease` what was read
 * counts only if {@link ReadGate.leaseHolds} says so then.
 */
export type ReadPermit = (error: QuorateError | undefined, lease: Term | undefined) => void;

export interface ReadGateOptions {
  readonly raft: Pick<Raft, 'role' | 'term' | 'requestRead' | 'leaseRead' | 'holdsLease' | 'isVouchedBy'>;
  readonly shard: ShardId;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Has `startRound` called at the end of the turn. */
  readonly schedule: () => void;
  /** The state machine has all that had been acknowledged at `asOfMs` (monotonic): a round of then is proven and applied. */
  readonly onProven: (asOfMs: number) => void;
}

interface Round {
  readonly round: number;
  readonly begunAtMs: number;
  readonly permits: readonly ReadPermit[];
}

interface Confirmed {
  readonly index: LogIndex;
  readonly by: { readonly type: 'round'; readonly begunAtMs: number } | { readonly type: 'lease'; readonly term: Term };
  readonly permits: readonly ReadPermit[];
}

export class ReadGate {
  readonly #options: ReadGateOptions;
  #arrived: ReadPermit[] = [];
  #arrivedForLease: ReadPermit[] = [];
  /** Oldest first. */
  #rounds: Round[] = [];
  /** Waiting for the state machine, each at least as long as those before it. */
  #confirmed: Confirmed[] = [];
  #closed = false;
  #leaseReads = 0;

  constructor(options: ReadGateOptions) {
    this.#options = options;
  }

  /**
   * Callers bound how many wait: the executor by its shard's limit of operations in flight, pages of scans included.
   * `by` a lease if there is one; otherwise by a round.
   */
  request(permit: ReadPermit, by: 'round' | 'lease' = 'round'): void {
    if (this.#closed) permit(this.#stopping(), undefined);
    else {
      if (by === 'lease') this.#arrivedForLease.push(permit);
      else this.#arrived.push(permit);
      this.#options.schedule();
    }
  }

  /** Whether what was asked with this voucher needs no round; for a leader that has applied an entry of its own term. */
  isVouchedBy(voucher: Voucher): boolean {
    return !this.#closed && this.#options.raft.isVouchedBy(voucher);
  }

  /** Whether what was read under the lease of `term` was current. Looked at after the read. */
  leaseHolds(term: Term): boolean {
    const { raft } = this.#options;
    const holds = raft.term === term && raft.holdsLease;
    if (holds) this.#leaseReads++;
    return holds;
  }

  /** How often that was so. */
  get leaseReads(): number {
    return this.#leaseReads;
  }

  /** At the end of a turn: one round for all that arrived. `ready`: the leader has applied an entry of its own term. */
  startRound(ready: boolean): void {
    this.#readByLease(ready);
    if (this.#arrived.length === 0) return;
    const { raft, clock } = this.#options;
    if (raft.role !== 'leader') {
      this.fail();
      return;
    }
    if (!ready) return;
    const result = raft.requestRead();
    if (result.type === 'refused') {
      if (result.reason === 'notLeader') this.fail();
      return;
    }
    this.#rounds.push({ round: result.round, begunAtMs: clock.monotonicMs(), permits: this.#arrived });
    this.#arrived = [];
  }

  /** Those who would read by a lease do, or join the round. */
  #readByLease(ready: boolean): void {
    const permits = this.#arrivedForLease;
    if (permits.length === 0) return;
    this.#arrivedForLease = [];
    const { raft } = this.#options;
    const index = ready ? raft.leaseRead() : undefined;
    if (index !== undefined) this.#confirmed.push({ index, by: { type: 'lease', term: raft.term }, permits });
    else if (this.#arrived.length === 0) this.#arrived = permits;
    else this.#arrived.push(...permits);
  }

  /** The round, and with it every earlier one, is proven. */
  confirmed(state: ReadState): void {
    while (this.#rounds.length > 0 && this.#rounds[0].round <= state.round) {
      const [{ begunAtMs, permits }] = this.#rounds.splice(0, 1);
      this.#confirmed.push({ index: state.index, by: { type: 'round', begunAtMs }, permits });
    }
  }

  applied(appliedIndex: LogIndex): void {
    while (this.#confirmed.length > 0 && this.#confirmed[0].index <= appliedIndex) {
      const [{ by, permits }] = this.#confirmed.splice(0, 1);
      if (by.type === 'round') this.#options.onProven(by.begunAtMs);
      const lease = by.type === 'lease' ? by.term : undefined;
      for (const permit of permits) permit(undefined, lease);
    }
  }

  /** Leadership was lost: rounds that were not proven never will be. What was proven stays so. */
  fail(): void {
    this.#rejectUnproven(notLeaderError(this.#options.shard));
  }

  #rejectUnproven(error: QuorateError): void {
    const lost = [...this.#rounds.flatMap((round) => round.permits), ...this.#arrived, ...this.#arrivedForLease];
    this.#rounds = [];
    this.#arrived = [];
    this.#arrivedForLease = [];
    for (const permit of lost) permit(error, undefined);
  }

  close(): void {
    this.#closed = true;
    this.#rejectUnproven(this.#stopping());
    for (const { permits } of this.#confirmed.splice(0))
      for (const permit of permits) permit(this.#stopping(), undefined);
  }

  #stopping(): QuorateError {
    return new QuorateError('NODE_STOPPING', 'the node is stopping', { shard: this.#options.shard });
  }
}
