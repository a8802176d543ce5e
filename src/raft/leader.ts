/**
 * All that a replica knows and does as leader of one term; the object ends with the leadership.
 * Messages are not created when something becomes due but in `send`, once for each `Ready`: so everything that one
 * turn of the host gathered shares one append and one heartbeat a follower.
 */
import { emptyBytes } from '../base/bytes.js';
import { LogIndex, type ReplicaId } from '../base/ids.js';
import { type ChangeRefusal, ChangeControl } from './change-control.js';
import { type Configuration, isVoter } from './config.js';
import { hasQuorum, quorumReached } from './quorum.js';
import { LeaderLease } from './lease.js';
import { Quiescence } from './quiescence.js';
import type { ReadRounds } from './read-index.js';
import { type LeaderContext, Replication } from './replication.js';
import type { AppendResponse, Entry, HeartbeatResponse, LogRead } from './types.js';
import { UncommittedProposals } from './uncommitted.js';

/** A leadership transfer that is under way. */
interface Transfer {
  readonly to: ReplicaId;
  ticks: number;
  /** The target was caught up, and told to campaign. */
  told: boolean;
}

export class Leader {
  readonly replication: Replication;
  readonly changes: ChangeControl;
  readonly quiescence: Quiescence;
  readonly #lease: LeaderLease;
  readonly #context: LeaderContext;
  readonly #reads: ReadRounds;
  readonly #uncommitted: UncommittedProposals;
  #transfer: Transfer | undefined;
  #quorumCheckTicks = 0;
  #heartbeatTicks = 0;
  /** The round that tells whether somebody else has come to lead while this leader was quiet; 0 when it never was. */
  #awakeRound = 0;

  /** Proposes the empty entry whose commitment commits everything before it, and makes reads possible. */
  constructor(context: LeaderContext, reads: ReadRounds) {
    this.#context = context;
    this.#reads = reads;
    this.replication = new Replication(context);
    const nextIndex = LogIndex(context.log.lastIndex + 1);
    this.#uncommitted = new UncommittedProposals(nextIndex, context.options.uncommittedBytesMax);
    this.quiescence = new Quiescence(context, this.replication);
    this.#lease = new LeaderLease(context.options.lease);
    this.changes = new ChangeControl(context, this.replication, nextIndex);
    this.append(emptyBytes);
  }

  get transferTarget(): ReplicaId | undefined {
    return this.#transfer?.to;
  }

  /** Whether an entry of this term is committed: only then does `commitIndex` cover all that earlier leaders committed. */
  get hasCommittedInTerm(): boolean {
    const { log, term } = this.#context;
    return log.term(log.commitIndex) === term;
  }

  /** Whether nobody else can be elected now, so that what is committed is all that is. */
  get holdsLease(): boolean {
    return this.#lease.holds && this.#transfer === undefined && this.hasCommittedInTerm;
  }

  /** Whether this replica and `other` are a quorum. */
  isQuorumWith(other: ReplicaId): boolean {
    const { membership, options } = this.#context;
    return hasQuorum(membership.configuration, (replica) => replica === options.self || replica === other);
  }

  admits(dataBytes: number): boolean {
    return this.#uncommitted.admits(dataBytes);
  }

  append(data: Uint8Array): LogIndex {
    const { log, term } = this.#context;
    const index = LogIndex(log.lastIndex + 1);
    log.append({ term, index, data });
    this.#uncommitted.add(index, data.length);
    return index;
  }

  /** Appends the entry of a change, whatever its size: there is only one at a time. Returns why not where it does not. */
  appendChange(next: Configuration, data: Uint8Array): LogIndex | ChangeRefusal {
    const refusal = this.changes.refusal(next);
    if (refusal !== undefined) return refusal;
    const index = this.append(data);
    this.changes.proposed(index);
    return index;
  }

  /** The configuration has changed. With fewer voters more may be committed. */
  reconfigure(): void {
    this.replication.reconfigure();
    this.#lease.forget();
    if (this.#transfer !== undefined && !this.#mayTakeOver(this.#transfer.to)) this.#transfer = undefined;
    this.advance();
    this.#confirmReads();
  }

  #mayTakeOver(replica: ReplicaId): boolean {
    return isVoter(this.#context.membership.configuration, replica);
  }

  /** Returns false when it is time to step down: no quorum was heard of for an election timeout (CheckQuorum). */
  tick(ticksElapsed: number): boolean {
    const { configuration } = this.#context.membership;
    const { self, electionTicksMin, heartbeatTicks } = this.#context.options;
    const { followers } = this.replication;
    this.replication.tick();
    this.changes.tick();
    this.quiescence.tick();
    if (this.#transfer !== undefined && ++this.#transfer.ticks >= electionTicksMin) this.#transfer = undefined;
    if (++this.#quorumCheckTicks >= electionTicksMin) {
      this.#quorumCheckTicks = 0;
      if (!hasQuorum(configuration, (replica) => replica === self || followers.get(replica)?.active === true)) {
        return false;
      }
      for (const progress of followers.values()) progress.quorumChecked();
    }
    this.#heartbeatTicks += ticksElapsed;
    if (this.#heartbeatTicks >= heartbeatTicks) {
      this.#heartbeatTicks = 0;
      if (this.#lease.isOn) this.#reads.request();
      if (!this.#reads.due) this.#sendHeartbeats();
    }
    return true;
  }

  /** After its quiet a leader does not before a quorum has answered. */
  get #knowsAllCommitted(): boolean {
    return this.hasCommittedInTerm && this.#reads.isConfirmed(this.#awakeRound);
  }

  /**
   * At once, to a leader's last followers: the change that ends its leadership is committed. They may not be a majority by the
   * configuration before, so that nobody could lead if it were lost now.
   */
  tellCommit(): void {
    this.#sendHeartbeats();
  }

  #sendHeartbeats(): void {
    const { term, log, outbox } = this.#context;
    const from = this.#context.options.self;
    const quiesce = this.quiescence.isAsking && this.#transfer === undefined;
    const leaderCommit = this.#knowsAllCommitted ? log.commitIndex : LogIndex(0);
    for (const [to, progress] of this.replication.followers) {
      // Beyond matchIndex the follower may have other entries than these.
      const commit = log.commitIndex < progress.matchIndex ? log.commitIndex : progress.matchIndex;
      const { probe } = progress;
      const readRound = this.#reads.asked;
      outbox.send({ type: 'heartbeat', from, to, term, commit, leaderCommit, probe, readRound, quiesce });
    }
  }

  onAppendResponse(message: AppendResponse): void {
    this.replication.onAppendResponse(message);
    this.advance();
  }

  onHeartbeatResponse(message: HeartbeatResponse): void {
    const progress = this.replication.followers.get(message.from);
    if (progress === undefined) return;
    progress.heard();
    progress.heartbeatAnswered(message.readRound, message.probe);
    if (message.quiet) this.quiescence.agreed(message.from);
    this.#confirmReads();
  }

  #confirmReads(): void {
    const { configuration } = this.#context.membership;
    const { self } = this.#context.options;
    const { followers } = this.replication;
    const confirmed = quorumReached(configuration, (replica) =>
      replica === self ? this.#reads.newest : (followers.get(replica)?.readRound ?? 0),
    );
    const begunMs = this.#reads.confirm(confirmed);
    if (begunMs !== undefined) this.#lease.proven(begunMs);
  }

  /** This replica's log or a follower's is durable further than before: more may be committed. */
  advance(): void {
    this.replication.commit();
    this.#uncommitted.doneTo(this.#context.log.applicableIndex);
  }

  transferTo(to: ReplicaId): boolean {
    const progress = this.replication.followers.get(to);
    if (progress === undefined || progress.stateType === 'snapshot' || !this.#mayTakeOver(to)) return false;
    if (this.#transfer?.to !== to) this.#transfer = { to, ticks: 0, told: false };
    return true;
  }

  sendRead(follower: ReplicaId, entries: readonly Entry[]): void {
    this.replication.sendRead(follower, entries);
  }

  peerUnreachable(follower: ReplicaId): void {
    this.replication.followers.get(follower)?.suspect();
    this.wake();
  }

  peerReachable(follower: ReplicaId): void {
    this.replication.followers.get(follower)?.trust();
    this.wake();
  }

  /** There is something to do, or to find out. */
  wake(): void {
    if (!this.quiescence.wake()) return;
    this.#awakeRound = this.#reads.request();
    // Nobody was heard of while everybody was quiet: they have the whole time to answer.
    this.#quorumCheckTicks = 0;
  }

  /** Whether {@link send} has something to do. */
  get due(): boolean {
    return this.#reads.due || this.replication.due || this.#transferDue() !== undefined || this.leaveJointDue;
  }

  /** Whether the host is to propose that the joint configuration is left. */
  get leaveJointDue(): boolean {
    return this.#transfer === undefined && this.changes.leaveDue;
  }

  #transferDue(): Transfer | undefined {
    const transfer = this.#transfer;
    if (transfer === undefined || transfer.told) return undefined;
    const matchIndex = this.replication.followers.get(transfer.to)?.matchIndex;
    return matchIndex === this.#context.log.lastIndex ? transfer : undefined;
  }

  /** Creates the messages that are due. Returns what the host must read from its disk for followers that lag. */
  send(): readonly LogRead[] {
    const { options, term, log, outbox } = this.#context;
    const logReads = this.replication.send();
    if (this.#reads.due) {
      this.#reads.begin(log.commitIndex, options.lease?.monotonicMs() ?? 0);
      this.#sendHeartbeats();
      this.#confirmReads(); // without peers this replica is the quorum
    }
    const transfer = this.#transferDue();
    if (transfer !== undefined) {
      transfer.told = true;
      this.#lease.giveUp();
      outbox.send({ type: 'timeoutNow', from: options.self, to: transfer.to, term });
    }
    return logReads;
  }
}
