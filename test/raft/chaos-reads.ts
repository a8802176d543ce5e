import { assert, defined } from '../../src/base/assert.js';
import type { LogIndex } from '../../src/base/ids.js';
import type { Ready } from '../../src/raft/types.js';
import type { TestReplica } from './replica.js';

interface PendingRead {
  readonly round: number;
  /** All that was committed anywhere when the read arrived. */
  readonly indexMin: LogIndex;
}

/** Linearizable reads: none is answered with a state older than what was committed when it arrived. */
export class ReadChecks {
  readonly #pending = new Map<TestReplica, PendingRead[]>();

  requested(replica: TestReplica, round: number, indexMin: LogIndex): void {
    const pending = this.#pending.get(replica) ?? [];
    pending.push({ round, indexMin });
    this.#pending.set(replica, pending);
  }

  pending(replica: TestReplica): number {
    return this.#pending.get(replica)?.length ?? 0;
  }

  /** Nobody waits for answers any more. */
  restarted(replica: TestReplica): void {
    this.#pending.delete(replica);
  }

  ready(replica: TestReplica, { readStates, readsLost }: Ready): { readonly answered: number; readonly lost: number } {
    const pending = this.#pending.get(replica) ?? [];
    const before = pending.length;
    for (const { round, index } of readStates) {
      while (pending.length > 0 && pending[0].round <= round) {
        const { indexMin } = defined(pending.shift(), 'a read');
        assert(index >= indexMin, `a read at ${index} misses what was committed up to ${indexMin}`);
      }
    }
    return { answered: before - pending.length, lost: readsLost ? pending.splice(0).length : 0 };
  }
}
