/** Quorum arithmetic: the only place that knows how many are enough. A joint configuration needs enough of both its halves. */
import type { ReplicaId } from '../base/ids.js';
import { type Configuration, isJoint } from './config.js';

/** Whether those of whom `holds` is true are a quorum. */
export function hasQuorum(configuration: Configuration, holds: (replica: ReplicaId) => boolean): boolean {
  const { voters, votersOutgoing } = configuration;
  return hasMajority(voters, holds) && (!isJoint(configuration) || hasMajority(votersOutgoing, holds));
}

function hasMajority(voters: readonly ReplicaId[], holds: (replica: ReplicaId) => boolean): boolean {
  let holding = 0;
  for (const voter of voters) if (holds(voter)) holding++;
  return holding * 2 > voters.length;
}

/** The largest value that a quorum has reached, where `reached` tells how far each replica is; 0 where nobody votes. */
export function quorumReached(configuration: Configuration, reached: (replica: ReplicaId) => number): number {
  const incoming = majorityReached(configuration.voters, reached);
  return isJoint(configuration) ? Math.min(incoming, majorityReached(configuration.votersOutgoing, reached)) : incoming;
}

function majorityReached(voters: readonly ReplicaId[], reached: (replica: ReplicaId) => number): number {
  if (voters.length === 0) return 0;
  const values = voters.map(reached).sort((a, b) => a - b);
  return values[Math.ceil(values.length / 2) - 1];
}

/** Votes by voter: true granted, false refused, missing not answered. */
export type Votes = ReadonlyMap<ReplicaId, boolean>;

/** `lost`: the voters that have not refused are no quorum any more. */
export function electionResult(configuration: Configuration, votes: Votes): 'won' | 'lost' | 'open' {
  if (hasQuorum(configuration, (voter) => votes.get(voter) === true)) return 'won';
  return hasQuorum(configuration, (voter) => votes.get(voter) !== false) ? 'open' : 'lost';
}
