/** How long a shard's log may become for the sake of followers: the trade between entries and Raft snapshots. */
import type { Limits } from '../../base/limits.js';

/** Least that is kept for a follower that is catching up, in what is kept for one that is away. */
const catchingUpFactor = 2;

/** Bytes of the shard's log. */
export interface LogAllowance {
  /** For a follower of which nothing is heard. */
  readonly away: number;
  /** For one that lives: it takes entries, or fetches a Raft snapshot. */
  readonly catchingUp: number;
}

/**
 * A shard whose tables take `tableBytes`, old versions included, may have a log as long as these for a follower that is catching up:
 * a Raft snapshot is of all of them, so a follower for which it was not kept would need as much again, and meanwhile more is
 * written. So a follower gets its snapshot wherever the log grows more slowly than snapshots are sent, however large the shard.
 */
export function logAllowance(tableBytes: number, { shardLogBytesMax }: Pick<Limits, 'shardLogBytesMax'>): LogAllowance {
  return { away: shardLogBytesMax, catchingUp: Math.max(catchingUpFactor * shardLogBytesMax, tableBytes) };
}
