/**
 * Messages of the other replicas: which are looked at, and by whom.
 *
 * Requests are taken whoever sends them: a group may have grown since this replica last heard of a change, and a
 * candidate that it does not know may need its vote (pitfall 14). Answers count only if they come from members.
 */
import { assert, unreachable } from '../base/assert.js';
import type { ReplicaId } from '../base/ids.js';
import { accepted, type AppendAnswer, takeAppend } from './follower.js';
import { type Installation, judgeSnapshot } from './install.js';
import type { Membership } from './membership.js';
import type { Outbox } from './outbox.js';
import type { RaftLog } from './raft-log.js';
import type { Roles } from './roles.js';
import type { AppendRequest, Heartbeat, RaftMessage, SnapshotRequest } from './types.js';

export interface InboxParts {
  readonly membership: Membership;
  readonly log: RaftLog;
  readonly outbox: Outbox;
  readonly installation: Installation;
  readonly roles: Roles;
}

/** Messages by which a group becomes quiet, and which wake nobody. */
function isAboutQuiet(message: RaftMessage): boolean {
  return message.type === 'heartbeat' ? message.quiesce : message.type === 'heartbeatResponse' && message.quiet;
}

export class Inbox {
  readonly #membership: Membership;
  readonly #log: RaftLog;
  readonly #outbox: Outbox;
  readonly #installation: Installation;
  readonly #roles: Roles;

  constructor({ membership, log, outbox, installation, roles }: InboxParts) {
    this.#membership = membership;
    this.#log = log;
    this.#outbox = outbox;
    this.#installation = installation;
    this.#roles = roles;
  }

  step(message: RaftMessage): void {
    const { self } = this.#membership;
    assert(message.to === self, `a message to replica ${message.to} reached ${self}`);
    if (message.from === self || !this.#isHeard(message)) return;
    if (this.#roles.isQuiet && !isAboutQuiet(message)) this.#awake(message);
    const { term } = this.#roles;
    if (message.term > term && !this.#roles.takeHigherTerm(message)) return;
    if (message.term < term) this.#answerLowerTerm(message);
    else this.#take(message);
  }

  #isHeard(message: RaftMessage): boolean {
    switch (message.type) {
      case 'preVoteRequest':
      case 'voteRequest':
      case 'appendRequest':
      case 'heartbeat':
      case 'snapshotRequest':
      case 'timeoutNow':
        return true;
      case 'preVoteResponse':
      case 'voteResponse':
      case 'appendResponse':
      case 'heartbeatResponse':
        return this.#membership.has(message.from);
      default:
        return unreachable(message);
    }
  }

  #take(message: RaftMessage): void {
    const leader = this.#roles.state.type === 'leader' ? this.#roles.state.leader : undefined;
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
      case 'snapshotRequest':
        this.#onSnapshotRequest(message);
        break;
      case 'appendResponse':
        leader?.onAppendResponse(message);
        break;
      case 'heartbeatResponse':
        leader?.onHeartbeatResponse(message);
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
    switch (message.type) {
      case 'appendRequest':
      case 'heartbeat':
      case 'snapshotRequest':
        this.#answerHeartbeat(message.from, 0, false);
        break;
      case 'preVoteRequest':
        this.#roles.answerVote(message, false);
        break;
      default:
        break;
    }
  }

  #onAppendRequest(request: AppendRequest): void {
    this.#roles.hearLeader(request.from);
    if (!this.#installation.isUnderWay) this.#answerAppend(request.from, takeAppend(this.#log, request));
  }

  #onSnapshotRequest(request: SnapshotRequest): void {
    this.#roles.hearLeader(request.from);
    if (this.#installation.isUnderWay) return;
    const { from, snapshot } = request;
    switch (judgeSnapshot(this.#log, snapshot)) {
      case 'known':
        this.#answerAppend(from, accepted(this.#log.commitIndex));
        break;
      case 'matches':
        this.#log.commitTo(snapshot.index);
        this.#answerAppend(from, accepted(snapshot.index));
        break;
      case 'install':
        this.#installation.begin(request);
        break;
    }
  }

  /** The host has put the snapshot in place. */
  snapshotInstalled(): void {
    const { from, snapshot } = this.#installation.end();
    this.#log.restored(snapshot.index, snapshot.term);
    this.#membership.change(snapshot.configuration);
    this.#roles.reconfigure();
    this.#answerAppend(from, accepted(snapshot.index));
  }

  /**
   * Whoever wants to replace a leader that this replica has heard last before it became quiet is ignored at first. A leader that lives
   * is to be heard again before that is over, and so has to wake, too.
   */
  #awake({ type }: RaftMessage): void {
    if (type === 'preVoteRequest' || type === 'voteRequest') this.wakeGroup();
    else this.#roles.wake();
  }

  /** A quiet follower's unasked answer to a heartbeat, by which its leader awakes too. */
  wakeGroup(): void {
    const leader = this.#roles.wakeGroup();
    if (leader !== 0) this.#answerHeartbeat(leader, 0, false);
  }

  #answerAppend(to: ReplicaId, answer: AppendAnswer): void {
    const { self } = this.#membership;
    const { term } = this.#roles;
    this.#outbox.sendAfterSync({ type: 'appendResponse', from: self, to, term, ...answer });
  }

  #onHeartbeat(heartbeat: Heartbeat): void {
    this.#roles.hearLeader(heartbeat.from);
    this.#log.commitTo(heartbeat.commit);
    const quiet = heartbeat.quiesce && this.#roles.quiesce(heartbeat.leaderCommit);
    if (!quiet) this.#roles.wake();
    this.#answerHeartbeat(heartbeat.from, heartbeat.readRound, quiet);
  }

  #answerHeartbeat(to: ReplicaId, readRound: number, quiet: boolean): void {
    const { self } = this.#membership;
    const { term, keepsPromise } = this.#roles;
    const answer = { type: 'heartbeatResponse', from: self, to, term, readRound, probe: 0, quiet } as const;
    if (keepsPromise) this.#outbox.send(answer);
    else this.#outbox.sendAfterSync(answer);
  }
}
