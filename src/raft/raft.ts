/**
 * One replica of a Raft group: a synchronous state machine without I/O, clock or randomness of its own. The host
 * calls in (`tick`, `step`, `propose`, …), then takes a `Ready` and does what it says; see `Ready` for the order.
 *
 * Invariants:
 * - the term never goes back, and in one term there is one vote and one leader;
 * - what a message relies on is durable before the message leaves: votes, acknowledgements and requests for votes
 *   wait for the sync; appends, heartbeats and answers to heartbeats do not;
 * - a leader counts itself only with what is durable in its own log.
 */
import { assert, unreachable } from '../base/assert.js';
import { type LogIndex, type ReplicaId, Term } from '../base/ids.js';
import type { Prng } from '../base/prng.js';
import { type Configuration, createConfiguration, isMember, peersOf } from './config.js';
import { grantsVote, ignoresElection, type VoterState } from './election.js';
import { takeAppend } from './follower.js';
import { Leader } from './leader.js';
import { Outbox } from './outbox.js';
import { electionResult } from './quorum.js';
import { RaftLog } from './raft-log.js';
import { ReadRounds } from './read-index.js';
import { type RaftStatus, statusOf } from './status.js';
import type {
  Entry,
  HardState,
  LogView,
  RaftMessage,
  Ready,
  ReadState,
  Role,
  SoftState,
  SyncPoint,
  TimeoutNow,
  VoteRequest,
  VoteResponse,
} from './types.js';

export interface RaftOptions {
  readonly self: ReplicaId;
  /** All voters of the group, `self` among them. */
  readonly voters: readonly ReplicaId[];
  /** As it was made durable last; all zero for a new replica. */
  readonly hardState: HardState;
  /** Everything in it is durable when the core starts. */
  readonly log: LogView;
  /** The host's state machine has everything up to here. */
  readonly appliedIndex: LogIndex;
  /** A follower that hears no leader for min … max ticks (drawn anew each time) campaigns. */
  readonly electionTicksMin: number;
  readonly electionTicksMax: number;
  /** Ticks between heartbeats; below `electionTicksMin`. */
  readonly heartbeatTicks: number;
  /** Bytes of entry data in one append; one entry is always sent. */
  readonly appendBytesMax: number;
  /** Appends to one follower, and read rounds, that are not answered. */
  readonly appendsInFlightMax: number;
  /** Bytes of proposals that are not committed; beyond, proposals are refused. */
  readonly uncommittedBytesMax: number;
  readonly random: Prng;
}

export type ProposeResult =
  | { readonly type: 'accepted'; readonly index: LogIndex; readonly term: Term }
  | { readonly type: 'refused'; readonly reason: 'notLeader' | 'transferring' | 'overloaded' };

export type ReadResult =
  | { readonly type: 'accepted'; readonly round: number }
  | { readonly type: 'refused'; readonly reason: 'notLeader' | 'notReady' };

type RoleState =
  | { readonly type: 'follower' }
  | { readonly type: 'preCandidate' | 'candidate'; readonly votes: Map<ReplicaId, boolean> }
  | { readonly type: 'leader'; readonly leader: Leader };

export class Raft {
  readonly #options: RaftOptions;
  readonly #configuration: Configuration;
  readonly #log: RaftLog;
  readonly #outbox: Outbox;
  readonly #reads: ReadRounds;

  #term: Term;
  #vote: ReplicaId | 0;
  #leader: ReplicaId | 0 = 0;
  #role: RoleState = { type: 'follower' };
  #appliedIndex: LogIndex;
  /** Ticks since the election timer was reset, and the timeout that was drawn then. Not used by a leader. */
  #electionTicks = 0;
  #electionTimeoutTicks: number;

  #readStates: ReadState[] = [];
  #readsLost = false;
  /** What the last `Ready`s carried. */
  #hardStateTaken: HardState;
  #softStateTaken: SoftState;
  /** Sequence numbers of the newest `Ready` that had something to make durable, and of the newest that is durable. */
  #syncsTaken = 0;
  #syncsDone = 0;

  constructor(options: RaftOptions) {
    const { self, voters, hardState, log, appliedIndex } = options;
    assert(voters.includes(self), `replica ${self} is not a voter of its group`);
    assert(options.heartbeatTicks >= 1, 'heartbeatTicks must be at least 1');
    assert(options.heartbeatTicks < options.electionTicksMin, 'heartbeatTicks must be below electionTicksMin');
    assert(options.electionTicksMin <= options.electionTicksMax, 'electionTicksMin must not exceed electionTicksMax');
    assert(options.appendsInFlightMax >= 1, 'appendsInFlightMax must be at least 1');
    this.#options = options;
    this.#configuration = createConfiguration(voters);
    this.#log = new RaftLog(log, hardState.commit > appliedIndex ? hardState.commit : appliedIndex);
    this.#outbox = new Outbox(options.appendsInFlightMax * voters.length);
    this.#reads = new ReadRounds(options.appendsInFlightMax);
    this.#term = hardState.term;
    this.#vote = hardState.vote;
    assert(this.#log.lastTerm <= this.#term, 'the log has an entry of a later term than the hard state');
    this.#appliedIndex = appliedIndex;
    this.#electionTimeoutTicks = this.#drawElectionTimeout();
    this.#hardStateTaken = this.hardState;
    this.#softStateTaken = this.softState;
  }

  get role(): Role {
    return this.#role.type;
  }

  get term(): Term {
    return this.#term;
  }

  /** The leader of `term` as far as this replica knows; 0 when it does not. */
  get leader(): ReplicaId | 0 {
    return this.#leader;
  }

  get commitIndex(): LogIndex {
    return this.#log.commitIndex;
  }

  get lastIndex(): LogIndex {
    return this.#log.lastIndex;
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  get softState(): SoftState {
    return { role: this.role, term: this.#term, leader: this.#leader };
  }

  get hardState(): HardState {
    return { term: this.#term, vote: this.#vote, commit: this.#log.applicableIndex };
  }

  status(): RaftStatus {
    const leader = this.#role.type === 'leader' ? this.#role.leader : undefined;
    return statusOf(this.#options.self, this.softState, this.hardState.vote, this.#log, this.#appliedIndex, leader);
  }

  // Time

  tick(): void {
    if (this.#role.type === 'leader') {
      if (!this.#role.leader.tick()) this.#becomeFollower(this.#term, 0);
    } else if (++this.#electionTicks >= this.#electionTimeoutTicks) {
      this.#becomePreCandidate();
    }
  }

  /** Asks for pre-votes at once, as if the election timeout had passed. No effect on a leader. */
  campaign(): void {
    if (this.#role.type !== 'leader') this.#becomePreCandidate();
  }

  // Requests of the host

  /** Borrows `data` until the entry is applied or replaced. Not a promise that the entry will be committed. */
  propose(data: Uint8Array): ProposeResult {
    if (this.#role.type !== 'leader') return { type: 'refused', reason: 'notLeader' };
    const { leader } = this.#role;
    if (leader.transferTarget !== undefined) return { type: 'refused', reason: 'transferring' };
    if (!leader.admits(data.length)) return { type: 'refused', reason: 'overloaded' };
    return { type: 'accepted', index: leader.append(data), term: this.#term };
  }

  /** A linearizable read may use the state at the index of the `ReadState` of this round or a later one. */
  requestRead(): ReadResult {
    if (this.#role.type !== 'leader') return { type: 'refused', reason: 'notLeader' };
    if (!this.#role.leader.hasCommittedInTerm) return { type: 'refused', reason: 'notReady' };
    return { type: 'accepted', round: this.#reads.request() };
  }

  /**
   * Hands leadership to `to` once it has the whole log; proposals are refused meanwhile. Gives up after a minimal
   * election timeout. Returns whether it started.
   */
  transferLeadership(to: ReplicaId): boolean {
    return this.#role.type === 'leader' && this.#role.leader.transferTo(to);
  }

  /** Answers one of `Ready.logReads`. */
  entriesRead(to: ReplicaId, entries: readonly Entry[]): void {
    if (this.#role.type === 'leader') this.#role.leader.sendRead(to, entries);
  }

  /** The connection to the peer broke: what was in flight is lost. */
  peerUnreachable(replica: ReplicaId): void {
    if (this.#role.type === 'leader') this.#role.leader.peerUnreachable(replica);
  }

  /** The host's state machine has everything up to `index`. */
  applied(index: LogIndex): void {
    assert(index >= this.#appliedIndex, 'the applied index goes back');
    assert(index <= this.#log.applicableIndex, `entry ${index} was applied before it was committed and durable`);
    this.#appliedIndex = index;
  }

  // Messages of the peers

  /** Messages of replicas that do not belong to the group have no effect. */
  step(message: RaftMessage): void {
    const { self } = this.#options;
    assert(message.to === self, `a message to replica ${message.to} reached ${self}`);
    if (message.from === self || !isMember(this.#configuration, message.from)) return;
    if (message.term > this.#term && !this.#takeHigherTerm(message)) return;
    if (message.term < this.#term) {
      this.#answerLowerTerm(message);
      return;
    }
    switch (message.type) {
      case 'preVoteRequest':
      case 'voteRequest':
        this.#onVoteRequest(message);
        break;
      case 'preVoteResponse':
      case 'voteResponse':
        this.#onVoteResponse(message);
        break;
      case 'appendRequest': {
        this.#hearLeader(message.from);
        const answer = takeAppend(this.#log, message);
        this.#outbox.sendAfterSync({
          type: 'appendResponse',
          from: self,
          to: message.from,
          term: this.#term,
          ...answer,
        });
        break;
      }
      case 'heartbeat':
        this.#hearLeader(message.from);
        this.#log.commitTo(message.commit);
        this.#answerHeartbeat(message.from, message.readRound);
        break;
      case 'appendResponse':
        if (this.#role.type === 'leader') this.#role.leader.onAppendResponse(message);
        break;
      case 'heartbeatResponse':
        if (this.#role.type === 'leader') this.#readStates.push(...this.#role.leader.onHeartbeatResponse(message));
        break;
      case 'timeoutNow':
        this.#onTimeoutNow(message);
        break;
      default:
        unreachable(message);
    }
  }

  /** Adopts the message's term where it is somebody's real term. Returns false to drop the message. */
  #takeHigherTerm(message: RaftMessage): boolean {
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
        this.#becomeFollower(message.term, message.from);
        return true;
      default:
        this.#becomeFollower(message.term, 0);
        return true;
    }
  }

  /**
   * Most messages of a lower term are late and mean nothing. But a leader or pre-candidate that is behind must learn
   * the term: with PreVote and CheckQuorum nothing else would tell it, and it might be the only one that can win.
   */
  #answerLowerTerm(message: RaftMessage): void {
    if (message.type === 'appendRequest' || message.type === 'heartbeat') {
      this.#answerHeartbeat(message.from, 0);
    } else if (message.type === 'preVoteRequest') {
      this.#answerVote(message, false);
    }
  }

  #hearLeader(from: ReplicaId): void {
    assert(this.#role.type !== 'leader', `replica ${from} leads in term ${this.#term} too`);
    assert(this.#leader === 0 || this.#leader === from, `term ${this.#term} has two leaders`);
    if (this.#role.type !== 'follower' || this.#leader === 0) this.#becomeFollower(this.#term, from);
    this.#electionTicks = 0;
  }

  #answerHeartbeat(to: ReplicaId, readRound: number): void {
    this.#outbox.send({ type: 'heartbeatResponse', from: this.#options.self, to, term: this.#term, readRound });
  }

  // Elections

  get #voterState(): VoterState {
    const hearsLeader =
      this.#role.type === 'leader' || (this.#leader !== 0 && this.#electionTicks < this.#options.electionTicksMin);
    return { term: this.#term, vote: this.#vote, leader: this.#leader, hearsLeader };
  }

  #onVoteRequest(request: VoteRequest): void {
    const granted = grantsVote(this.#voterState, this.#log, request);
    if (granted && request.type === 'voteRequest') {
      this.#vote = request.from;
      this.#electionTicks = 0;
    }
    this.#answerVote(request, granted);
  }

  #answerVote(request: VoteRequest, granted: boolean): void {
    this.#outbox.sendAfterSync({
      type: request.type === 'preVoteRequest' ? 'preVoteResponse' : 'voteResponse',
      from: this.#options.self,
      to: request.from,
      term: granted ? request.term : this.#term,
      granted,
    });
  }

  #onVoteResponse(response: VoteResponse): void {
    if (response.type === 'preVoteResponse') {
      if (this.#role.type !== 'preCandidate') return;
      if (response.granted && response.term !== this.#term + 1) return;
    } else if (this.#role.type !== 'candidate') {
      return;
    }
    this.#countVote(response.from, response.granted);
  }

  #countVote(voter: ReplicaId, granted: boolean): void {
    assert(this.#role.type === 'preCandidate' || this.#role.type === 'candidate', 'a vote outside of an election');
    if (!this.#role.votes.has(voter)) this.#role.votes.set(voter, granted);
    switch (electionResult(this.#configuration, this.#role.votes)) {
      case 'won':
        if (this.#role.type === 'preCandidate') this.#becomeCandidate(false);
        else this.#becomeLeader();
        break;
      case 'lost':
        this.#becomeFollower(this.#term, 0);
        break;
      case 'open':
        break;
    }
  }

  #onTimeoutNow(message: TimeoutNow): void {
    if (this.#role.type === 'follower' && this.#leader === message.from) this.#becomeCandidate(true);
  }

  // Changes of role

  #becomeFollower(term: Term, leader: ReplicaId | 0): void {
    assert(term >= this.#term, 'the term goes back');
    if (this.#role.type === 'leader') {
      this.#reads.lose();
      this.#readsLost = true;
    }
    if (term > this.#term) {
      this.#term = term;
      this.#vote = 0;
    }
    this.#leader = leader;
    this.#role = { type: 'follower' };
    this.#resetElectionTimer();
  }

  /** The term stays: only a replica that would win raises it. */
  #becomePreCandidate(): void {
    assert(this.#role.type !== 'leader', 'a leader campaigns');
    this.#leader = 0;
    this.#role = { type: 'preCandidate', votes: new Map() };
    this.#resetElectionTimer();
    for (const to of peersOf(this.#configuration, this.#options.self)) {
      this.#outbox.send(this.#voteRequest('preVoteRequest', to, Term(this.#term + 1), false));
    }
    this.#countVote(this.#options.self, true);
  }

  /**
   * Its own vote is counted by `synced`. Requests wait for the sync too: else, after a crash, this replica could ask
   * again in the same term with a shorter log, and be elected by late answers to the first request.
   */
  #becomeCandidate(transfer: boolean): void {
    assert(this.#role.type !== 'leader', 'a leader campaigns');
    this.#term = Term(this.#term + 1);
    this.#vote = this.#options.self;
    this.#leader = 0;
    this.#role = { type: 'candidate', votes: new Map() };
    this.#resetElectionTimer();
    for (const to of peersOf(this.#configuration, this.#options.self)) {
      this.#outbox.sendAfterSync(this.#voteRequest('voteRequest', to, this.#term, transfer));
    }
  }

  #becomeLeader(): void {
    assert(this.#role.type === 'candidate', 'only a candidate becomes leader');
    assert(this.#vote === this.#options.self, 'a leader that did not vote for itself');
    const { self, electionTicksMin, heartbeatTicks, appendBytesMax, appendsInFlightMax } = this.#options;
    const context = {
      self,
      term: this.#term,
      configuration: this.#configuration,
      log: this.#log,
      outbox: this.#outbox,
      electionTicksMin,
      heartbeatTicks,
      appendBytesMax,
      appendsInFlightMax,
    };
    this.#leader = self;
    this.#role = { type: 'leader', leader: new Leader(context, this.#reads, this.#options.uncommittedBytesMax) };
  }

  #voteRequest(type: VoteRequest['type'], to: ReplicaId, term: Term, transfer: boolean): VoteRequest {
    const { lastIndex: lastLogIndex, lastTerm: lastLogTerm } = this.#log;
    return { type, from: this.#options.self, to, term, lastLogIndex, lastLogTerm, transfer };
  }

  #resetElectionTimer(): void {
    this.#electionTicks = 0;
    this.#electionTimeoutTicks = this.#drawElectionTimeout();
  }

  #drawElectionTimeout(): number {
    return this.#options.random.int(this.#options.electionTicksMin, this.#options.electionTicksMax);
  }

  // What the host has to do

  /** Whether {@link takeReady} would return anything to do. */
  hasReady(): boolean {
    return (
      this.#outbox.hasAtOnce ||
      this.#log.hasEntriesToHandOver ||
      this.#readStates.length > 0 ||
      this.#readsLost ||
      (this.#outbox.hasAfterSync && this.#syncsDone === this.#syncsTaken) ||
      !equalHardStates(this.#hardStateTaken, this.hardState) ||
      !equalSoftStates(this.#softStateTaken, this.softState) ||
      (this.#role.type === 'leader' && this.#role.leader.due)
    );
  }

  takeReady(): Ready {
    const sent = this.#role.type === 'leader' ? this.#role.leader.send() : { logReads: [], readStates: [] };
    const hardState = this.hardState;
    const softState = this.softState;
    const entries = this.#log.handOver();
    const before = this.#hardStateTaken;
    const mustSync = entries.length > 0 || hardState.term !== before.term || hardState.vote !== before.vote;
    if (mustSync) this.#syncsTaken++;
    else if (this.#syncsDone === this.#syncsTaken) this.#outbox.release();
    const ready: Ready = {
      hardState: equalHardStates(before, hardState) ? undefined : hardState,
      entries,
      mustSync,
      messages: this.#outbox.takeAtOnce(),
      messagesAfterSync: mustSync ? this.#outbox.takeAfterSync() : [],
      syncPoint: {
        term: this.#term,
        lastIndex: this.#log.lastIndex,
        lastTerm: this.#log.lastTerm,
        sequence: mustSync ? this.#syncsTaken : 0,
      },
      commitIndex: hardState.commit,
      readStates: [...this.#readStates, ...sent.readStates],
      readsLost: this.#readsLost,
      logReads: sent.logReads,
      softState: equalSoftStates(this.#softStateTaken, softState) ? undefined : softState,
    };
    this.#hardStateTaken = hardState;
    this.#softStateTaken = softState;
    this.#readStates = [];
    this.#readsLost = false;
    return ready;
  }

  /** What the `Ready` of this point handed over is durable, and so is what earlier ones did. */
  synced(point: SyncPoint): void {
    if (point.sequence <= this.#syncsDone) return;
    assert(point.sequence <= this.#syncsTaken, 'a sync was reported that was never asked for');
    this.#syncsDone = point.sequence;
    // A point of an older term may name entries that were replaced and have come back since, not yet durable.
    if (point.term !== this.#term) return;
    this.#log.stableTo(point.lastIndex, point.lastTerm);
    if (this.#role.type === 'leader') this.#role.leader.advance();
    // The term began with the vote for this replica, so the first point of the term makes the vote durable.
    else if (this.#role.type === 'candidate') this.#countVote(this.#options.self, true);
  }
}

function equalHardStates(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.vote === b.vote && a.commit === b.commit;
}

function equalSoftStates(a: SoftState, b: SoftState): boolean {
  return a.role === b.role && a.term === b.term && a.leader === b.leader;
}
