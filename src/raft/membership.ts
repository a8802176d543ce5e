/**
 * The configuration that acts on this replica: as of the last entry that it has applied. A change that is in the log
 * and not applied has no effect yet, so there is nothing to take back when its entry is replaced.
 */
import type { ReplicaId } from '../base/ids.js';
import { type Configuration, isMember, isVoter, membersOf, otherVoters } from './config.js';

export class Membership {
  readonly self: ReplicaId;
  #configuration: Configuration;

  constructor(self: ReplicaId, configuration: Configuration) {
    this.self = self;
    this.#configuration = configuration;
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  /** Whether this replica may campaign and lead. */
  get mayLead(): boolean {
    return isVoter(this.#configuration, this.self);
  }

  has(replica: ReplicaId): boolean {
    return isMember(this.#configuration, replica);
  }

  /** Whom a candidate asks. */
  get otherVoters(): readonly ReplicaId[] {
    return otherVoters(this.#configuration, this.self);
  }

  /** Whom a leader replicates to. */
  get otherMembers(): readonly ReplicaId[] {
    return membersOf(this.#configuration).filter((replica) => replica !== this.self);
  }

  change(configuration: Configuration): void {
    this.#configuration = configuration;
  }
}
