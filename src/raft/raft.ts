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
import type { LogIndex, ReplicaId, Term } from '../base/ids.js';
import type { ChangeRefusal } from './change-control.js';
import type { Configuration } from './config.js';
import type { ElectionPriority } from './election.js';
import { HandedOut } from './handed-out.js';
import { Inbox } from './inbox.js';
import { Installation, judgeSnapshot } from './install.js';
import type { Leader } from './leader.js';
import { Membership } from './membership.js';
import { checkOptions, type RaftOptions } from './options.js';
import { Outbox } from './outbox.js';
import { RaftLog } from './raft-log.js';
import { ReadRounds } from './read-index.js';
import { Roles } from './roles.js';
import { type RaftStatus, statusOf } from './status.js';
import type {
  Entry,
  HardState,
  RaftSnapshot,
  SnapshotRequest,
  RaftMessage,
  Ready,
  Role,
  SoftState,
  SyncPoint,
  Voucher,
} from './types.js';

export type ProposeResult =
  | { readonly type: 'accepted'; readonly index: LogIndex; readonly term: Term }
  | { readonly type: 'refused'; readonly reason: 'notLeader' | 'transferring' | 'overloaded' };

export type ChangeResult =
  | { readonly type: 'accepted'; readonly index: LogIndex; readonly term: Term }
  | { readonly type: 'refused'; readonly reason: 'notLeader' | 'transferring' | ChangeRefusal };

export type ReadResult =
  | { readonly type: 'accepted'; readonly round: number }
  | { readonly type: 'refused'; readonly reason: 'notLeader' | 'notReady' };

export class Raft {
  readonly #membership: Membership;
  readonly #log: RaftLog;
  readonly #outbox: Outbox;
  readonly #installation = new Installation();
  readonly #reads: ReadRounds;
  readonly #roles: Roles;
  readonly #inbox: Inbox;
  readonly #handedOut: HandedOut;
  /** What the last `Ready` allowed to apply; at the start what is applied already. */
  #applicableTaken: LogIndex;

  constructor(options: RaftOptions) {
    checkOptions(options);
    const { self, configuration, hardState, log, appliedIndex, appendsInFlightMax } = options;
    this.#membership = new Membership(self, configuration);
    this.#log = new RaftLog(log, hardState.commit, appliedIndex);
    this.#outbox = new Outbox(this.#membership, appendsInFlightMax);
    this.#reads = new ReadRounds(appendsInFlightMax);
    const parts = {
      membership: this.#membership,
      log: this.#log,
      outbox: this.#outbox,
      installation: this.#installation,
    };
    this.#roles = new Roles(options, { ...parts, reads: this.#reads });
    this.#inbox = new Inbox({ ...parts, roles: this.#roles });
    this.#handedOut = new HandedOut(this.hardState, this.softState);
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
    return this.#log.commitTerm;
  }

  get lastIndex(): LogIndex {
    return this.#log.lastIndex;
  }

  /** The newest ReadIndex round that began here; 0 when none did. */
  get readRound(): number {
    return this.#reads.newest;
  }

  get appliedIndex(): LogIndex {
    return this.#log.appliedIndex;
  }

  /** As of the last applied entry. */
  get configuration(): Configuration {
    return this.#membership.configuration;
  }

  get softState(): SoftState {
    return this.#roles.softState;
  }

  /**
   * What a host that starts now would have to remember. The commit index may be ahead of what is durable: the entries
   * up to it are handed over before it or with it. So whoever has an append durable has its commit index too.
   */
  get hardState(): HardState {
    return { term: this.#roles.term, vote: this.#roles.vote, commit: this.#log.commitIndex };
  }

  status(): RaftStatus {
    return statusOf(this.#membership, this.#roles, this.#log);
  }

  /** Who is to lead next; 0 when no leadership transfer is under way. */
  get transferTarget(): ReplicaId | 0 {
    return this.#leadership?.transferTarget ?? 0;
  }

  // Time

  /**
   * A tick that comes late does for `ticksElapsed` only where a leader speaks to its followers, who have counted them all. Whoever
   * waits for others counts one: what they have sent meanwhile may not have been read yet.
   */
  tick(ticksElapsed = 1): void {
    this.#roles.tick(ticksElapsed);
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

  /** Whether {@link tick} has no effect, until something happens. */
  get isQuiet(): boolean {
    return this.#roles.isQuiet;
  }

  /** The host wants to hear of the leader, or of the followers: a quiet replica awakes, and so does its leader. */
  wakeGroup(): void {
    this.#inbox.wakeGroup();
  }

  /** With `low`, others campaign first where they can. `normal` at the start. */
  setElectionPriority(priority: ElectionPriority): void {
    this.#roles.setElectionPriority(priority);
  }

  // Requests of the host

  /** Keeps `data`, which must not change any more. Being accepted is no promise that the entry will be committed. */
  propose(data: Uint8Array): ProposeResult {
    const leader = this.#leadership;
    if (leader === undefined) return { type: 'refused', reason: 'notLeader' };
    if (leader.transferTarget !== undefined) return { type: 'refused', reason: 'transferring' };
    if (!leader.admits(data.length)) return { type: 'refused', reason: 'overloaded' };
    this.#roles.wake();
    return { type: 'accepted', index: leader.append(data), term: this.term };
  }

  /**
   * Proposes the entry of a change: `data` is what makes every host call {@link applyConfiguration} with `next`, which
   * follows the configuration that acts now (`config-change.ts`). One change at a time, none while handing over.
   */
  proposeConfiguration(next: Configuration, data: Uint8Array): ChangeResult {
    const leader = this.#leadership;
    if (leader === undefined) return { type: 'refused', reason: 'notLeader' };
    if (leader.transferTarget !== undefined) return { type: 'refused', reason: 'transferring' };
    const index = leader.appendChange(next, data);
    if (typeof index === 'string') return { type: 'refused', reason: index };
    this.#roles.wake();
    return { type: 'accepted', index, term: this.term };
  }

  /** A linearizable read may use the state at the index of the `ReadState` of this round or a later one. */
  requestRead(): ReadResult {
    const leader = this.#leadership;
    if (leader === undefined) return { type: 'refused', reason: 'notLeader' };
    if (!leader.hasCommittedInTerm) return { type: 'refused', reason: 'notReady' };
    this.#roles.wake();
    return { type: 'accepted', round: this.#reads.request() };
  }

  /**
   * Whether this leads, and together with the replica that vouches is a quorum, in this term both: then nobody had been
   * elected in a later term when that replica asked, as a round that began then would show.
   */
  isVouchedBy({ replica, term }: Voucher): boolean {
    const leader = this.#leadership;
    return leader?.hasCommittedInTerm === true && term === this.term && leader.isQuorumWith(replica);
  }

  /**
   * With a lease: the index whose state, or a later one, may be read now without a round. The read counts only if
   * {@link holdsLease} is still true when it is done: the process may have stood still between (pitfall 8).
   */
  leaseRead(): LogIndex | undefined {
    return this.holdsLease ? this.commitIndex : undefined;
  }

  get holdsLease(): boolean {
    return this.#leadership?.holdsLease ?? false;
  }

  /**
   * Hands leadership to `to` once it has the whole log; proposals are refused meanwhile. Gives up after a minimal
   * election timeout. Returns whether it started.
   */
  transferLeadership(to: ReplicaId): boolean {
    this.#roles.wake();
    return this.#leadership?.transferTo(to) ?? false;
  }

  /** Answers one of `Ready.logReads`: entries in order, from the index that was asked for. Ignored when it is late. */
  entriesRead(to: ReplicaId, entries: readonly Entry[]): void {
    this.#leadership?.sendRead(to, entries);
  }

  /**
   * The connection to the peer broke, or its node is held for dead: what was in flight is lost. A follower whose leader
   * it was campaigns soon, even from its quiet; where only the connection is broken, the others still hear the leader
   * and ignore that. A quiet leader wakes and looks whether it has a quorum left. Holds until {@link peerReachable}: so
   * long no group becomes quiet for this leader, and one may become quiet without this follower.
   */
  peerUnreachable(replica: ReplicaId): void {
    this.#roles.suspect(replica);
  }

  peerReachable(replica: ReplicaId): void {
    this.#roles.trust(replica);
  }

  /** The host's state machine has everything up to `index`. Entries that change the configuration are told apart. */
  applied(index: LogIndex): void {
    this.#log.appliedTo(index);
    this.#roles.onApplied();
  }

  /**
   * The host has applied the entry at `index`, which changes the configuration: it acts from now on. Also after a restart: that it is
   * committed is made durable, or replicas that all lost power would act by one before, and may not have its quorum.
   */
  applyConfiguration(index: LogIndex, configuration: Configuration): void {
    this.#log.appliedTo(index);
    this.#handedOut.keepCommit(index);
    this.#membership.change(configuration);
    this.#roles.reconfigure();
    this.#roles.onApplied();
  }

  // Raft snapshots

  /**
   * The host has a snapshot that it may send to one of `Ready.snapshotsWanted`. Returns the message that goes with the
   * data, or undefined when the follower does not need it any more, or needs another. Until {@link snapshotEnded},
   * `status().followers` has the index after which the log must be kept.
   */
  beginSnapshot(to: ReplicaId, snapshot: RaftSnapshot): SnapshotRequest | undefined {
    return this.#leadership?.replication.beginSnapshot(to, snapshot);
  }

  /** The snapshot for `to` was delivered, or could not be. Where the follower still lacks entries, it is wanted again. */
  snapshotEnded(to: ReplicaId, outcome: 'delivered' | 'failed'): void {
    this.#leadership?.replication.snapshotEnded(to, outcome === 'delivered');
  }

  /** Whether this snapshot would take the place of log and state machine now; else its message alone says what is to know. */
  needsSnapshot(snapshot: RaftSnapshot): boolean {
    return !this.#installation.isUnderWay && judgeSnapshot(this.#log, snapshot) === 'install';
  }

  /** A snapshot is to be put in place, or being put in place. */
  get isInstalling(): boolean {
    return this.#installation.isUnderWay;
  }

  /** `Ready.snapshot` is in place, durably: the state machine has its state, and the log begins after it. */
  snapshotInstalled(): void {
    this.#inbox.snapshotInstalled();
    this.#applicableTaken = this.#log.appliedIndex;
  }

  /** `Ready.snapshot` could not be put in place: the replica goes on with what it has. */
  snapshotAbandoned(): void {
    this.#installation.end();
  }

  get #leadership(): Leader | undefined {
    return this.#roles.state.type === 'leader' ? this.#roles.state.leader : undefined;
  }

  /** Only what a correct peer can have sent may come here: see `messageFault`. */
  step(message: RaftMessage): void {
    this.#inbox.step(message);
  }

  // What the host has to do

  /** Whether {@link takeReady} would return anything to do. */
  hasReady(): boolean {
    return (
      this.#outbox.hasAtOnce ||
      this.#log.hasEntriesToHandOver ||
      this.#reads.hasNews ||
      (this.#outbox.hasAfterSync && this.#handedOut.settled) ||
      this.#handedOut.isNews(this.hardState, this.softState) ||
      this.#installation.isDue ||
      this.#applicableTaken < this.#applicableIndex ||
      (this.#leadership?.due ?? false)
    );
  }

  /** What may be applied; nothing more while a snapshot is put in place. */
  get #applicableIndex(): LogIndex {
    return this.#installation.isUnderWay ? this.#applicableTaken : this.#log.applicableIndex;
  }

  takeReady(): Ready {
    const leader = this.#leadership;
    const logReads = leader?.send() ?? [];
    const entries = this.#log.handOver();
    const { lastIndex, lastTerm } = this.#log;
    const { hardState, softState, mustSync, sequence } = this.#handedOut.hand(
      this.hardState,
      this.softState,
      entries.length > 0,
    );
    const { readStates, readsLost } = this.#reads.takeNews();
    if (this.#handedOut.settled) this.#outbox.release();
    this.#applicableTaken = this.#applicableIndex;
    return {
      hardState,
      softState,
      mustSync,
      readStates,
      readsLost,
      entries,
      messages: this.#outbox.takeAtOnce(),
      messagesAfterSync: mustSync ? this.#outbox.takeAfterSync() : [],
      syncPoint: { term: this.term, lastIndex, lastTerm, sequence },
      commitIndex: this.#applicableTaken,
      logReads,
      snapshotsWanted: leader?.replication.takeSnapshotsWanted() ?? [],
      snapshot: this.#installation.handOver(),
      leaveJoint: leader?.leaveJointDue === true ? leader.changes.askToLeave() : undefined,
    };
  }

  /** What the `Ready` of this point handed over is durable, and so is what earlier ones did. */
  synced(point: SyncPoint): void {
    if (!this.#handedOut.synced(point.sequence)) return;
    // A point of an older term may name entries that were replaced and have come back since, not yet durable.
    if (point.term !== this.term) return;
    this.#log.stableTo(point.lastIndex, point.lastTerm);
    this.#leadership?.advance();
    // A term that this replica campaigns in begins with its vote, so the first point of the term covers the vote.
    this.#roles.onTermDurable();
  }
}
