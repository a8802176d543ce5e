/**
 * Linearizable reads by ReadIndex (Ongaro's thesis, 6.4). Readers that arrive in one turn share one round: the leader
 * proves to a majority that it still leads, and they read when what was committed before is applied.
 *
 * Invariant: a reader's round begins after the reader arrived; an answer to an earlier round does not count (pitfall 7).
 */
import { QuorateError } from '../base/errors.js';
import type { LogIndex, ShardId } from '../base/ids.js';
import type { Clock } from '../env/clock.js';
import type { Raft } from '../raft/raft.js';
import type { ReadState } from '../raft/types.js';
import { notLeaderError } from './not-leader.js';

/** Called once: with undefined when the state machine may be read, or with why it may not. */
export type ReadPermit = (error: QuorateError | undefined) => void;

export interface ReadGateOptions {
  readonly raft: Pick<Raft, 'role' | 'requestRead'>;
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
  readonly begunAtMs: number;
  readonly permits: readonly ReadPermit[];
}

export class ReadGate {
  readonly #options: ReadGateOptions;
  #arrived: ReadPermit[] = [];
  /** Oldest first. */
  #rounds: Round[] = [];
  /** Waiting for the state machine. Indexes ascend. */
  #confirmed: Confirmed[] = [];
  #closed = false;

  constructor(options: ReadGateOptions) {
    this.#options = options;
  }

  /** Callers bound how many wait: the executor by its shard's limit of operations in flight, pages of scans included. */
  request(permit: ReadPermit): void {
    if (this.#closed) permit(this.#stopping());
    else {
      this.#arrived.push(permit);
      this.#options.schedule();
    }
  }

  /** At the end of a turn: one round for all that arrived. `ready`: the leader has applied an entry of its own term. */
  startRound(ready: boolean): void {
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

  /** The round, and with it every earlier one, is proven. */
  confirmed(state: ReadState): void {
    while (this.#rounds.length > 0 && this.#rounds[0].round <= state.round) {
      const [{ begunAtMs, permits }] = this.#rounds.splice(0, 1);
      this.#confirmed.push({ index: state.index, begunAtMs, permits });
    }
  }

  applied(appliedIndex: LogIndex): void {
    while (this.#confirmed.length > 0 && this.#confirmed[0].index <= appliedIndex) {
      const [confirmed] = this.#confirmed.splice(0, 1);
      this.#options.onProven(confirmed.begunAtMs);
      for (const permit of confirmed.permits) permit(undefined);
    }
  }

  /** Leadership was lost: rounds that were not proven never will be. What was proven stays so. */
  fail(): void {
    this.#rejectUnproven(notLeaderError(this.#options.shard));
  }

  #rejectUnproven(error: QuorateError): void {
    const lost = [...this.#rounds.flatMap((round) => round.permits), ...this.#arrived];
    this.#rounds = [];
    this.#arrived = [];
    for (const permit of lost) permit(error);
  }

  close(): void {
    this.#closed = true;
    this.#rejectUnproven(this.#stopping());
    for (const confirmed of this.#confirmed.splice(0)) for (const permit of confirmed.permits) permit(this.#stopping());
  }

  #stopping(): QuorateError {
    return new QuorateError('NODE_STOPPING', 'the node is stopping', { shard: this.#options.shard });
  }
}
