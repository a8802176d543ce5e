/** What applying an entry does: a pure function of the entry and of the shard as it is at that entry. */
import { QuorateError } from '../base/errors.js';
import type { LogIndex } from '../base/ids.js';
import type { Entry } from '../raft/types.js';
import { sameEpoch } from './descriptor.js';
import type { ShardDescriptor } from './descriptor.js';
import { decodeEntry } from './entry-format.js';

export type EntryEffect =
  /** A leader's first entry. */
  | { readonly type: 'nothing' }
  | { readonly type: 'write'; readonly batch: Uint8Array }
  /** It was evaluated for a shard that has changed since. */
  | { readonly type: 'refused'; readonly error: QuorateError }
  | { readonly type: 'truncateLog'; readonly upTo: LogIndex };

/** Throws DecodeError. */
export function effectOf({ data }: Entry, { shard, epoch }: ShardDescriptor): EntryEffect {
  if (data.length === 0) return { type: 'nothing' };
  const content = decodeEntry(data);
  if (content.type === 'truncateLog') return content;
  if (sameEpoch(content.epoch, epoch)) return { type: 'write', batch: content.batch };
  const message = `shard ${shard} has changed its range or members`;
  return { type: 'refused', error: new QuorateError('EPOCH_MISMATCH', message, { shard }) };
}
