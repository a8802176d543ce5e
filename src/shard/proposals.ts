/**
 * What a replica has proposed and not settled.
 *
 * Invariant: each `done` is called exactly once. Those that wait are of one term and in the order of their indexes.
 */
import { assert, defined } from '../base/assert.js';
import { QuorateError } from '../base/errors.js';
import type { LogIndex, ShardId, Term } from '../base/ids.js';
import type { Entry } from '../raft/types.js';

/** How a proposal ended. `lost`: the error says whether it can still take effect. */
export type ProposalEnd =
  { readonly type: 'applied'; readonly index: LogIndex } | { readonly type: 'lost'; readonly error: QuorateError };

export interface Proposal {
  readonly index: LogIndex;
  readonly term: Term;
  readonly done: (end: ProposalEnd) => void;
}

export class Proposals {
  readonly #shard: ShardId;
  readonly #waiting: Proposal[] = [];

  constructor(shard: ShardId) {
    this.#shard = shard;
  }

  add(proposal: Proposal): void {
    const last = this.#waiting.at(-1);
    assert(last === undefined || last.index < proposal.index, 'proposals wait in the order of their indexes');
    assert(last === undefined || last.term === proposal.term, 'proposals that wait are of one term');
    this.#waiting.push(proposal);
  }

  /** Answers the proposals up to an entry that was applied: its own (`refused` if it had no effect), and those whose place it took. */
  settle(entry: Entry, refused: QuorateError | undefined): void {
    while (this.#waiting.length > 0 && this.#waiting[0].index <= entry.index) {
      const proposal = defined(this.#waiting.shift(), 'proposal');
      const isOwn = proposal.index === entry.index && proposal.term === entry.term;
      if (isOwn && refused === undefined) proposal.done({ type: 'applied', index: entry.index });
      else proposal.done({ type: 'lost', error: isOwn && refused !== undefined ? refused : this.#overtaken() });
    }
  }

  /** A Raft snapshot has taken the place of the entries up to `index`: whether proposals are among them nobody can tell. */
  skipped(index: LogIndex): void {
    while (this.#waiting.length > 0 && this.#waiting[0].index <= index) {
      const proposal = defined(this.#waiting.shift(), 'proposal');
      const error = new QuorateError('NOT_LEADER', `the leader of shard ${this.#shard} changed`, {
        shard: this.#shard,
        outcome: 'unknown',
      });
      proposal.done({ type: 'lost', error });
    }
  }

  /** This replica leads in a new term and has committed an entry of it: what it proposed before and is not applied never will be. */
  overtaken(): void {
    this.lose(this.#overtaken());
  }

  lose(error: QuorateError): void {
    for (const proposal of this.#waiting.splice(0)) proposal.done({ type: 'lost', error });
  }

  #overtaken(): QuorateError {
    return new QuorateError('NOT_LEADER', `the leader of shard ${this.#shard} changed`, { shard: this.#shard });
  }
}
