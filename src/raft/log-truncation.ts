/** Which entries a leader may have dropped from the log: the trade between its length and snapshots for those that lag. */
import { LogIndex } from '../base/ids.js';
import type { RaftStatus } from './status.js';

/** Entries that are kept for the sake of one follower; one that lacks more gets a snapshot instead. */
export interface EntriesKeptMax {
  /** Of one that is away, see `FollowerStatus`. */
  readonly away: number;
  /** Of any other. */
  readonly catchingUp: number;
}

/**
 * Entries up to the result are applied here, and are not needed for anyone, except for followers that lack more than is kept
 * for them. One that will go on after a snapshot lacks what follows that. While it is sent nothing of this goes, however long that
 * takes (pitfall 18): the host sees to it, and ends those that are too slow.
 */
export function droppableIndex(status: RaftStatus, entriesKeptMax: EntriesKeptMax): LogIndex {
  const { appliedIndex, lastIndex, followers } = status;
  let upTo: number = appliedIndex;
  for (const { state, matchIndex, pinnedIndex, isAway } of followers) {
    if (state === 'snapshot' && pinnedIndex === 0) continue;
    const has = Math.max(matchIndex, pinnedIndex);
    const keptMax = isAway ? entriesKeptMax.away : entriesKeptMax.catchingUp;
    if (lastIndex - has <= keptMax) upTo = Math.min(upTo, has);
    // A new leader does not know yet what it has; mostly that is nearly all.
    else if (has === 0 && !isAway) upTo = Math.min(upTo, lastIndex - keptMax);
  }
  return LogIndex(Math.floor(upTo));
}
