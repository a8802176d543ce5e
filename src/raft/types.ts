/** What the Raft core takes and gives: entries, hard state, messages, `Ready`. All plain data. */
import type { LogIndex, ReplicaId, Term } from '../base/ids.js';
import type { Configuration } from './config.js';

/** One entry of a group's log. `data` is opaque to Raft; empty is the no-op that a new leader proposes. */
export interface Entry {
  readonly term: Term;
  readonly index: LogIndex;
  readonly data: Uint8Array;
}

/** What a replica must remember across restarts besides its entries. */
export interface HardState {
  readonly term: Term;
  /** Who got this replica's vote in `term`; 0 is nobody. */
  readonly vote: ReplicaId | 0;
  /** May lag behind what is really committed. */
  readonly commit: LogIndex;
}

interface Addressed {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  /** The sender's term; for a pre-vote request the term it would campaign in. */
  readonly term: Term;
}

export interface VoteRequest extends Addressed {
  readonly type: 'preVoteRequest' | 'voteRequest';
  readonly lastLogIndex: LogIndex;
  readonly lastLogTerm: Term;
  /** The leader asked for this election (transferLeadership): voters grant even though they hear a live leader. */
  readonly transfer: boolean;
}

export interface VoteResponse extends Addressed {
  readonly type: 'preVoteResponse' | 'voteResponse';
  readonly granted: boolean;
  /** What the voter knows to be committed, and the term of that entry: it may be what the candidate's votes depend on. */
  readonly commit: LogIndex;
  readonly commitTerm: Term;
}

export interface AppendRequest extends Addressed {
  readonly type: 'appendRequest';
  readonly prevLogIndex: LogIndex;
  readonly prevLogTerm: Term;
  readonly entries: readonly Entry[];
  readonly commit: LogIndex;
}

export interface AppendResponse extends Addressed {
  readonly type: 'appendResponse';
  /** Accepted: the last index known to match. Rejected: the `prevLogIndex` that did not match. */
  readonly logIndex: LogIndex;
  readonly rejected: boolean;
  /** Where rejected: the follower's best guess of the last matching index, and its term there. */
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
}

export interface Heartbeat extends Addressed {
  readonly type: 'heartbeat';
  /** As far as the follower is known to have what is committed: it may commit so far. */
  readonly commit: LogIndex;
  /**
   * All that is committed, whether the follower has it or not; 0 as long as the leader does not know, because it has
   * not committed an entry of its own term, or was quiet and has not heard from a quorum since. For the host.
   */
  readonly leaderCommit: LogIndex;
  /** The probe of the follower's newest answer that the leader has got; 0 is none. For the host. */
  readonly probe: number;
  /** The newest ReadIndex round that this heartbeat asks to confirm; 0 is none. */
  readonly readRound: number;
  /** There is nothing to do: be quiet, if you have all that is committed. */
  readonly quiesce: boolean;
}

export interface HeartbeatResponse extends Addressed {
  readonly type: 'heartbeatResponse';
  readonly readRound: number;
  /** The follower does not expect to hear from its leader: it became quiet, as it was asked. */
  readonly quiet: boolean;
  /** The leader's next heartbeat gives it back. The core sends 0; the follower's host may put something there. */
  readonly probe: number;
}

/** Leadership transfer: campaign now, without PreVote. */
export interface TimeoutNow extends Addressed {
  readonly type: 'timeoutNow';
}

/** Names a Raft snapshot: the state machine after the entry at `index`. The host has the data. */
export interface RaftSnapshot {
  readonly index: LogIndex;
  readonly term: Term;
  /** As of `index`. */
  readonly configuration: Configuration;
}

/** Goes with the data of the snapshot, and is stepped when all of that has arrived. Answered like an append. */
export interface SnapshotRequest extends Addressed {
  readonly type: 'snapshotRequest';
  readonly snapshot: RaftSnapshot;
}

export type RaftMessage =
  | VoteRequest
  | VoteResponse
  | AppendRequest
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | SnapshotRequest
  | TimeoutNow;

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

/** The replica's view of the group; not durable. */
export interface SoftState {
  readonly role: Role;
  readonly term: Term;
  /** 0 when unknown. */
  readonly leader: ReplicaId | 0;
}

/**
 * The replica's log on its way to disk, as the core reads it. Implemented by the shared log. It holds what the host
 * has handed over for writing, durable or not. Indexes from `firstIndex` to `lastIndex` are present.
 */
export interface LogView {
  /** The oldest entry that is still kept; what is before was applied and dropped. 1 in a new log. */
  readonly firstIndex: LogIndex;
  /** `firstIndex - 1` when the log holds no entry. */
  readonly lastIndex: LogIndex;
  /** Term of the entry at `index`, for `firstIndex - 1` … `lastIndex`; undefined outside. That of index 0 is 0. */
  term(index: LogIndex): Term | undefined;
  /**
   * Entries `from` … `to` (both included), cut after `bytesMax` bytes of data but never below one entry.
   * Undefined when they are no longer in memory: the host reads them from disk.
   */
  entries(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] | undefined;
}

/** The answer to one `requestRead`: state at `index` or later answers every read of this and earlier rounds. */
export interface ReadState {
  readonly round: number;
  readonly index: LogIndex;
}

/** A follower lags behind what is in memory: the host reads entries from `from` on and gives them to `entriesRead`. */
export interface LogRead {
  readonly to: ReplicaId;
  readonly from: LogIndex;
  readonly bytesMax: number;
}

/**
 * What a replica says of itself, with something that it asks: it was in this term, so it had voted in no later one.
 * Good for whatever was asked with it.
 */
export interface Voucher {
  readonly replica: ReplicaId;
  readonly term: Term;
}

/** Names what one `Ready` asked to make durable; the host gives it back to `synced`. */
export interface SyncPoint {
  /** Term of the replica when the `Ready` was taken: answers about an older term's log are ignored (pitfall 20). */
  readonly term: Term;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** Counts the `Ready`s that had something to make durable; 0 where there was nothing, then the point is void. */
  readonly sequence: number;
}

/**
 * What the host must do after it called into the core. In order: hand `hardState` and `entries` to the log; send
 * `messages` at once; when the log says that the hand-over is durable, send `messagesAfterSync` and call
 * `synced(syncPoint)`. Several may be under way; the log finishes them in order.
 */
export interface Ready {
  /** Set when it changed. */
  readonly hardState: HardState | undefined;
  /** To be written; an entry whose index is already in the log replaces it and all after it. */
  readonly entries: readonly Entry[];
  /**
   * False when there are no entries and at most `commit` changed: then it may be written with the next group, and
   * nothing waits: `messagesAfterSync` is empty and `synced` has no effect, whenever it is called.
   */
  readonly mustSync: boolean;
  readonly messages: readonly RaftMessage[];
  /** Votes and acknowledgements that rely on what this `Ready` makes durable (pitfall 3). */
  readonly messagesAfterSync: readonly RaftMessage[];
  readonly syncPoint: SyncPoint;
  /** Entries up to here may be applied: they are committed, and durable on this replica. */
  readonly commitIndex: LogIndex;
  readonly readStates: readonly ReadState[];
  /** Reads of this and earlier rounds that are not answered by a ReadState will not be: leadership was lost. */
  readonly readsLost: boolean;
  readonly logReads: readonly LogRead[];
  /** By a leader: who needs what the log no longer has. `Raft.beginSnapshot` when the host has a snapshot to send. */
  readonly snapshotsWanted: readonly ReplicaId[];
  /**
   * To be put in place of state machine and log, at once and durably, the log beginning after it; then
   * `snapshotInstalled`. From now until then the host applies nothing.
   */
  readonly snapshot: RaftSnapshot | undefined;
  /** By a leader: to be proposed, since the joint configuration that acts is to be left. Asked again every tick. */
  readonly leaveJoint: Configuration | undefined;
  /** Set when it changed. */
  readonly softState: SoftState | undefined;
}
