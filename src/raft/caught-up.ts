/** Whether a follower has nearly all: what a learner needs to become a voter, and a voter to take leadership over soon. */
import type { LogIndex } from '../base/ids.js';
import type { ProgressState } from './progress.js';

/** What is known of a follower; a part of `FollowerStatus`. */
export interface FollowerPosition {
  readonly state: ProgressState['type'];
  readonly matchIndex: LogIndex;
  readonly isAlive: boolean;
}

/**
 * Whether it is alive, and either takes appends in and lacks at most `entriesMax` of what is committed, or lacks nothing of it: then
 * it stays in state `probe` for as long as nothing is written, once its connection has broken.
 */
export function isCaughtUp(follower: FollowerPosition, commitIndex: LogIndex, entriesMax: number): boolean {
  const { state, matchIndex, isAlive } = follower;
  return isAlive && (matchIndex >= commitIndex || (state === 'replicate' && commitIndex - matchIndex <= entriesMax));
}
