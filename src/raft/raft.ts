/**
 * One replica of a Raft group: a synchronous state machine without I/O, clock or randomness of its own. The host
 * calls in (`tick`, `step`, `propose`, …), then takes a `Ready` and does what it says; see `Ready` for the order.
 *
 * Invariants:
 * - what a message relies on is durable before the message leaves: votes, requests for votes and acknowledgements
 *   wait for the sync; appends, heartbeats and answers to heartbeats do not;
 * - a leader counts itself only with what is durable in its own log;
 * - nothing is applied here that is not committed and durable here.
 */
import { assert, defined, unreachable } from '../base/assert.js';
import type { LogIndex, ReplicaId, Term } from '../base/ids.js';
import { type Configuration, createConfiguration, isMember } from './config.js';
import { takeAppend } from './follower.js';
import { Handover } from './handover.js';
import type { Leader } from './leader.js';
import { checkOptions, type RaftOptions } from './options.js';
import { Outbox } from './outbox.js';
import { RaftLog } from './raft-log.js';
import { ReadRounds } from './read-index.js';
import { Roles } from './roles.js';
import { type RaftStatus, statusOf } from './status.js';
import type {
  AppendRequest,
  Entry,
  HardState,
  Heartbeat,
  RaftMessage,
  Ready,
  Role,
  SoftState,
  SyncPoint,
} from './types.js';

export type ProposeResult =
  | { readonly type: 'accepted'; readonly index: LogIndex; readonly term: Term }
  | { readonly type: 'refused'; readonly reason: 'notLeader' | 'transferring' | 'overloaded' };

export type ReadResult =
  | { readonly type: 'accepted'; readonly round: number }
  | { readonly type: 'refused'; readonly reason: 'notLeader' | 'notReady' };

export class Raft {
  readonly #self: ReplicaId;
  readonly #configuration: Configuration;
  readonly #log: RaftLog;
  readonly #outbox: Outbox;
  readonly #reads: ReadRounds;
  readonly #roles: Roles;
  readonly #handover: Handover;
  #appliedIndex: LogIndex;
  /** What the last `Ready` allowed to apply; at the start what is applied already. */
  #applicableTaken: LogIndex;

  constructor(options: RaftOptions) {
    checkOptions(options);
    const { self, voters, hardState, log, appliedIndex, appendsInFlightMax } = options;
    this.#self = self;
    this.#configuration = createConfiguration(voters);
    this.#log = new RaftLog(log, hardState.commit > appliedIndex ? hardState.commit : appliedIndex);
    this.#outbox = new Outbox(appendsInFlightMax * voters.length);
    this.#reads = new ReadRounds(appendsInFlightMax);
    this.#roles = new Roles(options, this.#configuration, {
      log: this.#log,
      outbox: this.#outbox,
      reads: this.#reads,
    });
    this.#handover = new Handover(this.hardState, this.softState);
    this.#appliedIndex = appliedIndex;
    this.#applicableTaken = appliedIndex;
  }

  get role(): Role {
    return this.#roles.state.type;
  }

  get term(): Term {
    return this.#roles.term;
  }

  /** The leader of `term` as far as this replica knows; 0 when it does not. */
  get leader(): ReplicaId | 0 {
    return this.softState.leader;
  }

  /** May be ahead of what `Ready.commitIndex` allows to apply, by what is not durable here yet. */
  get commitIndex(): LogIndex {
    return this.#log.commitIndex;
  }

  /** Term of the entry at `commitIndex`. */
  get commitTerm(): Term {
    return defined(this.#log.term(this.#log.commitIndex), 'the term of the last committed entry');
  }

  get lastIndex(): LogIndex {
    return this.#log.lastIndex;
  }

  /** The newest ReadIndex round that began here; 0 when none did. */
  get readRound(): number {
    return this.#reads.newest;
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  get softState(): SoftState {
    return this.#roles.softState;
  }

  /** What a host that starts now would have to remember. */
  get hardState(): HardState {
    return { term: this.#roles.term, vote: this.#roles.vote, commit: this.#log.applicableIndex };
  }

  status(): RaftStatus {
    return statusOf(this.#self, this.#roles, this.#log, this.#appliedIndex);
  }

  // Time

  tick(): void {
    this.#roles.tick();
  }

  /** Asks for pre-votes at once, as if the election timeout had passed. No effect on a leader. */
  campaign(): void {
    this.#roles.campaign();
  }

  /**
   * The replica is about to stop: from now on it campaigns no more and takes no leadership over. It votes, and what it
   * leads it leads until somebody else does.
   */
  retire(): void {
    this.#roles.retire();
  }

  // Requests of the host

  /** Keeps `data`, which must not change any more. Being accepted is no promise that the entry will be committed. */
  propose(data: Uint8Array): ProposeResult {
    const leader = this.#leadership;
    if (leader === undefined) return { type: 'refused', reason: 'notLeader' };
    if (leader.transferTarget !== undefined) return { type: 'refused', reason: 'transferring' };
    if (!leader.admits(data.length)) return { type: 'refused', reason: 'overloaded' };
    return { type: 'accepted', index: leader.append(data), term: this.term };
  }

  /** A linearizable read may use the state at the index of the `ReadState` of this round or a later one. */
  requestRead(): ReadResult {
    const leader = this.#leadership;
    if (leader === undefined) return { type: 'refused', reason: 'notLeader' };
    if (!leader.hasCommittedInTerm) return { type: 'refused', reason: 'notReady' };
    return { type: 'accepted', round: this.#reads.request() };
  }

  /**
   * Hands leadership to `to` once it has the whole log; proposals are refused meanwhile. Gives up after a minimal
   * election timeout. Returns whether it started.
   */
  transferLeadership(to: ReplicaId): boolean {
    return this.#leadership?.transferTo(to) ?? false;
  }

  /** Answers one of `Ready.logReads`: entries in order, from the index that was asked for. Ignored when it is late. */
  entriesRead(to: ReplicaId, entries: readonly Entry[]): void {
    this.#leadership?.sendRead(to, entries);
  }

  /**
   * The connection to the peer broke: what was in flight is lost. A follower whose leader it was campaigns soon; where
   * only the connection is broken, the others still hear the leader and ignore that.
   */
  peerUnreachable(replica: ReplicaId): void {
    this.#leadership?.peerUnreachable(replica);
    this.#roles.suspect(replica);
  }

  /** The host's state machine has everything up to `index`. */
  applied(index: LogIndex): void {
    assert(index >= this.#appliedIndex, 'the applied index goes back');
    assert(index <= this.#log.applicableIndex, `entry ${index} was applied before it was committed and durable`);
    this.#appliedIndex = index;
  }

  get #leadership(): Leader | undefined {
    return this.#roles.state.type === 'leader' ? this.#roles.state.leader : undefined;
  }

  // Messages of the peers

  /**
   * Messages of replicas that do not belong to the group have no effect. Of the others only those that a correct peer
   * can have sent may come here: see `messageFault`.
   */
  step(message: RaftMessage): void {
    assert(message.to === this.#self, `a message to replica ${message.to} reached ${this.#self}`);
    if (message.from === this.#self || !isMember(this.#configuration, message.from)) return;
    if (message.term > this.term && !this.#roles.takeHigherTerm(message)) return;
    if (message.term < this.term) {
      this.#answerLowerTerm(message);
      return;
    }
    switch (message.type) {
      case 'preVoteRequest':
      case 'voteRequest':
        this.#roles.onVoteRequest(message);
        break;
      case 'preVoteResponse':
      case 'voteResponse':
        this.#roles.onVoteResponse(message);
        break;
      case 'appendRequest':
        this.#onAppendRequest(message);
        break;
      case 'heartbeat':
        this.#onHeartbeat(message);
        break;
      case 'appendResponse':
        this.#leadership?.onAppendResponse(message);
        break;
      case 'heartbeatResponse':
        this.#leadership?.onHeartbeatResponse(message);
        break;
      case 'timeoutNow':
        this.#roles.onTimeoutNow(message);
        break;
      default:
        unreachable(message);
    }
  }

  /**
   * Most messages of a lower term are late and mean nothing. But a leader or pre-candidate that is behind must learn
   * the term: with PreVote and CheckQuorum nothing else would tell it, and it might be the only one that can win.
   */
  #answerLowerTerm(message: RaftMessage): void {
    if (message.type === 'appendRequest' || message.type === 'heartbeat') this.#answerHeartbeat(message.from, 0);
    else if (message.type === 'preVoteRequest') this.#roles.answerVote(message, false);
  }

  #onAppendRequest(request: AppendRequest): void {
    this.#roles.hearLeader(request.from);
    const answer = takeAppend(this.#log, request);
    this.#outbox.sendAfterSync({
      type: 'appendResponse',
      from: this.#self,
      to: request.from,
      term: this.term,
      ...answer,
    });
  }

  #onHeartbeat(heartbeat: Heartbeat): void {
    this.#roles.hearLeader(heartbeat.from);
    this.#log.commitTo(heartbeat.commit);
    this.#answerHeartbeat(heartbeat.from, heartbeat.readRound);
  }

  #answerHeartbeat(to: ReplicaId, readRound: number): void {
    this.#outbox.send({ type: 'heartbeatResponse', from: this.#self, to, term: this.term, readRound, probe: 0 });
  }

  // What the host has to do

  /** Whether {@link takeReady} would return anything to do. */
  hasReady(): boolean {
    return (
      this.#outbox.hasAtOnce ||
      this.#log.hasEntriesToHandOver ||
      this.#reads.hasNews ||
      (this.#outbox.hasAfterSync && this.#handover.settled) ||
      this.#handover.isNews(this.hardState, this.softState) ||
      this.#applicableTaken < this.#log.applicableIndex ||
      (this.#leadership?.due ?? false)
    );
  }

  takeReady(): Ready {
    const logReads = this.#leadership?.send() ?? [];
    const entries = this.#log.handOver();
    const { lastIndex, lastTerm, applicableIndex } = this.#log;
    const { sequence, ...handed } = this.#handover.hand(this.hardState, this.softState, entries.length > 0);
    if (this.#handover.settled) this.#outbox.release();
    this.#applicableTaken = applicableIndex;
    return {
      ...handed,
      ...this.#reads.takeNews(),
      entries,
      messages: this.#outbox.takeAtOnce(),
      messagesAfterSync: handed.mustSync ? this.#outbox.takeAfterSync() : [],
      syncPoint: { term: this.term, lastIndex, lastTerm, sequence },
      commitIndex: applicableIndex,
      logReads,
    };
  }

  /** What the `Ready` of this point handed over is durable, and so is what earlier ones did. */
  synced(point: SyncPoint): void {
    if (!this.#handover.synced(point.sequence)) return;
    // A point of an older term may name entries that were replaced and have come back since, not yet durable.
    if (point.term !== this.term) return;
    this.#log.stableTo(point.lastIndex, point.lastTerm);
    this.#leadership?.advance();
    // A term that this replica campaigns in begins with its vote, so the first point of the term covers the vote.
    this.#roles.onTermDurable();
  }
}
