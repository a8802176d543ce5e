/** How long a shard's log may become for the sake of followers: the trade between entries and Raft snapshots. */
import type { Limits } from '../../base/limits.js';

/** Least that is kept for a follower that is catching up, in what is kept for one that is away. */
const catchingUpFactor = 2;

/** Bytes of a shard's log. */
export interface LogAllowance {
  /** For a follower of which nothing is heard. */
  readonly away: number;
  /** For one that lives: it takes entries, or fetches a Raft snapshot. */
  readonly catchingUp: number;
}

/** What decides, besides `limits.shardLogBytesMax`. */
export interface Room {
  /** Of the shard, old versions included. */
  readonly tableBytes: number;
  readonly isDiskFull: boolean;
}

/**
 * A shard may have a log as long as its tables are for a follower that is catching up: a Raft snapshot is of all of them, so a follower
 * for which the log was not kept would need about as much again, and meanwhile more is written. So it gets its snapshot wherever
 * the log grows more slowly than that is sent, however large the shard. On a full disk what is written is worth more than its time.
 */
export function logAllowance(room: Room, { shardLogBytesMax }: Pick<Limits, 'shardLogBytesMax'>): LogAllowance {
  const longest = Math.max(catchingUpFactor * shardLogBytesMax, room.tableBytes);
  return { away: shardLogBytesMax, catchingUp: room.isDiskFull ? shardLogBytesMax : longest };
}
