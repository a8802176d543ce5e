/** How long a shard's log in its leader may become for the sake of followers: the trade between entries and Raft snapshots. */
import type { Limits } from '../../base/limits.js';

/** Least that is kept for a follower that is catching up, in what is kept for one that is away. */
const catchingUpFactor = 4;

/** Bytes of the shard's log. */
export interface LogAllowance {
  /** For a follower of which nothing is heard. */
  readonly away: number;
  /** For one that is fetching a Raft snapshot, or is alive and takes entries. */
  readonly catchingUp: number;
}

/**
 * A shard of `shardBytes` may have a log as large as itself for a follower that is catching up: without it a Raft snapshot of the
 * whole would have to come, once more, and so much longer would the follower be without what is written meanwhile. Where the
 * log grows more slowly than snapshots are sent, so a follower gets there, however large the shard.
 */
export function logAllowance(shardBytes: number, { shardLogBytesMax }: Pick<Limits, 'shardLogBytesMax'>): LogAllowance {
  return { away: shardLogBytesMax, catchingUp: Math.max(catchingUpFactor * shardLogBytesMax, shardBytes) };
}
