/** When a replica campaigns, and whom it votes for. */
import type { ReplicaId, Term } from '../base/ids.js';
import type { Prng } from '../base/prng.js';
import type { RaftLog } from './raft-log.js';
import type { VoteRequest } from './types.js';

export type ElectionPriority = 'normal' | 'low';

/** Ticks since a leader was heard of or a role began, against a timeout drawn at random so that votes rarely split. */
export class ElectionTimer {
  readonly #ticksMin: number;
  readonly #ticksMax: number;
  readonly #random: Prng;
  #ticks = 0;
  /** Waits so much longer than its timeout: those without are all faster. */
  #deferralTicks = 0;
  #timeoutTicks: number;

  constructor(ticksMin: number, ticksMax: number, random: Prng) {
    this.#ticksMin = ticksMin;
    this.#ticksMax = ticksMax;
    this.#random = random;
    this.#timeoutTicks = random.int(ticksMin, ticksMax);
  }

  /** Whether even the shortest timeout has not passed. */
  get belowMin(): boolean {
    return this.#ticks < this.#ticksMin;
  }

  /** Returns whether the timeout has passed. */
  tick(): boolean {
    return ++this.#ticks >= this.#timeoutTicks + this.#deferralTicks;
  }

  /** With low priority others campaign first, as long as there are others who can. */
  set priority(priority: ElectionPriority) {
    this.#deferralTicks = priority === 'low' ? this.#ticksMax - this.#ticksMin + 1 : 0;
  }

  /** Counts from zero, against the same timeout. */
  restart(): void {
    this.#ticks = 0;
  }

  /** The leader is probably dead: the shortest timeout counts as passed, and the rest is drawn anew. */
  suspect(): void {
    this.#ticks = this.#ticksMin;
    this.#timeoutTicks = this.#ticksMin + this.#random.int(1, Math.max(1, this.#ticksMax - this.#ticksMin));
  }

  /** Counts from zero, against a new timeout. */
  redraw(): void {
    this.#ticks = 0;
    this.#timeoutTicks = this.#random.int(this.#ticksMin, this.#ticksMax);
  }
}

/** What a vote depends on besides the log. */
export interface VoterState {
  readonly term: Term;
  readonly vote: ReplicaId | 0;
  readonly leader: ReplicaId | 0;
  /** A leader, this replica or another, was heard of within the last minimal election timeout. */
  readonly hearsLeader: boolean;
}

/**
 * A replica that hears a live leader ignores whoever wants to replace it, its term too, unless the leader itself
 * asked for the election: so a replica that came back from a partition or was removed disturbs nobody.
 */
export function ignoresElection(voter: VoterState, request: VoteRequest): boolean {
  return request.term > voter.term && voter.hearsLeader && !request.transfer;
}

/** `request.term` is the voter's own here, or higher for a pre-vote. */
export function grantsVote(voter: VoterState, log: RaftLog, request: VoteRequest): boolean {
  const free =
    voter.vote === request.from ||
    (voter.vote === 0 && voter.leader === 0) ||
    (request.type === 'preVoteRequest' && request.term > voter.term);
  return free && log.isUpToDate(request.lastLogIndex, request.lastLogTerm);
}
