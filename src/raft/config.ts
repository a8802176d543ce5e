/**
 * Who belongs to a group: a value, changed by entries of the log (`config-change.ts`).
 *
 * Invariants: every list is ascending and names a replica once; a learner is no voter; `learnersNext` are outgoing
 * voters that are not voters; only a joint configuration has outgoing voters, `learnersNext` or `autoLeave`.
 */
import { assert } from '../base/assert.js';
import type { ReplicaId } from '../base/ids.js';

export interface Configuration {
  /** Whoever decides. Empty only where a replica was not told yet to which group it belongs. */
  readonly voters: readonly ReplicaId[];
  /** Of a joint configuration: the voters before the change, who decide too. Empty otherwise. */
  readonly votersOutgoing: readonly ReplicaId[];
  /** Replicated to, and not counted. */
  readonly learners: readonly ReplicaId[];
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly ReplicaId[];
  /** The joint configuration is left as soon as it is applied, by whoever leads then. */
  readonly autoLeave: boolean;
}

export function createConfiguration(parts: Partial<Configuration>): Configuration {
  const { voters = [], votersOutgoing = [], learners = [], learnersNext = [], autoLeave = false } = parts;
  const configuration = {
    voters: ascending(voters),
    votersOutgoing: ascending(votersOutgoing),
    learners: ascending(learners),
    learnersNext: ascending(learnersNext),
    autoLeave,
  };
  const fault = configurationFault(configuration);
  assert(fault === undefined, fault ?? '');
  return configuration;
}

function ascending(replicas: readonly ReplicaId[]): ReplicaId[] {
  return [...replicas].sort((a, b) => a - b);
}

/** What is wrong with a configuration that came from elsewhere; undefined when its invariants hold. */
export function configurationFault(configuration: Configuration): string | undefined {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration;
  for (const list of [voters, votersOutgoing, learners, learnersNext]) {
    for (let i = 1; i < list.length; i++) if (list[i - 1] >= list[i]) return 'replicas that do not ascend';
  }
  if (voters.length === 0 && votersOutgoing.length + learners.length > 0) return 'a group without voters';
  const isVoting = (replica: ReplicaId): boolean => isVoter(configuration, replica);
  if (learners.some(isVoting)) return 'a learner that votes';
  if (learnersNext.some((replica) => voters.includes(replica))) return 'a next learner that stays a voter';
  if (learnersNext.some((replica) => !votersOutgoing.includes(replica))) return 'a next learner that never voted';
  if (autoLeave && votersOutgoing.length === 0) return 'a configuration to be left that is not joint';
  return undefined;
}

export function isJoint(configuration: Configuration): boolean {
  return configuration.votersOutgoing.length > 0;
}

/** Voters may campaign, and lead. Those who leave with a joint configuration count until then. */
export function isVoter({ voters, votersOutgoing }: Configuration, replica: ReplicaId): boolean {
  return voters.includes(replica) || votersOutgoing.includes(replica);
}

export function isMember(configuration: Configuration, replica: ReplicaId): boolean {
  return isVoter(configuration, replica) || configuration.learners.includes(replica);
}

/** Whom a candidate asks: all that vote, but `self`. */
export function otherVoters({ voters, votersOutgoing }: Configuration, self: ReplicaId): readonly ReplicaId[] {
  return ascending([...new Set([...voters, ...votersOutgoing])]).filter((replica) => replica !== self);
}

/** All that belong to the group, ascending. */
export function membersOf({ voters, votersOutgoing, learners }: Configuration): readonly ReplicaId[] {
  return ascending([...new Set([...voters, ...votersOutgoing, ...learners])]);
}

export function equalConfigurations(a: Configuration, b: Configuration): boolean {
  return (
    a.autoLeave === b.autoLeave &&
    equalLists(a.voters, b.voters) &&
    equalLists(a.votersOutgoing, b.votersOutgoing) &&
    equalLists(a.learners, b.learners) &&
    equalLists(a.learnersNext, b.learnersNext)
  );
}

function equalLists(a: readonly ReplicaId[], b: readonly ReplicaId[]): boolean {
  return a.length === b.length && a.every((replica, i) => replica === b[i]);
}
