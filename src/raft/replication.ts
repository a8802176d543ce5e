/** A leader's side of replication: which append goes to whom, and what the answers say about the followers' logs. */
import { assert } from '../base/assert.js';
import { LogIndex, type ReplicaId, type Term } from '../base/ids.js';
import { isMember } from './config.js';
import type { Membership } from './membership.js';
import type { RaftOptions } from './options.js';
import type { Outbox } from './outbox.js';
import { Progress } from './progress.js';
import { quorumReached } from './quorum.js';
import type { RaftLog } from './raft-log.js';
import type { AppendResponse, Entry, LogRead, RaftSnapshot, SnapshotRequest } from './types.js';

/** What a leader works with; constant for one leadership. */
export interface LeaderContext {
  readonly options: RaftOptions;
  readonly term: Term;
  readonly membership: Membership;
  readonly log: RaftLog;
  readonly outbox: Outbox;
}

export class Replication {
  readonly #context: LeaderContext;
  readonly #followers = new Map<ReplicaId, Progress>();

  constructor(context: LeaderContext) {
    this.#context = context;
    this.reconfigure();
  }

  /** The configuration has changed: who is new is looked at from the end of the log on, who is gone is forgotten. */
  reconfigure(): void {
    const { membership, options, log } = this.#context;
    const members = membership.otherMembers;
    for (const follower of this.#followers.keys()) if (!members.includes(follower)) this.#followers.delete(follower);
    for (const member of members) {
      if (this.#followers.has(member)) continue;
      this.#followers.set(member, new Progress(LogIndex(log.lastIndex + 1), options));
    }
  }

  get followers(): ReadonlyMap<ReplicaId, Progress> {
    return this.#followers;
  }

  /** Whether {@link send} has something to do. */
  get due(): boolean {
    const { lastIndex, commitIndex } = this.#context.log;
    for (const progress of this.#followers.values()) {
      if (progress.isSnapshotDue || progress.nextAppend(lastIndex, commitIndex) !== 'nothing') return true;
    }
    return false;
  }

  /** Sends every follower what its window allows. Returns what the host must read from its disk for them. */
  send(): LogRead[] {
    const reads: LogRead[] = [];
    for (const [follower, progress] of this.#followers) {
      const { lastIndex, commitIndex } = this.#context.log;
      for (;;) {
        const next = progress.nextAppend(lastIndex, commitIndex);
        if (next === 'nothing') break;
        const read = this.#sendNext(follower, progress, next);
        if (read !== undefined) reads.push(read);
      }
    }
    return reads;
  }

  #sendNext(follower: ReplicaId, progress: Progress, next: 'entries' | 'empty'): LogRead | undefined {
    const { log } = this.#context;
    const { appendBytesMax } = this.#context.options;
    const from = progress.nextIndex;
    if (from < log.firstIndex) {
      progress.becomeSnapshot();
      return undefined;
    }
    const entries = next === 'entries' ? log.entriesFrom(from, appendBytesMax) : [];
    if (entries !== undefined) {
      this.#sendAppend(follower, progress, entries);
    } else if (progress.stateType === 'probe') {
      // Not worth a read from disk before it is known where the logs match.
      this.#sendAppend(follower, progress, []);
    } else {
      progress.logReadStarted();
      return { to: follower, from, bytesMax: appendBytesMax };
    }
    return undefined;
  }

  #sendAppend(follower: ReplicaId, progress: Progress, entries: readonly Entry[]): void {
    const { options, term, log, outbox } = this.#context;
    const prevLogIndex = LogIndex(progress.nextIndex - 1);
    const prevLogTerm = log.term(prevLogIndex);
    assert(prevLogTerm !== undefined, `the term of entry ${prevLogIndex} is unknown`);
    const commit = log.commitIndex;
    outbox.send({
      type: 'appendRequest',
      from: options.self,
      to: follower,
      term,
      prevLogIndex,
      prevLogTerm,
      entries,
      commit,
    });
    progress.sent(LogIndex(prevLogIndex + entries.length), commit);
  }

  /** Entries that were read from disk; not what the follower waits for any more, they are dropped. */
  sendRead(follower: ReplicaId, entries: readonly Entry[]): void {
    const progress = this.#followers.get(follower);
    if (progress === undefined || entries.length === 0) return;
    const { log } = this.#context;
    if (!progress.logReadFinished(entries[0].index)) return;
    // The log may have dropped or replaced entries since they were read.
    if (progress.nextIndex < log.firstIndex) return;
    for (const entry of entries) if (log.term(entry.index) !== entry.term) return;
    this.#sendAppend(follower, progress, entries);
  }

  /** Who needs a snapshot, each until its snapshot begins and ends; then again. */
  takeSnapshotsWanted(): readonly ReplicaId[] {
    const wanted: ReplicaId[] = [];
    for (const [follower, progress] of this.#followers) {
      if (!progress.isSnapshotDue) continue;
      progress.snapshotAsked();
      wanted.push(follower);
    }
    return wanted;
  }

  /** See `Raft.beginSnapshot`. */
  beginSnapshot(to: ReplicaId, snapshot: RaftSnapshot): SnapshotRequest | undefined {
    const { options, term, log } = this.#context;
    assert(snapshot.index <= log.commitIndex, `a snapshot of entry ${snapshot.index}, which is not committed`);
    // A follower that the snapshot does not know would not know that it belongs to the group; nor may it be too old.
    const isUseful = isMember(snapshot.configuration, to) && snapshot.index + 1 >= log.firstIndex;
    const progress = this.#followers.get(to);
    if (progress === undefined) return undefined;
    if (!isUseful) progress.snapshotEnded(false);
    else if (progress.snapshotBegun(snapshot.index)) {
      return { type: 'snapshotRequest', from: options.self, to, term, snapshot };
    }
    return undefined;
  }

  snapshotEnded(to: ReplicaId, delivered: boolean): void {
    this.#followers.get(to)?.snapshotEnded(delivered);
  }

  onAppendResponse(message: AppendResponse): void {
    const progress = this.#followers.get(message.from);
    if (progress === undefined) return;
    progress.heard();
    const { log } = this.#context;
    if (message.rejected) {
      const hint = log.lastIndexOfTermAtMost(message.hintIndex, message.hintTerm);
      progress.rejected(message.logIndex, hint);
      return;
    }
    assert(message.logIndex <= log.lastIndex, `replica ${message.from} acknowledged an entry that was never sent`);
    progress.accepted(message.logIndex, log.firstIndex);
  }

  /** Commits what a quorum has, if it is of this term: older entries commit with it only (figure 8 of the paper). */
  commit(): void {
    const { options, term, membership, log } = this.#context;
    const reached = quorumReached(membership.configuration, (replica) =>
      replica === options.self ? log.stableIndex : (this.#followers.get(replica)?.matchIndex ?? 0),
    );
    const index = LogIndex(reached);
    if (index > log.commitIndex && log.term(index) === term) log.commitTo(index);
  }

  tick(): void {
    for (const progress of this.#followers.values()) progress.tick(this.#context.options.electionTicksMin);
  }
}
