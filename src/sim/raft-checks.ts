/**
 * What must hold of the replicas of a shard at every step of every node, whatever fails: figure 3 of the Raft paper.
 *
 * - Election safety: one leader for each term.
 * - Log matching: an entry of one index and term is the same everywhere, and so is the term of the one before it.
 * - Leader completeness: what was committed up to some term is in the log of each leader of a later one: not only as many
 *   entries, but the last of them. By log matching, those before it are the same too.
 * - State machine safety: all apply the same entries in their order, with the same effect. So states at one applied index
 *   are equal; that replicas hold them is for {@link StateChecks} to see.
 * - A Raft snapshot has the configuration that the applied entries up to its own made.
 * - Term, commit index and applied index of a replica never go back while its process lives, nor does its vote in a term change.
 *   Of term, vote and commit index what was durable holds for the next process as well: it has nothing else.
 */
import { crc32 } from '../base/checksum.js';
import { emptyBytes } from '../base/bytes.js';
import type { ReplicaId, ShardId, Term } from '../base/ids.js';
import { type Configuration, equalConfigurations } from '../raft/config.js';
import type { Entry, HardState, RaftSnapshot, Ready, SyncPoint } from '../raft/types.js';
import type { EntryEffect } from '../shard/entry-effect.js';
import type { GroupDescriptor } from '../shard/group-descriptor.js';
import type { WatchedReplica } from './watched-replica.js';

interface KnownEntry {
  readonly hash: number;
  /** Of the entry before it; undefined as long as nobody was seen to append both. */
  termBefore: Term | undefined;
}

/** All that was seen of one shard. */
class ShardFacts {
  readonly leaders = new Map<Term, ReplicaId>();
  /** By index and term. */
  readonly entries = new Map<string, KnownEntry>();
  /** By index: term, content and effect. */
  readonly applied = new Map<number, string>();
  /** By the index of the entry from which on it acts. */
  readonly configurations = new Map<number, Configuration>();
  /** As of the last change that anybody has applied. */
  group: GroupDescriptor | undefined;
  /** By the term of the replica that knew it: how far the log was committed. */
  readonly committed = new Map<Term, number>();
  /** By index, of entries up to which some replica knew the log to be committed: their terms. */
  readonly committedTerms = new Map<number, Term>();

  /** Of the entry at `index` in the log that ends so; undefined where nobody was seen to append all from there on. */
  termAt(index: number, end: Pick<SyncPoint, 'lastIndex' | 'lastTerm'>): Term | undefined {
    let term: Term | undefined = end.lastTerm;
    for (let at: number = end.lastIndex; at > index && term !== undefined; at--)
      term = this.entries.get(`${at}/${term}`)?.termBefore;
    return end.lastIndex < index ? undefined : term;
  }
}

export class RaftChecks {
  /** What was wrong, as soon as it was seen. */
  readonly violations: string[] = [];
  readonly #shards = new Map<ShardId, ShardFacts>();
  /** By disk, shard and replica: what processes are known to have made durable. Another disk has promised nothing. */
  readonly #durable = new WeakMap<object, Map<string, HardState>>();

  /** As of the last change that a replica has applied; undefined before the first. */
  group(shard: ShardId): GroupDescriptor | undefined {
    return this.#shards.get(shard)?.group;
  }

  /** A replica has decided `ready`. */
  ready(seen: WatchedReplica, ready: Ready): void {
    const facts = this.#factsOf(seen.shard);
    this.#checkMonotone(seen, ready);
    this.#checkEntries(seen, ready, facts);
    this.#checkLeader(seen, ready, facts);
    this.#checkCommitted(seen, ready, facts);
  }

  /** What `ready` has for the log is durable. */
  synced(seen: WatchedReplica, { hardState }: Ready): void {
    if (hardState !== undefined) this.#durableOn(seen).set(`${seen.shard}/${seen.replica}`, hardState);
  }

  /** A replica has applied `entry`. */
  applied(seen: WatchedReplica, entry: Entry, effect: EntryEffect): void {
    const before = seen.appliedIndex;
    if (before !== undefined && entry.index !== before + 1)
      this.#violated(seen, `applies ${entry.index} after ${before}`);
    seen.appliedIndex = entry.index;
    const facts = this.#factsOf(seen.shard);
    const { applied, configurations } = facts;
    if (effect.type === 'changeGroup') {
      const { descriptor } = effect;
      configurations.set(entry.index, descriptor.configuration);
      if (descriptor.epoch.membership > (facts.group?.epoch.membership ?? 0)) facts.group = descriptor;
    }
    const batch = effect.type === 'write' ? effect.batch : emptyBytes;
    const what = `term ${entry.term}, ${effect.type} ${crc32(batch)}, entry ${crc32(entry.data)}`;
    const known = applied.get(entry.index);
    if (known === undefined) applied.set(entry.index, what);
    else if (known !== what) this.#violated(seen, `applies at ${entry.index} ${what}, where another had ${known}`);
  }

  /** A Raft snapshot took the place of the replica's state and log. */
  installed(seen: WatchedReplica, { index, term, configuration }: RaftSnapshot): void {
    if (index <= (seen.appliedIndex ?? 0)) this.#violated(seen, `goes back from ${seen.appliedIndex} to ${index}`);
    seen.appliedIndex = index;
    const { applied, configurations } = this.#factsOf(seen.shard);
    const changedAt = Math.max(0, ...[...configurations.keys()].filter((changed) => changed <= index));
    const acting = configurations.get(changedAt);
    if (acting !== undefined && !equalConfigurations(acting, configuration))
      this.#violated(seen, `takes a Raft snapshot of entry ${index} without the configuration of entry ${changedAt}`);
    const known = applied.get(index);
    if (known !== undefined && !known.startsWith(`term ${term},`)) {
      this.#violated(seen, `takes a Raft snapshot of entry ${index} of term ${term}, where another applied ${known}`);
    }
  }

  /**
   * The first step of a process is held against what the one before it made durable; but not where it knows nothing at all, as in the
   * directory that a node which repairs itself begins with.
   */
  #checkMonotone(seen: WatchedReplica, { syncPoint, commitIndex, hardState }: Ready): void {
    const isNew = seen.last === undefined && syncPoint.term === 0;
    const kept = isNew ? undefined : this.#durableOn(seen).get(`${seen.shard}/${seen.replica}`);
    const term = seen.last?.term ?? kept?.term ?? 0;
    if (syncPoint.term < term) this.#violated(seen, `goes back from term ${term} to ${syncPoint.term}`);
    const commit = seen.last?.commitIndex ?? kept?.commit ?? 0;
    if (commitIndex < commit) this.#violated(seen, `goes back from commit index ${commit} to ${commitIndex}`);
    const said = seen.hardState ?? kept;
    if (hardState === undefined || said?.term !== hardState.term || said.vote === 0) return;
    if (hardState.vote !== said.vote)
      this.#violated(seen, `votes for ${hardState.vote} in term ${said.term}, where it voted for ${said.vote}`);
  }

  #checkEntries(seen: WatchedReplica, { entries }: Ready, { entries: known }: ShardFacts): void {
    let previous: { readonly index: number; readonly term: Term } | undefined =
      seen.last === undefined ? undefined : { index: seen.last.lastIndex, term: seen.last.lastTerm };
    for (const entry of entries) {
      const { index, term, data } = entry;
      if (index <= (seen.last?.commitIndex ?? 0)) this.#violated(seen, `replaces the committed entry ${index}`);
      const termBefore = previous?.index === index - 1 ? previous.term : undefined;
      previous = entry;
      const place = `${index}/${term}`;
      const hash = crc32(data);
      const other = known.get(place);
      if (other === undefined) {
        known.set(place, { hash, termBefore });
        continue;
      }
      if (other.hash !== hash) this.#violated(seen, `has another entry ${index} of term ${term}`);
      other.termBefore ??= termBefore;
      if (termBefore !== undefined && other.termBefore !== termBefore)
        this.#violated(seen, `has entry ${index} of term ${term} after one of ${termBefore}, not ${other.termBefore}`);
    }
  }

  #checkLeader(seen: WatchedReplica, { softState, syncPoint }: Ready, facts: ShardFacts): void {
    if (softState?.role !== 'leader') return;
    const { leaders, committed, committedTerms } = facts;
    const { term } = softState;
    const other = leaders.get(term) ?? seen.replica;
    leaders.set(term, other);
    if (other !== seen.replica) this.#violated(seen, `leads in term ${term}, which replica ${other} led`);
    for (const [earlier, index] of committed) {
      if (earlier >= term) continue;
      if (syncPoint.lastIndex < index)
        this.#violated(seen, `leads in term ${term} with entries to ${syncPoint.lastIndex} of ${index} committed`);
      const [has, wanted] = [facts.termAt(index, syncPoint), committedTerms.get(index)];
      if (has !== undefined && wanted !== undefined && has !== wanted)
        this.#violated(seen, `leads in term ${term} with entry ${index} of term ${has}, not ${wanted} as committed`);
    }
  }

  #checkCommitted(seen: WatchedReplica, { syncPoint, commitIndex }: Ready, facts: ShardFacts): void {
    const { committed, committedTerms } = facts;
    const { term } = syncPoint;
    committed.set(term, Math.max(committed.get(term) ?? 0, commitIndex));
    if (commitIndex <= (seen.last?.commitIndex ?? 0)) return;
    const has = facts.termAt(commitIndex, syncPoint);
    if (has === undefined) return;
    const other = committedTerms.get(commitIndex) ?? has;
    committedTerms.set(commitIndex, other);
    if (other !== has) this.#violated(seen, `takes entry ${commitIndex} of term ${has} for committed, not ${other}`);
  }

  #durableOn({ disk }: WatchedReplica): Map<string, HardState> {
    let durable = this.#durable.get(disk);
    if (durable === undefined) this.#durable.set(disk, (durable = new Map<string, HardState>()));
    return durable;
  }

  #factsOf(shard: ShardId): ShardFacts {
    let facts = this.#shards.get(shard);
    if (facts === undefined) this.#shards.set(shard, (facts = new ShardFacts()));
    return facts;
  }

  #violated({ shard, replica }: WatchedReplica, what: string): void {
    this.violations.push(`replica ${replica} of shard ${shard} ${what}`);
  }
}
