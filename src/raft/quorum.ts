/** Quorum arithmetic: the only place that knows how many are enough. */
import type { ReplicaId } from '../base/ids.js';
import type { Configuration } from './config.js';

/** Whether those of whom `holds` is true are a quorum. */
export function hasQuorum(configuration: Configuration, holds: (replica: ReplicaId) => boolean): boolean {
  let holding = 0;
  for (const voter of configuration.voters) if (holds(voter)) holding++;
  return holding * 2 > configuration.voters.length;
}

/** The largest value that a quorum has reached, where `reached` tells how far each replica is. */
export function quorumReached(configuration: Configuration, reached: (replica: ReplicaId) => number): number {
  const values = configuration.voters.map(reached).sort((a, b) => a - b);
  return values[Math.ceil(values.length / 2) - 1];
}

/** Votes by voter: true granted, false refused, missing not answered. */
export type Votes = ReadonlyMap<ReplicaId, boolean>;

/** `lost`: the voters that have not refused are no quorum any more. */
export function electionResult(configuration: Configuration, votes: Votes): 'won' | 'lost' | 'open' {
  if (hasQuorum(configuration, (voter) => votes.get(voter) === true)) return 'won';
  return hasQuorum(configuration, (voter) => votes.get(voter) !== false) ? 'open' : 'lost';
}
