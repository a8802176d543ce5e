/** What applying an entry does: a pure function of the entry and of the shard as it is at that entry. */
import { QuorateError } from '../base/errors.js';
import type { LogIndex } from '../base/ids.js';
import type { Entry } from '../raft/types.js';
import type { ShardDescriptor, ShardEpoch } from './descriptor.js';
import { decodeEntry } from './entry-format.js';
import type { GroupDescriptor } from './group-descriptor.js';

export type EntryEffect =
  /** A leader's first entry. */
  | { readonly type: 'nothing' }
  | { readonly type: 'write'; readonly batch: Uint8Array }
  /** It was evaluated for a shard that has changed since. */
  | { readonly type: 'refused'; readonly error: QuorateError }
  | { readonly type: 'truncateLog'; readonly upTo: LogIndex }
  | { readonly type: 'changeGroup'; readonly descriptor: GroupDescriptor };

/** Throws DecodeError. */
export function effectOf({ data }: Entry, { shard, epoch }: ShardDescriptor): EntryEffect {
  if (data.length === 0) return { type: 'nothing' };
  const content = decodeEntry(data);
  if (content.type === 'truncateLog') return content;
  if (content.type === 'changeGroup' && isNext(content.descriptor.epoch, epoch)) return content;
  if (content.type === 'effects' && content.epoch.range === epoch.range) return { type: 'write', batch: content.batch };
  const message = `shard ${shard} has changed its range or members`;
  return { type: 'refused', error: new QuorateError('EPOCH_MISMATCH', message, { shard }) };
}

function isNext(next: ShardEpoch, epoch: ShardEpoch): boolean {
  return next.range === epoch.range && next.membership === epoch.membership + 1;
}
