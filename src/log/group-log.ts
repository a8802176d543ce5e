import type { LogIndex, ShardId, Term } from '../base/ids.js';
import type { Entry, HardState, LogView } from '../raft/types.js';
import type { EntriesPlace } from './entry-places.js';
import type { GroupState } from './group-state.js';
import type { TruncationType } from './record.js';

/** What a group's log needs of the log of the node. */
export interface GroupLogHost {
  readEntries(places: readonly EntriesPlace[], bytesMax: number): Promise<Entry[]>;
  /** The group's prefix was truncated: to be recorded. */
  truncated(group: GroupState, type: TruncationType): void;
  /** Whether the segment is of the older half of the log. */
  isOld(segment: number): boolean;
}

/** One Raft group's part of the {@link SharedLog}, as its replica reads it; written through `SharedLog.append`. */
export class GroupLog implements LogView {
  readonly #state: GroupState;
  readonly #host: GroupLogHost;

  constructor(state: GroupState, host: GroupLogHost) {
    this.#state = state;
    this.#host = host;
  }

  get id(): ShardId {
    return this.#state.id;
  }

  /** The newest that was handed over; after a restart the newest durable one. Term, vote and commit 0 at first. */
  get hardState(): HardState {
    return this.#state.hardState;
  }

  get firstIndex(): LogIndex {
    return this.#state.firstIndex;
  }

  get lastIndex(): LogIndex {
    return this.#state.lastIndex;
  }

  /** That its entries take on disk. */
  get bytes(): number {
    return this.#state.bytes;
  }

  /** Whether an entry lies in the older half of the node's log: the group is one of those that keep it long. */
  get keepsLogLong(): boolean {
    const segment = this.#state.oldestSegment;
    return segment !== undefined && this.#host.isOld(segment);
  }

  term(index: LogIndex): Term | undefined {
    return this.#state.term(index);
  }

  entries(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] | undefined {
    return this.#state.entries(from, to, bytesMax);
  }

  /**
   * Entries `from` … `to` (both included, both present) as they are at the call, from memory or disk; fewer when
   * they have more than about `bytesMax` bytes of data, but at least one. Rejects with a CorruptionError when what
   * is on disk is damaged, and with a DiskError.
   */
  async read(from: LogIndex, to: LogIndex, bytesMax: number): Promise<readonly Entry[]> {
    const { places, cached } = this.#state.planRead(from, to, bytesMax);
    if (places.length === 0) return cached;
    const entries = await this.#host.readEntries(places, bytesMax);
    const isCut = entries[entries.length - 1].index < places[places.length - 1].last;
    if (isCut) return entries;
    let bytes = 0;
    for (const entry of entries) bytes += entry.data.length;
    for (const entry of cached) {
      bytes += entry.data.length;
      if (bytes > bytesMax) break;
      entries.push(entry);
    }
    return entries;
  }

  /**
   * Entries up to `upTo` (of term `termAtUpTo`) are not needed by anyone; segments that no group needs are deleted
   * some time later. Beyond `lastIndex`, or where the term differs, the whole log gives way to one that begins after
   * `upTo`. No effect when they were dropped already.
   */
  truncatePrefix(upTo: LogIndex, termAtUpTo: Term): void {
    const type = this.#state.truncatePrefix(upTo, termAtUpTo);
    if (type !== undefined) this.#host.truncated(this.#state, type);
  }
}
