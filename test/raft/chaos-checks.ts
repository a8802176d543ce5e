/**
 * What must hold at every step, whatever happens: the promises of figure 3 of the Raft paper, and what Quorate adds.
 * Sees everything, also what no replica can.
 */
import { assert, defined } from '../../src/base/assert.js';
import { equalBytes } from '../../src/base/bytes.js';
import { LogIndex, type ReplicaId, type Term } from '../../src/base/ids.js';
import { type Configuration, equalConfigurations } from '../../src/raft/config.js';
import { hasQuorum } from '../../src/raft/quorum.js';
import type { Entry } from '../../src/raft/types.js';
import { decodeConfiguration } from './configuration-text.js';
import { quorumsOf } from './naive-quorum.js';
import type { TestReplica } from './replica.js';

/** A configuration, and the entry from which on it acts. */
interface Era {
  readonly from: number;
  readonly configuration: Configuration;
}

/** How far a replica was seen to be. */
interface Seen {
  term: number;
  commitIndex: number;
}

export class ChaosChecks {
  readonly #replicas: readonly TestReplica[];
  readonly #leaders = new Map<Term, ReplicaId>();
  /** Every entry that any replica held for committed, from index 1. */
  readonly #committed: Entry[] = [];
  readonly #eras: Era[];
  readonly #seen = new Map<TestReplica, Seen>();

  constructor(replicas: readonly TestReplica[], configuration: Configuration) {
    this.#replicas = replicas;
    this.#eras = [{ from: 0, configuration }];
  }

  get committedIndex(): LogIndex {
    return LogIndex(this.#committed.length);
  }

  get leaders(): number {
    return this.#leaders.size;
  }

  /** How often the configuration changed. */
  get changes(): number {
    return this.#eras.length - 1;
  }

  restarted(replica: TestReplica): void {
    const { hardState } = replica.durable;
    this.#seen.set(replica, { term: hardState.term, commitIndex: 0 });
  }

  /** To be called whenever `replica` has done anything. */
  step(replica: TestReplica): void {
    this.#checkMonotone(replica);
    this.#checkCommitted(replica);
    this.#checkPendingChanges(replica);
  }

  #checkMonotone(replica: TestReplica): void {
    const { term, commitIndex } = replica.raft;
    const seen = this.#seen.get(replica) ?? { term: 0, commitIndex: 0 };
    assert(term >= seen.term, `the term of ${replica.id} goes back from ${seen.term} to ${term}`);
    assert(commitIndex >= seen.commitIndex, `the commit index of ${replica.id} goes back to ${commitIndex}`);
    seen.term = term;
    this.#seen.set(replica, seen);
  }

  /** What a replica holds for committed is what others do, and was on a quorum's disks when the first one did. */
  #checkCommitted(replica: TestReplica): void {
    const { commitIndex } = replica.raft;
    const seen = defined(this.#seen.get(replica), 'what was seen of the replica');
    for (let i = seen.commitIndex + 1; i <= commitIndex; i++) {
      const index = LogIndex(i);
      if (index < replica.log.firstIndex) continue;
      const entry = defined(replica.log.at(index), `committed entry ${index} of ${replica.id}`);
      if (index <= this.#committed.length) {
        assert(equalEntries(this.#committed[index - 1], entry), `${replica.id} has another committed entry ${index}`);
      } else {
        assert(index === this.#committed.length + 1, `entry ${index} is committed before the one before it`);
        this.#commit(entry);
      }
    }
    seen.commitIndex = commitIndex;
  }

  #commit(entry: Entry): void {
    const isDurableOn = (id: ReplicaId): boolean => {
      const { log } = this.#replicas[id - 1].durable;
      return entry.index < log.firstIndex || log.term(entry.index) === entry.term;
    };
    this.#committed.push(entry);
    // Whoever committed it may have applied the change before it, or not yet.
    const last = this.#eras[this.#eras.length - 1];
    const candidates = this.#eras.slice(-2).filter(({ from }) => from < entry.index);
    assert(
      candidates.some(({ configuration }) => hasQuorum(configuration, isDurableOn)),
      `entry ${entry.index} is committed, but not on a quorum's disks`,
    );
    const configuration = decodeConfiguration(entry.data);
    if (configuration === undefined) return;
    const quorums = quorumsOf(configuration);
    for (const quorum of quorumsOf(last.configuration)) {
      const overlaps = quorums.every((next) => next.some((voter) => quorum.includes(voter)));
      assert(overlaps, `the configuration of entry ${entry.index} can decide without the one before`);
    }
    this.#eras.push({ from: entry.index, configuration });
  }

  /** One change at a time: whoever has one in its log knows that the one before it is committed. */
  #checkPendingChanges({ id, log, raft }: TestReplica): void {
    let pending = 0;
    for (let i = Math.max(raft.commitIndex + 1, log.firstIndex); i <= log.lastIndex; i++) {
      const entry = defined(log.at(LogIndex(i)), `entry ${i}`);
      if (decodeConfiguration(entry.data) !== undefined) pending++;
    }
    assert(pending <= 1, `${id} has ${pending} changes in its log that it does not know to be committed`);
  }

  /** State machine safety: all apply the same entries in the same order. The configuration is part of the state. */
  applied(replica: TestReplica, entry: Entry): void {
    if (entry.index > this.#committed.length) return; // the first to apply does so before `step` saw the commit index
    assert(equalEntries(this.#committed[entry.index - 1], entry), `${replica.id} applies another ${entry.index}`);
    const expected = this.#configurationBefore(entry.index);
    const { configuration } = replica.raft;
    const isBlank = configuration.voters.length === 0;
    assert(isBlank || equalConfigurations(expected, configuration), `${replica.id} acts by another configuration`);
  }

  #configurationBefore(index: LogIndex): Configuration {
    return defined(
      this.#eras.findLast(({ from }) => from < index),
      'the first configuration',
    ).configuration;
  }

  /** Election safety: one leader a term. Leader completeness: it has all that was committed in earlier terms. */
  leads(replica: TestReplica, term: Term): void {
    const known = this.#leaders.get(term);
    assert(known === undefined || known === replica.id, `${known} and ${replica.id} lead term ${term}`);
    this.#leaders.set(term, replica.id);
    for (const entry of this.#committed) {
      if (entry.term >= term || entry.index < replica.log.firstIndex) continue;
      const own = replica.log.at(entry.index);
      assert(own !== undefined && equalEntries(own, entry), `the leader of term ${term} lacks entry ${entry.index}`);
    }
  }

  /** What a lease is worth: as long as it holds nobody else commits anything. */
  leases(): void {
    for (const { id, raft } of this.#replicas) {
      const index = raft.leaseRead();
      const isCurrent = index === undefined || index >= this.committedIndex;
      assert(isCurrent, `${id} may read at ${index} under a lease, and ${this.committedIndex} is committed`);
    }
  }

  /** Log matching: where two logs have an entry of one index and term, they are equal up to it. */
  logMatching(): void {
    for (const a of this.#replicas) for (const b of this.#replicas) if (a.id < b.id) checkMatching(a, b);
  }
}

function checkMatching(a: TestReplica, b: TestReplica): void {
  let matches = false;
  for (let i: number = Math.min(a.log.lastIndex, b.log.lastIndex); i > 0; i--) {
    const [left, right] = [a.log.at(LogIndex(i)), b.log.at(LogIndex(i))];
    if (left === undefined || right === undefined) break;
    const equal = left.term === right.term;
    assert(equal || !matches, `${a.id} and ${b.id} agree after entry ${i} but not on it`);
    if (equal) assert(equalEntries(left, right), `${a.id} and ${b.id} have different entries ${i}/${left.term}`);
    matches = equal;
  }
}

function equalEntries(a: Entry, b: Entry): boolean {
  return a.index === b.index && a.term === b.term && equalBytes(a.data, b.data);
}
