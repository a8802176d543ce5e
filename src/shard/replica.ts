/**
 * One replica of one shard on this node: its Raft core, its part of the shared log, its state machine.
 *
 * Invariants
 * - An entry is applied only when it is committed and durable in this node's own log, in order, each once.
 * - What leaves in `messagesAfterSync` leaves after the log has synced what it relies on, in the order it was made.
 * - A proposal's `done` is called exactly once, in the turn in which its entry is applied (or known to be lost).
 * - All work of one turn is gathered: inputs only mark the replica, `handleReady` runs at the end of the turn.
 */
import { assert, defined } from '../base/assert.js';
import { emptyBytes } from '../base/bytes.js';
import { CorruptionError, QuorateError } from '../base/errors.js';
import { LogIndex } from '../base/ids.js';
import type { NodeId, ReplicaId, ShardId, Term } from '../base/ids.js';
import type { StateMachine } from '../mvcc/state-machine.js';
import { messageFault } from '../raft/message-fault.js';
import { Raft } from '../raft/raft.js';
import type { Entry, RaftMessage, Ready } from '../raft/types.js';
import { ApplyLoop } from './apply-loop.js';
import { nodeOf, replicaOn, sameEpoch } from './descriptor.js';
import type { ShardDescriptor } from './descriptor.js';
import { decodeEntry } from './entry-format.js';
import type { ShardEntry } from './entry-format.js';
import { Freshness } from './freshness.js';
import { Leadership } from './leadership.js';
import { Proposals } from './proposals.js';
import type { ProposalEnd } from './proposals.js';
import { ReadGate } from './read-gate.js';
import type { ReplicaHost, ReplicaLog, ReplicaTree } from './replica-host.js';

export interface ReplicaParts {
  readonly host: ReplicaHost;
  readonly descriptor: ShardDescriptor;
  readonly log: ReplicaLog;
  readonly machine: StateMachine;
  readonly tree: ReplicaTree;
}

export type ProposalRefusal = 'notLeader' | 'transferring' | 'overloaded';

export class Replica {
  readonly shard: ShardId;
  readonly replicaId: ReplicaId;
  readonly machine: StateMachine;
  readonly reads: ReadGate;
  readonly #host: ReplicaHost;
  readonly #raft: Raft;
  readonly #log: ReplicaLog;
  readonly #tree: ReplicaTree;
  #descriptor: ShardDescriptor;
  readonly #proposals: Proposals;
  readonly #freshness: Freshness;
  readonly #leadership: Leadership;
  readonly #applyLoop: ApplyLoop;
  #syncsUnderWay = 0;
  /** Ticks since the log was asked to sync, or last did. */
  #ticksWithoutSync = 0;
  #closed = false;
  /** Every voter has the entries up to here, as an applied entry says. */
  #truncatable: LogIndex = LogIndex(0);
  readonly #applyListeners: ((index: LogIndex) => void)[] = [];

  constructor({ host, descriptor, log, machine, tree }: ReplicaParts) {
    this.#host = host;
    this.#descriptor = descriptor;
    this.#log = log;
    this.#tree = tree;
    this.machine = machine;
    this.shard = descriptor.shard;
    this.replicaId = defined(replicaOn(descriptor, host.nodeId), `replica of shard ${descriptor.shard} on this node`);
    assert(machine.appliedIndex <= log.lastIndex, `shard ${this.shard} has applied entries that its log does not have`);
    this.#raft = new Raft({
      self: this.replicaId,
      voters: descriptor.replicas.map(({ replica }) => replica),
      hardState: log.hardState,
      log,
      appliedIndex: machine.appliedIndex,
      ...host.timing,
      appendBytesMax: host.limits.appendBytesMax,
      appendsInFlightMax: host.limits.appendsInFlightMax,
      uncommittedBytesMax: host.limits.uncommittedBytesMax,
      random: host.random.split(`raft-${descriptor.shard}`),
    });
    this.#proposals = new Proposals(this.shard);
    const appliedIndex = (): LogIndex => this.appliedIndex;
    this.#leadership = new Leadership({ raft: this.#raft, shard: this.shard, logger: host.logger, appliedIndex });
    this.#leadership.onChange((leading) => {
      if (leading) this.#proposals.overtaken();
    });
    const applyLoop = {
      shard: this.shard,
      log,
      tree,
      appliedIndex,
      apply: (entry: Entry) => this.#applyEntry(entry),
      onApplied: () => this.#afterApply(),
      onFailure: (error: unknown) => this.#fail(error),
    };
    this.#applyLoop = new ApplyLoop(applyLoop, this.#raft.hardState.commit);
    this.#freshness = new Freshness(host.random.split(`freshness-${descriptor.shard}`));
    this.reads = new ReadGate({
      raft: this.#raft,
      shard: this.shard,
      clock: host.clock,
      schedule: () => this.#schedule(),
      onProven: (asOfMs) => this.#freshness.proven(asOfMs),
    });
    this.#tree.onDurable(() => this.#truncateLog());
    this.#schedule();
  }

  get descriptor(): ShardDescriptor {
    return this.#descriptor;
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
    return leader === 0 ? undefined : nodeOf(this.#descriptor, leader);
  }

  /** Milliseconds by which a stale read here may lag behind what was acknowledged; Infinity when unknown. */
  get stalenessMs(): number {
    return this.#host.clock.monotonicMs() - this.#freshness.asOfMs;
  }

  /** `listener(leading)` runs when the replica becomes able to evaluate as leader, and when it stops being leader. */
  onLeadership(listener: (leading: boolean) => void): void {
    this.#leadership.onChange(listener);
  }

  /** `listener(index)` runs after every applied entry. */
  onApplied(listener: (index: LogIndex) => void): void {
    this.#applyListeners.push(listener);
  }

  tick(): void {
    this.#raft.tick();
    this.#ticksWithoutSync = this.#syncsUnderWay === 0 ? 0 : this.#ticksWithoutSync + 1;
    // Others could store what this node's disk does not: a leader whose disk stalls yields.
    if (this.isLeader && this.#ticksWithoutSync >= this.#host.timing.electionTicksMax) this.transferLeadership();
    this.#schedule();
  }

  /** What makes `message` one that no correct replica on `node` sends; undefined when it may be stepped. */
  messageFault(node: NodeId, message: RaftMessage): string | undefined {
    const sender = nodeOf(this.#descriptor, message.from);
    // It may be of a replica that was removed, or for one that was here before: then it has no effect.
    if (sender === undefined || message.to !== this.replicaId) return undefined;
    if (sender !== node) return `a message of replica ${message.from}, which is on node ${sender}`;
    return messageFault(message, this.#raft);
  }

  step(message: RaftMessage): void {
    if (message.to !== this.replicaId) return;
    this.#raft.step(message);
    if (message.type === 'heartbeat' && message.term === this.#raft.term) {
      this.#freshness.heard(message, this.appliedIndex);
    }
    this.#schedule();
  }

  /** The connection to this node broke: stop sending into the void until it answers again. */
  peerUnreachable(node: NodeId): void {
    const replica = replicaOn(this.#descriptor, node);
    if (replica === undefined || replica === this.replicaId) return;
    this.#raft.peerUnreachable(replica);
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
    this.#schedule();
    return 'accepted';
  }

  /**
   * Makes an error of a read from the tree one for the caller. Damage and broken assumptions also end the node:
   * nothing that was read is served.
   */
  readFailed(error: unknown): QuorateError {
    if (error instanceof QuorateError) return error;
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
    const target = to === undefined ? undefined : defined(replicaOn(this.#descriptor, to), `replica on node ${to}`);
    const started = this.#leadership.transfer(target);
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
    return this.isLeader && this.#raft.status().transferTarget !== 0;
  }

  /** By the leader: whether the replica on `node` is alive, and lacks no more than what may be on its way to it. */
  isCaughtUp(node: NodeId): boolean {
    const replica = replicaOn(this.#descriptor, node);
    const follower = this.#raft.status().followers.find((candidate) => candidate.replica === replica);
    if (follower?.isAlive !== true || follower.state !== 'replicate') return false;
    return this.commitIndex - follower.matchIndex <= this.#host.limits.appendsInFlightMax;
  }

  status(): ReturnType<Raft['status']> {
    return this.#raft.status();
  }

  #schedule(): void {
    if (!this.#closed) this.#host.schedule(this);
  }

  /** Carries out what the core has decided this turn. Called by the host at the end of the turn. */
  handleReady(): void {
    if (this.#closed) return;
    this.reads.startRound(this.isReadyLeader);
    while (this.#raft.hasReady()) this.#carryOut(this.#raft.takeReady());
    this.reads.applied(this.appliedIndex);
    this.#applyLoop.run();
  }

  #carryOut(ready: Ready): void {
    if (ready.softState !== undefined) {
      this.#leadership.roleChanged(ready.softState.role === 'leader', ready.softState.term);
    }
    for (const message of ready.messages) this.#sendMessage(message);
    this.#persist(ready);
    this.#applyLoop.allow(ready.commitIndex);
    if (ready.readsLost) this.reads.fail();
    for (const state of ready.readStates) this.reads.confirmed(state);
    for (const read of ready.logReads) void this.#readLog(read.to, read.from, read.bytesMax);
  }

  #sendMessage(message: RaftMessage): void {
    const node = nodeOf(this.#descriptor, message.to);
    if (node === undefined) return;
    if (message.type === 'heartbeatResponse') {
      const probe = this.#freshness.probe(this.#host.clock.monotonicMs());
      this.#host.send(node, this.shard, { ...message, probe });
    } else {
      this.#host.send(node, this.shard, message);
    }
  }

  #persist(ready: Ready): void {
    const { hardState, entries, mustSync } = ready;
    if (hardState === undefined && entries.length === 0) return;
    if (mustSync) this.#syncsUnderWay++;
    this.#host.append(this.shard, { hardState, entries, mustSync }).then(
      () => {
        if (this.#closed || !mustSync) return;
        this.#syncsUnderWay--;
        this.#ticksWithoutSync = 0;
        for (const message of ready.messagesAfterSync) this.#sendMessage(message);
        this.#raft.synced(ready.syncPoint);
        this.#schedule();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #applyEntry(entry: Entry): void {
    const content: ShardEntry | undefined = entry.data.length === 0 ? undefined : decodeEntry(entry.data);
    let refused: QuorateError | undefined;
    let batch = emptyBytes;
    if (content?.type === 'effects') {
      if (sameEpoch(content.epoch, this.#descriptor.epoch)) batch = content.batch;
      else
        refused = new QuorateError('EPOCH_MISMATCH', `shard ${this.shard} has changed its range or members`, {
          shard: this.shard,
        });
    } else if (content?.type === 'truncateLog' && content.upTo > this.#truncatable) {
      this.#truncatable = content.upTo;
    }
    this.machine.apply(entry.index, batch);
    this.#proposals.settle(entry, refused);
    this.#leadership.applied();
    for (const listener of this.#applyListeners) listener(entry.index);
  }

  #afterApply(): void {
    this.#raft.applied(this.appliedIndex);
    this.reads.applied(this.appliedIndex);
    this.#freshness.applied(this.appliedIndex);
    this.#truncateLog();
    this.#schedule();
  }

  async #readLog(to: ReplicaId, from: LogIndex, bytesMax: number): Promise<void> {
    try {
      if (from < this.#log.firstIndex) return;
      const entries = await this.#log.read(from, this.#log.lastIndex, bytesMax);
      if (this.#closed) return;
      this.#raft.entriesRead(to, entries);
      this.#schedule();
    } catch (error) {
      this.#fail(error);
    }
  }

  #truncateLog(): void {
    const upTo = LogIndex(Math.min(this.#truncatable, this.#tree.durableAppliedIndex));
    if (upTo < this.#log.firstIndex) return;
    this.#log.truncatePrefix(upTo, defined(this.#log.term(upTo), 'term of an entry of the log'));
  }

  /** The entries that every voter has, as a leader knows; it proposes to drop them. Else 0. */
  truncatableByAll(): LogIndex {
    if (!this.isReadyLeader) return LogIndex(0);
    let upTo: number = this.appliedIndex;
    for (const follower of this.#raft.status().followers) upTo = Math.min(upTo, follower.matchIndex);
    return LogIndex(upTo);
  }

  /** Of those, what has been proposed and applied: each replica drops it as soon as its own tree holds it durably. */
  get truncatable(): LogIndex {
    return LogIndex(Math.max(this.#truncatable, this.#log.firstIndex - 1));
  }

  /** Whether this shard's entries are among the oldest of the node's log. */
  get keepsLogLong(): boolean {
    return this.#log.keepsLogLong;
  }

  get firstLogIndex(): LogIndex {
    return this.#log.firstIndex;
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#host.fail(error instanceof Error ? error : new Error(String(error)));
  }

  /** Ends the replica. Proposals under way end with an unknown outcome. Leaves the tree open: its owner closes it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#applyLoop.close();
    this.#leadership.close();
    this.reads.close();
    this.#proposals.lose(
      new QuorateError('NODE_STOPPING', 'the node is stopping', { shard: this.shard, outcome: 'unknown' }),
    );
  }
}
