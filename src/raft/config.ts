/** Who belongs to a group. One value, so that learners and joint configurations change this file and `quorum.ts`. */
import { assert } from '../base/assert.js';
import type { ReplicaId } from '../base/ids.js';

export interface Configuration {
  /** Ascending, without duplicates, at least one. */
  readonly voters: readonly ReplicaId[];
}

export function createConfiguration(voters: readonly ReplicaId[]): Configuration {
  assert(voters.length > 0, 'a group needs a voter');
  assert(new Set(voters).size === voters.length, 'a voter is listed twice');
  return { voters: [...voters].sort((a, b) => a - b) };
}

export function isMember(configuration: Configuration, replica: ReplicaId): boolean {
  return configuration.voters.includes(replica);
}

/** All members but `self`: whom a leader replicates to and a candidate asks. */
export function peersOf(configuration: Configuration, self: ReplicaId): readonly ReplicaId[] {
  return configuration.voters.filter((replica) => replica !== self);
}
