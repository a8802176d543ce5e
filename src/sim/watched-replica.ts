/** What is known of a replica from what it does. */
import type { LogIndex, ReplicaId, ShardId, Term } from '../base/ids.js';
import type { Configuration } from '../raft/config.js';
import type { HardState } from '../raft/types.js';

/** A replica, in one process. */
export interface WatchedReplica {
  readonly shard: ShardId;
  readonly replica: ReplicaId;
  /** Of its machine. */
  readonly disk: object;
  /** As of its last step; undefined before its first, since nobody else knows what is on its disk. */
  last: WatchedStep | undefined;
  /** As it was last decided in this process, durable or not. */
  hardState: HardState | undefined;
  appliedIndex: number | undefined;
  /** Of entries that change the group and are not applied. */
  changes: readonly LogIndex[];
  /** As of the last change that was applied in this process. */
  configuration: Configuration | undefined;
}

export interface WatchedStep {
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly isLeader: boolean;
  /** The leader has told that there is nothing to do. */
  readonly isQuiet: boolean;
}
