/**
 * Changes of the configuration, as their leader controls them.
 *
 * Invariants, on which the safety of configurations that act when applied rests:
 * - a change is proposed only when every earlier one in the log is applied here, and so committed;
 * - what entries of earlier leaders hold is not looked into: the first change of a term waits until the leader's own
 *   first entry is applied (pitfall 12);
 * - an append with a change therefore carries a commit index that covers the change before it.
 */
import type { LogIndex } from '../base/ids.js';
import { isCaughtUp } from './caught-up.js';
import { type Configuration, isJoint } from './config.js';
import { incomingVoters, leftJoint, mayFollow } from './config-change.js';
import type { LeaderContext, Replication } from './replication.js';

export type ChangeRefusal =
  /** An earlier change is not applied here, or the leader's own first entry. */
  | 'changePending'
  /** It does not follow the configuration that acts now. */
  | 'outdated'
  /** A replica that is to vote is no learner yet, or lags. */
  | 'learnerBehind';

export class ChangeControl {
  readonly #context: LeaderContext;
  readonly #replication: Replication;
  /** The last entry that may hold a change. */
  #lastIndex: LogIndex;
  #leaveAsked = false;

  /** @param firstIndex of the leader's own first entry. */
  constructor(context: LeaderContext, replication: Replication, firstIndex: LogIndex) {
    this.#context = context;
    this.#replication = replication;
    this.#lastIndex = firstIndex;
  }

  get isPending(): boolean {
    return this.#context.log.appliedIndex < this.#lastIndex;
  }

  refusal(next: Configuration): ChangeRefusal | undefined {
    const { configuration } = this.#context.membership;
    if (this.isPending) return 'changePending';
    if (!mayFollow(configuration, next)) return 'outdated';
    const { followers } = this.#replication;
    const { log, options } = this.#context;
    for (const voter of incomingVoters(configuration, next)) {
      const progress = followers.get(voter);
      if (progress === undefined) return 'learnerBehind';
      const position = { state: progress.stateType, matchIndex: progress.matchIndex, isAlive: progress.isAlive };
      if (!isCaughtUp(position, log.commitIndex, options.appendsInFlightMax)) return 'learnerBehind';
    }
    return undefined;
  }

  /** The entry at `index` holds a change. */
  proposed(index: LogIndex): void {
    this.#lastIndex = index;
  }

  /** Whether the host is to propose that a joint configuration is left, of this leader or of an earlier one (pitfall 15). */
  get leaveDue(): boolean {
    const { configuration } = this.#context.membership;
    return isJoint(configuration) && configuration.autoLeave && !this.isPending && !this.#leaveAsked;
  }

  /** Asks the host, once a tick. */
  askToLeave(): Configuration {
    this.#leaveAsked = true;
    return leftJoint(this.#context.membership.configuration);
  }

  tick(): void {
    this.#leaveAsked = false;
  }
}
