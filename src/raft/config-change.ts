/**
 * How one configuration follows another. Two configurations may act at the same time, on replicas that have applied
 * more and less of the log; so any quorum of one must share a voter with any quorum of the next. Where one voter
 * comes or goes that is so by itself; otherwise a joint configuration goes between, which needs a quorum of both.
 */
import { assert } from '../base/assert.js';
import type { ReplicaId } from '../base/ids.js';
import { type Configuration, createConfiguration, equalConfigurations, isJoint, isVoter } from './config.js';

export interface Members {
  readonly voters: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
}

/**
 * The next configuration on the way from `current`, which is not joint, to `members`; they are reached at once, or
 * when the joint configuration is left.
 *
 * @param autoLeave whether a leader leaves a joint configuration without being asked.
 */
export function changedConfiguration(current: Configuration, members: Members, autoLeave = true): Configuration {
  assert(!isJoint(current), 'a joint configuration is left before the next change');
  const { voters } = members;
  if (differing(current.voters, voters) <= 1) return createConfiguration(members);
  return createConfiguration({
    voters,
    votersOutgoing: current.voters,
    learners: members.learners.filter((replica) => !current.voters.includes(replica)),
    learnersNext: members.learners.filter((replica) => current.voters.includes(replica)),
    autoLeave,
  });
}

/** What follows a joint configuration. */
export function leftJoint({ voters, learners, learnersNext }: Configuration): Configuration {
  return createConfiguration({ voters, learners: [...learners, ...learnersNext] });
}

/** Whether `next` is something that may follow `current`. */
export function mayFollow(current: Configuration, next: Configuration): boolean {
  if (isJoint(current)) return equalConfigurations(next, leftJoint(current));
  const { voters, learners } = isJoint(next) ? leftJoint(next) : next;
  return equalConfigurations(next, changedConfiguration(current, { voters, learners }, next.autoLeave));
}

/** Who votes in `next` and does not yet. They count from the moment it is applied, so they had better be caught up. */
export function incomingVoters(current: Configuration, next: Configuration): readonly ReplicaId[] {
  return next.voters.filter((replica) => !isVoter(current, replica));
}

/** How many are in one list and not in the other. */
function differing(a: readonly ReplicaId[], b: readonly ReplicaId[]): number {
  const common = a.filter((replica) => b.includes(replica)).length;
  return a.length + b.length - 2 * common;
}
