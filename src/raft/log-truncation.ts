/** Which entries a leader may have dropped from the log: the trade between its length and snapshots for those that lag. */
import { LogIndex } from '../base/ids.js';
import type { RaftStatus } from './status.js';

/** For one follower; one that lacks more gets a snapshot instead. */
export interface EntriesKeptMax {
  readonly away: number;
  /** It takes entries: a snapshot would cost it more than these, and while it is put in place it would lack others. */
  readonly catchingUp: number;
}

/**
 * Entries up to the result are applied here, and are not needed for anyone, except for followers that lack more than is kept
 * for them. Of one that is alive it is known within moments what it has, and so long nothing that it may lack is dropped.
 * What follows a snapshot that is on its way stays, however long that takes (pitfall 18): the host ends those that are too slow.
 */
export function droppableIndex(status: RaftStatus, entriesKeptMax: EntriesKeptMax): LogIndex {
  let upTo: number = status.appliedIndex;
  for (const { state, matchIndex, pinnedIndex, isAlive } of status.followers) {
    if (pinnedIndex > 0) upTo = Math.min(upTo, pinnedIndex);
    else if (state === 'snapshot') continue;
    else if (state === 'probe' && isAlive) upTo = Math.min(upTo, matchIndex);
    else {
      const keptMax = isAlive ? entriesKeptMax.catchingUp : entriesKeptMax.away;
      if (status.lastIndex - matchIndex <= keptMax) upTo = Math.min(upTo, matchIndex);
    }
  }
  return LogIndex(upTo);
}
