/** What operators see of a replica's Raft state. Plain data. */
import type { LogIndex, ReplicaId } from '../base/ids.js';
import type { Configuration } from './config.js';
import type { Membership } from './membership.js';
import type { ProgressState } from './progress.js';
import type { RaftLog } from './raft-log.js';
import type { Roles } from './roles.js';
import type { SoftState } from './types.js';

export interface RaftStatus extends SoftState {
  readonly self: ReplicaId;
  /** 0 is nobody. */
  readonly vote: ReplicaId | 0;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** Durable on this replica up to here. */
  readonly stableIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  /** 0 when no leadership transfer is under way. */
  readonly transferTarget: ReplicaId | 0;
  readonly configuration: Configuration;
  readonly isQuiet: boolean;
  /** By a leader about the others; empty elsewhere. */
  readonly followers: readonly FollowerStatus[];
}

interface FollowerStatus {
  readonly replica: ReplicaId;
  readonly state: ProgressState['type'];
  readonly matchIndex: LogIndex;
  readonly nextIndex: LogIndex;
  readonly appendsInFlight: number;
  /** The snapshot after which the follower will go on: entries after it must stay in the log. 0 when there is none. */
  readonly pinnedIndex: LogIndex;
  /** Heard of since the last quorum check. */
  readonly active: boolean;
  /** Heard of since the quorum check before the last. */
  readonly isAlive: boolean;
  /** Not heard of for twenty quorum checks, or since the group fell quiet without it. */
  readonly isAway: boolean;
}

export function statusOf({ self, configuration }: Membership, roles: Roles, log: RaftLog): RaftStatus {
  const leader = roles.state.type === 'leader' ? roles.state.leader : undefined;
  const followers = [...(leader?.replication.followers ?? [])].map(([replica, progress]) => ({
    replica,
    state: progress.stateType,
    matchIndex: progress.matchIndex,
    nextIndex: progress.nextIndex,
    appendsInFlight: progress.appendsInFlight,
    pinnedIndex: progress.pinnedIndex,
    active: progress.active,
    isAlive: progress.isAlive,
    isAway: progress.isAway,
  }));
  const { firstIndex, lastIndex, stableIndex, commitIndex, appliedIndex } = log;
  return {
    self,
    ...roles.softState,
    vote: roles.vote,
    firstIndex,
    lastIndex,
    stableIndex,
    commitIndex,
    appliedIndex,
    transferTarget: leader?.transferTarget ?? 0,
    configuration,
    isQuiet: roles.isQuiet,
    followers,
  };
}
