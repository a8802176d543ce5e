/** Configurations at random, and their quorums the obvious way: all subsets of more than half, of both halves if joint. */
import fc from 'fast-check';
import { ReplicaId } from '../../src/base/ids.js';
import { type Configuration, createConfiguration, isJoint, isMember } from '../../src/raft/config.js';
import { changedConfiguration, type Members } from '../../src/raft/config-change.js';

const replicas = [1, 2, 3, 4, 5, 6, 7].map(ReplicaId);

/** Voters and learners among seven replicas. */
export const anyMembers: fc.Arbitrary<Members> = fc
  .tuple(fc.constantFrom(...replicas), fc.array(fc.constantFrom('voter', 'learner', 'none'), { minLength: 7 }))
  .map(([first, roles]) => ({
    voters: replicas.filter((replica, i) => replica === first || roles[i] === 'voter'),
    learners: replicas.filter((replica, i) => replica !== first && roles[i] === 'learner'),
  }));

/** Simple and joint ones, the latter on the way from one simple one to another. */
export const anyConfiguration: fc.Arbitrary<Configuration> = fc
  .tuple(anyMembers, fc.option(anyMembers))
  .map(([members, next]) => {
    const configuration = createConfiguration(members);
    return next === null ? configuration : changedConfiguration(configuration, next);
  });

export function membersOf(configuration: Configuration): ReplicaId[] {
  return replicas.filter((replica) => isMember(configuration, replica));
}

export function quorumsOf(configuration: Configuration): ReplicaId[][] {
  const members = membersOf(configuration);
  const quorums: ReplicaId[][] = [];
  for (let bits = 0; bits < 2 ** members.length; bits++) {
    const subset = members.filter((_, i) => (bits >> i) % 2 === 1);
    const halves = isJoint(configuration)
      ? [configuration.voters, configuration.votersOutgoing]
      : [configuration.voters];
    if (halves.every((half) => half.filter((voter) => subset.includes(voter)).length * 2 > half.length)) {
      quorums.push(subset);
    }
  }
  return quorums;
}
