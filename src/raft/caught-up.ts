/** Whether a follower has nearly all: what a learner needs to become a voter, and a voter to take leadership over soon. */
import type { LogIndex } from '../base/ids.js';
import type { ProgressState } from './progress.js';

/** What is known of a follower; a part of `FollowerStatus`. */
export interface FollowerPosition {
  readonly state: ProgressState['type'];
  readonly matchIndex: LogIndex;
  readonly isAlive: boolean;
}

/** Whether it is alive, takes appends in, and lacks at most `entriesMax` of what is committed. */
export function isCaughtUp(follower: FollowerPosition, commitIndex: LogIndex, entriesMax: number): boolean {
  return follower.isAlive && follower.state === 'replicate' && commitIndex - follower.matchIndex <= entriesMax;
}
