import { LogIndex, Term } from '../../src/base/ids.js';
import type { Prng } from '../../src/base/prng.js';
import type { Entry, HardState } from '../../src/raft/types.js';
import { entries, hardState, type GroupContent, type Operation } from './support.js';

/** The obvious twin of the shared log: an array and a few numbers for each group, no disk. */
export class NaiveLog {
  readonly #groups = new Map<number, { base: number; baseTerm: number; entries: Entry[]; hardState: HardState }>();

  content(shard: number): GroupContent {
    const group = this.#group(shard);
    return {
      firstIndex: group.base + 1,
      baseTerm: group.baseTerm,
      entries: group.entries.slice(),
      hardState: group.hardState,
    };
  }

  /** As it is after a restart: what was dropped counts as committed. */
  recovered(shard: number): GroupContent {
    const content = this.content(shard);
    const commit = LogIndex(Math.max(content.hardState.commit, content.firstIndex - 1));
    return { ...content, hardState: { ...content.hardState, commit } };
  }

  apply(operation: Operation): void {
    const group = this.#group(operation.shard);
    switch (operation.type) {
      case 'append':
        if (operation.hardState !== undefined) group.hardState = operation.hardState;
        if (operation.entries.length > 0) group.entries.length = operation.entries[0].index - group.base - 1;
        group.entries.push(...operation.entries);
        return;
      case 'commit':
        group.hardState = operation.hardState;
        return;
      case 'drop':
        this.#groups.delete(operation.shard);
        return;
      case 'truncate': {
        if (operation.index <= group.base) return;
        const kept = group.entries.findIndex((e) => e.index === operation.index && e.term === operation.term);
        group.entries = kept < 0 ? [] : group.entries.slice(kept + 1);
        group.base = operation.index;
        group.baseTerm = operation.term;
        return;
      }
    }
  }

  /** An operation that Raft could ask for in this state. */
  next(random: Prng, shard: number): Operation {
    const group = this.#group(shard);
    const last = group.base + group.entries.length;
    const lastTerm = group.entries.at(-1)?.term ?? group.baseTerm;
    const dice = random.float();
    if (dice < 0.12 && group.entries.length > 0) {
      const index = random.int(group.base + 1, last);
      return { type: 'truncate', shard, index, term: group.entries[index - group.base - 1].term };
    }
    if (dice < 0.17) {
      // Another log takes the place of this one: a Raft snapshot was installed.
      return { type: 'truncate', shard, index: random.int(group.base + 1, last + 5), term: lastTerm + 1 };
    }
    if (dice < 0.19) return { type: 'drop', shard };
    if (dice < 0.3) {
      return {
        type: 'commit',
        shard,
        hardState: { ...group.hardState, commit: LogIndex(random.int(group.base, last)) },
      };
    }
    const isConflict = random.chance(0.2) && group.entries.length > 0;
    const first = isConflict ? random.int(group.base + 1, last) : last + 1;
    const term = Math.max(1, lastTerm + (isConflict || random.chance(0.1) ? 1 : 0));
    const added = entries(first, random.int(isConflict ? 1 : 0, 4), term, random.int(0, 60));
    if (added.length > 0 && random.chance(0.7)) return { type: 'append', shard, entries: added };
    const state = hardState(term, random.int(0, 3), group.hardState.commit);
    return { type: 'append', shard, entries: added, hardState: state };
  }

  #group(shard: number): { base: number; baseTerm: number; entries: Entry[]; hardState: HardState } {
    let group = this.#groups.get(shard);
    if (group === undefined) {
      group = { base: 0, baseTerm: Term(0), entries: [], hardState: hardState(0, 0, 0) };
      this.#groups.set(shard, group);
    }
    return group;
  }
}
