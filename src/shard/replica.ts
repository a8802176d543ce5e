/**
 * One replica of one shard on this node: its Raft core, its part of the shared log, its state machine.
 *
 * Invariants
 * - An entry is applied only when it is committed and durable in this node's own log, in order, each once.
 * - What leaves in `messagesAfterSync` leaves after the log has synced what it relies on, in the order it was made.
 * - A proposal's `done` is called exactly once, in the turn in which its entry is applied (or known to be lost).
 * - All work of one turn is gathered: inputs only mark the replica, `handleReady` runs at the end of the turn.
 */
import { assert } from '../base/assert.js';
import { emptyBytes } from '../base/bytes.js';
import { CorruptionError, errorOf, QuorateError } from '../base/errors.js';
import type { LogIndex, NodeId, ReplicaId, ShardId, Term } from '../base/ids.js';
import type { StateMachine } from '../mvcc/state-machine.js';
import type { Raft } from '../raft/raft.js';
import type { RaftStatus } from '../raft/status.js';
import type { Entry, RaftMessage, RaftSnapshot, Ready } from '../raft/types.js';
import { ApplyLoop } from './apply-loop.js';
import { replicaOn } from './descriptor.js';
import { effectOf } from './entry-effect.js';
import { isFollowerCaughtUp } from './followers.js';
import { Freshness } from './freshness.js';
import { Group, type Standing } from './group.js';
import type { GroupDescriptor } from './group-descriptor.js';
import { Leadership } from './leadership.js';
import { LogPrefix } from './log-prefix.js';
import { LogWork } from './log-work.js';
import type { MembersDone, MembersWanted } from './member-changes.js';
import { Messenger } from './messenger.js';
import { openRaft } from './open-raft.js';
import { notLeaderError } from './not-leader.js';
import { Proposals } from './proposals.js';
import type { ProposalEnd } from './proposals.js';
import { ReadGate } from './read-gate.js';
import type { ReplicaHost, ReplicaParts } from './replica-host.js';
import { ReplicaSnapshots } from './replica-snapshots.js';

/** In one turn. A few are usual; without an end the node would hang, where it has to stop. */
const readyRoundsMax = 1000;

export type ProposalRefusal = 'notLeader' | 'transferring' | 'overloaded';

export class Replica {
  readonly shard: ShardId;
  readonly replicaId: ReplicaId;
  readonly machine: StateMachine;
  readonly reads: ReadGate;
  readonly logPrefix: LogPrefix;
  readonly snapshots: ReplicaSnapshots;
  readonly messenger: Messenger;
  readonly #host: ReplicaHost;
  readonly #raft: Raft;
  readonly #logWork: LogWork;
  readonly #group: Group;
  readonly #proposals: Proposals;
  readonly #freshness: Freshness;
  readonly #leadership: Leadership;
  readonly #applyLoop: ApplyLoop;
  #closed = false;
  readonly #applyListeners: ((index: LogIndex) => void)[] = [];

  constructor(parts: ReplicaParts) {
    const { host, descriptor, replicaId, log, machine, tree } = parts;
    this.#host = host;
    this.machine = machine;
    this.shard = descriptor.shard;
    this.replicaId = replicaId;
    const raft = openRaft(parts);
    this.#raft = raft;
    this.#logWork = new LogWork({
      log,
      append: (records) => host.append(this.shard, records),
      onSynced: (ready) => this.#afterSync(ready),
      onRead: (to, entries) => {
        this.#raft.entriesRead(to, entries);
        this.#schedule();
      },
      onFailure: (error) => this.#fail(error),
    });
    this.logPrefix = new LogPrefix(log, tree);
    this.#proposals = new Proposals(this.shard);
    const appliedIndex = (): LogIndex => this.appliedIndex;
    this.#leadership = new Leadership({ raft, shard: this.shard, logger: host.logger, appliedIndex });
    const schedule = (): void => this.#schedule();
    const handOver = (to: readonly ReplicaId[]): boolean => this.#leadership.transfer(to);
    this.#group = new Group({ self: replicaId, descriptor, raft, machine, host, schedule, handOver });
    this.#leadership.onChange((leading) => {
      if (leading) this.#proposals.overtaken();
      else this.#group.leadershipLost();
    });
    const applying = {
      apply: (entry: Entry) => this.#applyEntry(entry),
      onApplied: () => this.#afterApply(),
      onFailure: (error: unknown) => this.#fail(error),
    };
    const applied = { shard: this.shard, clock: host.clock, log, tree, appliedIndex, ...applying };
    this.#applyLoop = new ApplyLoop(applied, this.#raft.hardState.commit);
    this.snapshots = new ReplicaSnapshots({
      raft,
      log,
      machine,
      tree,
      applyLoop: this.#applyLoop,
      append: (records) => host.append(this.shard, records),
      step: (request) => {
        this.#raft.step(request);
        this.#schedule();
      },
      onInstalled: (snapshot) => this.#afterInstall(snapshot),
      schedule,
      onFailure: (error) => this.#fail(error),
    });
    this.#freshness = new Freshness(host.random.split(`freshness-${descriptor.shard}`));
    const speaking = { raft, host, descriptor: () => this.descriptor, appliedIndex, freshness: this.#freshness };
    this.messenger = new Messenger({ self: replicaId, shard: this.shard, ...speaking });
    const onProven = (asOfMs: number): void => this.#freshness.proven(asOfMs);
    this.reads = new ReadGate({ raft, shard: this.shard, clock: host.clock, schedule, onProven });
    this.#schedule();
  }

  /** As of the last applied entry. */
  get descriptor(): GroupDescriptor {
    return this.#group.descriptor;
  }

  get isChangingMembers(): boolean {
    return this.#group.isChangingMembers;
  }

  get appliedIndex(): LogIndex {
    return this.machine.appliedIndex;
  }

  get commitIndex(): LogIndex {
    return this.#raft.commitIndex;
  }

  get lastIndex(): LogIndex {
    return this.#raft.lastIndex;
  }

  get term(): Term {
    return this.#raft.term;
  }

  get isLeader(): boolean {
    return this.#leadership.isLeader;
  }

  /** A leader that has applied an entry of its own term: it may evaluate. */
  get isReadyLeader(): boolean {
    return this.#leadership.isReady;
  }

  /** The node of the leader, as far as this replica knows. */
  get leaderNode(): NodeId | undefined {
    const leader = this.#raft.leader;
    return leader === 0 ? undefined : this.messenger.nodeOf(leader);
  }

  get standing(): Standing {
    return this.#group.standing;
  }

  /** Milliseconds by which a stale read here may lag behind what was acknowledged; Infinity when unknown. */
  get stalenessMs(): number {
    return this.#host.clock.monotonicMs() - this.#freshness.asOfMs;
  }

  /** `listener(leading)` runs when the replica becomes able to evaluate as leader, and when it stops being leader. */
  onLeadership(listener: (leading: boolean) => void): void {
    this.#leadership.onChange(listener);
  }

  /** `listener(index)` runs after every applied entry, and when a Raft snapshot of that entry is in place. */
  onApplied(listener: (index: LogIndex) => void): void {
    this.#applyListeners.push(listener);
  }

  tick(ticksElapsed = 1): void {
    this.messenger.tick();
    this.#raft.tick(ticksElapsed);
    this.#group.proceed();
    this.#schedule();
  }

  /** A message of `node` without a fault. Whoever does not belong to the group any more is not heard. */
  step(node: NodeId, message: RaftMessage): void {
    if (this.messenger.step(node, message)) this.#schedule();
  }

  /** There is no connection to this node, until {@link peerReachable}: nothing is sent into the void, nor waited for. */
  peerUnreachable(node: NodeId): void {
    if (this.messenger.peerUnreachable(node)) this.#schedule();
  }

  peerReachable(node: NodeId): void {
    if (this.messenger.peerReachable(node)) this.#schedule();
  }

  /** Whether {@link tick} would have no effect. */
  get isQuiet(): boolean {
    return this.#raft.isQuiet;
  }

  /** Has the group wake where it is quiet, so that this replica learns how current it is. */
  wakeGroup(): void {
    this.#raft.wakeGroup();
    this.#schedule();
  }

  /**
   * Proposes an entry. `done` is called when it was applied here or is known to be lost, never before this returns;
   * not at all when the proposal is refused.
   */
  propose(data: Uint8Array, done: (end: ProposalEnd) => void): 'accepted' | ProposalRefusal {
    if (!this.isReadyLeader) return 'notLeader';
    const result = this.#raft.propose(data);
    if (result.type === 'refused') return result.reason;
    this.#proposals.add({ index: result.index, term: result.term, done });
    this.#freshness.appended(result.index, result.term, this.#host.clock.monotonicMs());
    this.#schedule();
    return 'accepted';
  }

  /**
   * Has these be the members of the group, by the leader; takes the place of an earlier wish. A leader that is to vote no more
   * hands over, and the wish ends with NOT_LEADER: the next one is to be asked. That these are the members is said when a majority
   * has confirmed that this one still leads. Throws INVALID_ARGUMENT and NOT_LEADER.
   */
  changeMembers(members: MembersWanted, done: MembersDone): void {
    if (!this.isReadyLeader) throw notLeaderError(this.shard);
    this.wakeGroup();
    this.#group.changeMembers(members, (error) => {
      if (error === undefined) this.reads.request(done);
      else done(error);
    });
  }

  /**
   * Makes an error of a read from the tree one for the caller. Damage and broken assumptions also end the node:
   * nothing that was read is served.
   */
  readFailed(error: unknown): QuorateError {
    if (error instanceof QuorateError) return error;
    // Its tree was closed with it.
    if (this.#closed) return notLeaderError(this.shard);
    this.#fail(error);
    if (!(error instanceof CorruptionError)) return QuorateError.from(error);
    return new QuorateError('CORRUPTION', error.message, { shard: this.shard, cause: error });
  }

  /** Asks to lead at once, as if no leader had been heard of for an election timeout. */
  campaign(): void {
    this.#raft.campaign();
    this.#schedule();
  }

  /**
   * Hands leadership to the replica on `to`, or to the voter that has most of the log. False when this replica leads
   * nothing or nobody can take it.
   */
  transferLeadership(to?: NodeId): boolean {
    const target = to === undefined ? undefined : replicaOn(this.descriptor, to);
    if (to !== undefined && target === undefined) return false;
    const started = this.#leadership.transfer(target === undefined ? undefined : [target]);
    this.#schedule();
    return started;
  }

  /** The node is about to stop: hands leadership over, once, and takes it no more. */
  retire(): void {
    this.#leadership.retire();
    this.#schedule();
  }

  /** Whether a transfer of leadership that began here has neither ended nor been given up. */
  get isHandingOver(): boolean {
    return this.#leadership.isHandingOver;
  }

  /** By the leader: whether the replica on `node` is alive, and lacks no more than what may be on its way to it. */
  isCaughtUp(node: NodeId): boolean {
    const replica = replicaOn(this.descriptor, node);
    return replica !== undefined && isFollowerCaughtUp(this.status(), replica, this.#host.limits.appendsInFlightMax);
  }

  status(): RaftStatus {
    return this.#raft.status();
  }

  #schedule(): void {
    if (!this.#closed) this.#host.schedule(this);
  }

  /** Carries out what the core has decided this turn. Called by the host at the end of the turn. */
  handleReady(): void {
    if (this.#closed) return;
    this.reads.startRound(this.isReadyLeader);
    for (let rounds = 0; this.#raft.hasReady(); rounds++) {
      assert(rounds < readyRoundsMax, 'the core of a replica finds no end in a turn');
      this.#carryOut(this.#raft.takeReady());
    }
    this.reads.applied(this.appliedIndex);
    this.#applyLoop.run();
  }

  #carryOut(ready: Ready): void {
    this.#host.observer?.onReady(this.shard, this.replicaId, ready);
    if (ready.softState !== undefined) {
      this.#leadership.roleChanged(ready.softState.role === 'leader', ready.softState.term);
      if (this.isLeader) this.#freshness.appended(this.lastIndex, this.term, this.#host.clock.monotonicMs());
    }
    for (const message of ready.messages) this.messenger.send(message);
    this.#logWork.write(ready);
    this.#applyLoop.allow(ready.commitIndex);
    if (ready.readsLost) this.reads.fail();
    for (const state of ready.readStates) this.reads.confirmed(state);
    if (ready.leaveJoint !== undefined) this.#group.leaveJoint(ready.leaveJoint);
    if (ready.snapshot !== undefined) this.snapshots.putInPlace(ready.snapshot);
    for (const to of ready.snapshotsWanted) this.#host.snapshotWanted(this.shard, to);
    for (const read of ready.logReads) void this.#logWork.read(read.to, read.from, read.bytesMax);
  }

  #afterSync(ready: Ready): void {
    this.#host.observer?.onSynced(this.shard, this.replicaId, ready);
    for (const message of ready.messagesAfterSync) this.messenger.send(message);
    this.#raft.synced(ready.syncPoint);
    this.#schedule();
  }

  #applyEntry(entry: Entry): void {
    const effect = effectOf(entry, this.descriptor);
    if (effect.type === 'changeGroup') this.#applyGroup(entry.index, effect.descriptor);
    else this.machine.apply(entry.index, effect.type === 'write' ? effect.batch : emptyBytes);
    if (effect.type === 'truncateLog') this.logPrefix.allow(effect.upTo);
    this.#host.observer?.onApplied(this.shard, this.replicaId, entry, effect);
    this.#proposals.settle(entry, effect.type === 'refused' ? effect.error : undefined);
    this.#leadership.applied();
    this.#freshness.entryApplied(entry);
    for (const listener of this.#applyListeners) listener(entry.index);
  }

  #applyGroup(index: LogIndex, descriptor: GroupDescriptor): void {
    this.#group.apply(index, descriptor);
    this.messenger.groupChanged();
    // What comes after is not this replica's any more.
    if (this.standing !== 'removed') return;
    this.#applyLoop.close();
    this.#host.removed(this.shard);
  }

  #afterApply(): void {
    this.#raft.applied(this.appliedIndex);
    this.#group.proceed();
    this.reads.applied(this.appliedIndex);
    this.#freshness.applied(this.appliedIndex);
    this.logPrefix.drop();
    this.#schedule();
  }

  /** A Raft snapshot took the place of all that was here. */
  #afterInstall(snapshot: RaftSnapshot): void {
    const { index } = snapshot;
    this.#host.observer?.onInstalled(this.shard, this.replicaId, snapshot);
    this.#group.installed(snapshot);
    this.messenger.groupChanged();
    this.#proposals.skipped(index);
    this.reads.applied(index);
    this.#freshness.applied(index);
    for (const listener of this.#applyListeners) listener(index);
    this.#schedule();
  }

  #fail(error: unknown): void {
    if (!this.#closed) this.#host.fail(errorOf(error));
  }

  /**
   * Ends the replica. What was proposed and is not applied ends with `error`, of unknown outcome; that the node stops when
   * there is none. Leaves the tree open: its owner closes it.
   */
  close(error?: QuorateError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#applyLoop.close();
    this.#logWork.close();
    this.snapshots.close();
    this.#group.close();
    this.reads.close();
    this.#leadership.close();
    const stopping = { shard: this.shard, outcome: 'unknown' } as const;
    this.#proposals.lose(error ?? new QuorateError('NODE_STOPPING', 'the node is stopping', stopping));
  }
}
