/**
 * The role that the replica plays, in which term, and the elections that change it.
 *
 * Invariants:
 * - the term never goes back; in one term there is at most one vote, and at most one leader is heard;
 * - a candidate counts its own vote, and asks others for theirs, only when term, vote and log are durable.
 */
import { assert } from '../base/assert.js';
import { type LogIndex, type ReplicaId, Term } from '../base/ids.js';
import { type ElectionPriority, ElectionTimer, grantsVote, ignoresElection, type VoterState } from './election.js';
import type { Installation } from './install.js';
import { Leader } from './leader.js';
import { LeasePromise } from './lease.js';
import type { Membership } from './membership.js';
import type { RaftOptions } from './options.js';
import type { Outbox } from './outbox.js';
import { electionResult } from './quorum.js';
import type { RaftLog } from './raft-log.js';
import type { ReadRounds } from './read-index.js';
import type { RaftMessage, SoftState, TimeoutNow, VoteRequest, VoteResponse } from './types.js';

export type RoleState =
  | { readonly type: 'follower' }
  | { readonly type: 'preCandidate' | 'candidate'; readonly votes: Map<ReplicaId, boolean> }
  | { readonly type: 'leader'; readonly leader: Leader };

export interface RolesParts {
  readonly membership: Membership;
  readonly log: RaftLog;
  readonly outbox: Outbox;
  readonly installation: Installation;
  readonly reads: ReadRounds;
}

export class Roles {
  readonly #options: RaftOptions;
  readonly #membership: Membership;
  readonly #log: RaftLog;
  readonly #outbox: Outbox;
  readonly #installation: Installation;
  readonly #reads: ReadRounds;
  /** Not used by a leader. */
  readonly #electionTimer: ElectionTimer;

  #term: Term;
  #vote: ReplicaId | 0;
  #leader: ReplicaId | 0 = 0;
  #state: RoleState = { type: 'follower' };
  #isRetired = false;
  readonly #promise: LeasePromise;
  /** A follower that does not expect to hear from its leader. */
  #isQuiet = false;
  /** Whose nodes are held for dead by the host. */
  readonly #unreachable = new Set<ReplicaId>();
  /** The leader has asked this replica to take over, and it will as soon as it has applied all. */
  #takesOver = false;

  constructor(options: RaftOptions, { membership, log, outbox, installation, reads }: RolesParts) {
    this.#options = options;
    this.#membership = membership;
    this.#log = log;
    this.#outbox = outbox;
    this.#installation = installation;
    this.#reads = reads;
    this.#electionTimer = new ElectionTimer(options.electionTicksMin, options.electionTicksMax, options.random);
    this.#term = options.hardState.term;
    const promiseTicks = options.lease === undefined ? 0 : options.electionTicksMin;
    this.#promise = new LeasePromise(promiseTicks, { hasDurableTerm: this.#term > 0 });
    this.#vote = options.hardState.vote;
    assert(log.lastTerm <= this.#term, 'the log has an entry of a later term than the hard state');
  }

  get state(): RoleState {
    return this.#state;
  }

  get term(): Term {
    return this.#term;
  }

  /** Who got this replica's vote in `term`; 0 is nobody. */
  get vote(): ReplicaId | 0 {
    return this.#vote;
  }

  get softState(): SoftState {
    return { role: this.#state.type, term: this.#term, leader: this.#leader };
  }

  /** Nothing is to be done, and nothing expected: ticks have no effect. */
  get isQuiet(): boolean {
    return this.#state.type === 'leader' ? this.#state.leader.quiescence.isQuiet : this.#isQuiet;
  }

  /** Whether a leader may take an answer to its heartbeat for a promise: a restart would keep it. */
  get keepsPromise(): boolean {
    return this.#promise.outlivesRestart;
  }

  /** Something happens. */
  wake(): void {
    if (this.#state.type === 'leader') this.#state.leader.wake();
    this.#isQuiet = false;
  }

  /** The leader asks for it, whose log ends at `lastIndex`, all committed. Returns whether this replica is quiet now. */
  quiesce(lastIndex: LogIndex): boolean {
    assert(this.#state.type === 'follower', 'only followers are asked to be quiet');
    const hasAll = this.#log.isAllApplied && this.#log.commitIndex === lastIndex && this.#log.lastIndex === lastIndex;
    // What a leader asked for before it died must not have this replica wait for it for ever.
    this.#isQuiet = hasAll && this.#leader !== 0 && !this.#unreachable.has(this.#leader);
    return this.#isQuiet;
  }

  /** As `wake`, by the host's wish. Returns the leader that a quiet follower has to wake too; 0 is nobody. */
  wakeGroup(): ReplicaId | 0 {
    const leader = this.#state.type === 'follower' && this.#isQuiet ? this.#leader : 0;
    this.wake();
    return leader;
  }

  setElectionPriority(priority: ElectionPriority): void {
    this.#electionTimer.priority = priority;
  }

  tick(ticksElapsed: number): void {
    if (this.isQuiet) return;
    this.#promise.tick();
    if (this.#state.type === 'leader') {
      if (!this.#state.leader.tick(ticksElapsed)) this.#becomeFollower(this.#term, 0);
    } else if (this.#electionTimer.tick()) {
      this.campaign();
    }
  }

  /** No effect before the replica can tell whether it belongs to the group: see {@link #mayCampaign}. */
  campaign(): void {
    if (this.#state.type !== 'leader' && this.#mayCampaign && !this.#promise.holds) this.#becomePreCandidate();
  }

  /**
   * A candidate counts votes by the configuration that it knows. Of what is committed a newer one may be part, so all
   * must be applied first: then nobody can be elected by a configuration two changes away.
   */
  get #mayCampaign(): boolean {
    const isCurrent = this.#log.isAllApplied && !this.#installation.isUnderWay;
    return !this.#isRetired && this.#membership.mayLead && isCurrent;
  }

  /** The state machine has applied more, and so perhaps a new configuration. */
  onApplied(): void {
    if (this.#takesOver && this.#mayCampaign) this.#becomeCandidate({ transfer: true });
  }

  /** The configuration has changed. A leader that does not belong to it any more has done what it could. */
  reconfigure(): void {
    if (this.#state.type === 'follower') return;
    if (!this.#membership.mayLead) {
      if (this.#state.type === 'leader') this.#state.leader.tellCommit();
      this.#becomeFollower(this.#term, 0);
    } else if (this.#state.type === 'leader') {
      this.#state.leader.reconfigure();
      this.#tellUnreachable(this.#state.leader);
    }
  }

  /** A leader that is new, or has new followers, has not been told. */
  #tellUnreachable(leader: Leader): void {
    for (const peer of this.#unreachable) leader.peerUnreachable(peer);
  }

  /** See `Raft.retire`. */
  retire(): void {
    this.#isRetired = true;
    if (this.#state.type === 'preCandidate' || this.#state.type === 'candidate') this.#becomeFollower(this.#term, 0);
  }

  /** Adopts the message's term where it is somebody's real term. Returns false where the message is to be ignored. */
  takeHigherTerm(message: RaftMessage): boolean {
    assert(message.term > this.#term, 'not a higher term');
    switch (message.type) {
      case 'preVoteRequest':
        return !ignoresElection(this.#voterState, message);
      case 'voteRequest':
        if (ignoresElection(this.#voterState, message)) return false;
        this.#becomeFollower(message.term, 0);
        return true;
      case 'preVoteResponse':
        // A grant carries the term that this replica would campaign in; a refusal the voter's own.
        if (!message.granted) this.#becomeFollower(message.term, 0);
        return true;
      case 'appendRequest':
      case 'heartbeat':
      case 'snapshotRequest':
        this.#becomeFollower(message.term, message.from);
        return true;
      default:
        this.#becomeFollower(message.term, 0);
        return true;
    }
  }

  /** A message that only the leader of the current term sends. */
  hearLeader(from: ReplicaId): void {
    assert(this.#state.type !== 'leader', `replica ${from} leads in term ${this.#term} too`);
    assert(this.#leader === 0 || this.#leader === from, `term ${this.#term} has two leaders`);
    if (this.#state.type !== 'follower' || this.#leader === 0) this.#becomeFollower(this.#term, from);
    this.#electionTimer.restart();
    this.#promise.renew();
  }

  /** The connection to `peer` broke. If it leads: it need not be waited for, nor protected from elections. */
  suspect(peer: ReplicaId): void {
    this.#unreachable.add(peer);
    if (this.#state.type === 'leader') this.#state.leader.peerUnreachable(peer);
    if (this.#state.type !== 'follower' || this.#leader !== peer) return;
    this.#isQuiet = false;
    this.#electionTimer.suspect();
  }

  /** The connection to `peer` is there again. */
  trust(peer: ReplicaId): void {
    if (this.#unreachable.delete(peer) && this.#state.type === 'leader') this.#state.leader.peerReachable(peer);
  }

  // Votes

  get #voterState(): VoterState {
    const isHeard = this.#leader !== 0 && this.#electionTimer.belowMin;
    const hearsLeader = this.#state.type === 'leader' || isHeard || this.#promise.holds;
    return { term: this.#term, vote: this.#vote, leader: this.#leader, hearsLeader };
  }

  onVoteRequest(request: VoteRequest): void {
    const granted = grantsVote(this.#voterState, this.#log, request);
    if (granted && request.type === 'voteRequest') {
      this.#vote = request.from;
      this.#electionTimer.restart();
    }
    this.answerVote(request, granted);
  }

  answerVote(request: VoteRequest, granted: boolean): void {
    this.#outbox.sendAfterSync({
      type: request.type === 'preVoteRequest' ? 'preVoteResponse' : 'voteResponse',
      from: this.#options.self,
      to: request.from,
      term: granted ? request.term : this.#term,
      granted,
      commit: this.#log.commitIndex,
      commitTerm: this.#log.commitTerm,
    });
  }

  /**
   * A candidate that is refused may learn that a change of the configuration is committed, by which it needs other
   * votes: perhaps not those of a replica that has the better log and no vote any more.
   */
  onVoteResponse(response: VoteResponse): void {
    const { granted, commit, commitTerm } = response;
    if (!granted && commit > this.#log.commitIndex && this.#log.term(commit) === commitTerm) {
      this.#log.commitTo(commit);
      if (this.#state.type !== 'leader') this.#becomeFollower(this.#term, this.#leader);
      return;
    }
    const awaited = response.type === 'preVoteResponse' ? 'preCandidate' : 'candidate';
    if (this.#state.type !== awaited) return;
    // A late grant may be for an earlier campaign.
    if (response.type === 'preVoteResponse' && response.granted && response.term !== this.#term + 1) return;
    this.#countVote(response.from, response.granted);
  }

  /** Term and vote are durable, and the log as it was when the term began. */
  onTermDurable(): void {
    this.#promise.onTermDurable();
    if (this.#state.type === 'candidate') this.#countVote(this.#options.self, true);
  }

  #countVote(voter: ReplicaId, granted: boolean): void {
    assert(this.#state.type === 'preCandidate' || this.#state.type === 'candidate', 'a vote outside of an election');
    if (!this.#state.votes.has(voter)) this.#state.votes.set(voter, granted);
    switch (electionResult(this.#membership.configuration, this.#state.votes)) {
      case 'won':
        if (this.#state.type === 'preCandidate') this.#becomeCandidate({ transfer: false });
        else this.#becomeLeader();
        break;
      case 'lost':
        this.#becomeFollower(this.#term, 0);
        break;
      case 'open':
        break;
    }
  }

  /**
   * The leader hands over. PreVote would only take time: the leader knows that this replica can win. Nobody else may have it
   * campaign, since voters heed that although they hear their leader.
   */
  onTimeoutNow(message: TimeoutNow): void {
    if (this.#state.type !== 'follower' || this.#leader !== message.from) return;
    this.#takesOver = true;
    this.onApplied();
  }

  // Changes of role

  #becomeFollower(term: Term, leader: ReplicaId | 0): void {
    assert(term >= this.#term, 'the term goes back');
    if (this.#state.type === 'leader') this.#reads.lose();
    if (term > this.#term) {
      this.#term = term;
      this.#vote = 0;
    }
    this.#leader = leader;
    this.#takesOver = false;
    this.#state = { type: 'follower' };
    this.#isQuiet = false;
    this.#electionTimer.redraw();
  }

  /** The term stays: only a replica that would win raises it. */
  #becomePreCandidate(): void {
    assert(this.#state.type !== 'leader', 'a leader campaigns');
    this.#leader = 0;
    this.#takesOver = false;
    this.#state = { type: 'preCandidate', votes: new Map() };
    this.#electionTimer.redraw();
    for (const to of this.#membership.otherVoters) {
      this.#outbox.send(this.#voteRequest('preVoteRequest', to, Term(this.#term + 1)));
    }
    this.#countVote(this.#options.self, true);
  }

  /**
   * Requests for votes wait for the sync too: otherwise, after a crash, this replica could ask again in the same term
   * with a shorter log, and be elected by late answers to its first request.
   */
  #becomeCandidate({ transfer }: { readonly transfer: boolean }): void {
    assert(this.#state.type !== 'leader', 'a leader campaigns');
    this.#term = Term(this.#term + 1);
    this.#vote = this.#options.self;
    this.#leader = 0;
    this.#takesOver = false;
    this.#state = { type: 'candidate', votes: new Map() };
    this.#electionTimer.redraw();
    for (const to of this.#membership.otherVoters) {
      this.#outbox.sendAfterSync({ ...this.#voteRequest('voteRequest', to, this.#term), transfer });
    }
  }

  #becomeLeader(): void {
    assert(this.#state.type === 'candidate', 'only a candidate becomes leader');
    assert(this.#vote === this.#options.self, 'a leader that did not vote for itself');
    this.#leader = this.#options.self;
    const context = {
      options: this.#options,
      term: this.#term,
      membership: this.#membership,
      log: this.#log,
      outbox: this.#outbox,
    };
    const leader = new Leader(context, this.#reads);
    this.#tellUnreachable(leader);
    this.#state = { type: 'leader', leader };
  }

  #voteRequest(type: VoteRequest['type'], to: ReplicaId, term: Term): VoteRequest {
    const { lastIndex: lastLogIndex, lastTerm: lastLogTerm } = this.#log;
    return { type, from: this.#options.self, to, term, lastLogIndex, lastLogTerm, transfer: false };
  }
}
