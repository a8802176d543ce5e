import type { LogIndex, ShardId, Term } from '../base/ids.js';
import type { Entry, HardState } from '../raft/types.js';

/** `truncatePrefix` keeps the entries after the index; `reset` drops them too. */
export type TruncationType = 'truncatePrefix' | 'reset';

/** `entries` replace what the log has from the first one's index on, `rewritten` ones are what it has. */
export type EntriesType = 'entries' | 'rewritten';

/** What one record says. Records of one shard take effect in the order in which they lie in the log. */
export type LogRecord =
  /** Consecutive entries; they replace what the log has from the first index on. */
  | { readonly type: 'entries'; readonly shard: ShardId; readonly entries: readonly Entry[] }
  /** Entries that the log has, written again so that older segments can go; they replace nothing but where they lie. */
  | { readonly type: 'rewritten'; readonly shard: ShardId; readonly entries: readonly Entry[] }
  /** Replaces the earlier one. */
  | { readonly type: 'hardState'; readonly shard: ShardId; readonly hardState: HardState }
  /** The log begins after `index`, of which `term` is the term. */
  | { readonly type: TruncationType; readonly shard: ShardId; readonly index: LogIndex; readonly term: Term }
  /** The group is gone: nothing before counts, and another replica of the shard may begin anew after it. */
  | { readonly type: 'dropGroup'; readonly shard: ShardId }
  /** Segments before this one are not needed, and may be gone. */
  | { readonly type: 'firstSegment'; readonly segment: number };

/** Where a record lies: what it takes to read it again. */
export interface RecordPlace {
  readonly segment: number;
  /** Of its header in the file. */
  readonly offset: number;
  /** With its header. */
  readonly bytes: number;
}
