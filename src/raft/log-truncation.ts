/** Which entries a leader may have dropped from the log: the trade between its length and snapshots for those that lag. */
import { LogIndex } from '../base/ids.js';
import type { RaftStatus } from './status.js';

/**
 * Entries up to the result are applied here, and are not needed for anyone, except for followers that lack more than
 * `entriesKeptMax`: these get a snapshot instead. Of one that is alive it is known within moments what it has, and so long
 * nothing that it may lack is dropped. What follows a snapshot that is on its way stays, however long that
 * takes (pitfall 18): the host ends those that are too slow.
 */
export function droppableIndex(status: RaftStatus, entriesKeptMax: number): LogIndex {
  let upTo: number = status.appliedIndex;
  for (const { state, matchIndex, pinnedIndex, isAlive } of status.followers) {
    if (pinnedIndex > 0) upTo = Math.min(upTo, pinnedIndex);
    else if (state === 'snapshot') continue;
    else if ((state === 'probe' && isAlive) || status.lastIndex - matchIndex <= entriesKeptMax) {
      upTo = Math.min(upTo, matchIndex);
    }
  }
  return LogIndex(upTo);
}
