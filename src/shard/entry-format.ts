/** What Quorate puts into the data of a Raft entry. Byte-exact form: docs/formats/raft-entry.md. */
import { ByteReader, ByteWriter, DecodeError } from '../base/coding.js';
import { LogIndex } from '../base/ids.js';
import { unreachable } from '../base/assert.js';
import type { ShardEpoch } from './descriptor.js';
import { decodeGroupDescriptor, encodeGroupDescriptor, type GroupDescriptor } from './group-descriptor.js';

export type ShardEntry =
  /** The effects of operations, evaluated by the leader under `epoch`. Refused when the epoch has changed since. */
  | { readonly type: 'effects'; readonly epoch: ShardEpoch; readonly batch: Uint8Array }
  /** Nobody needs these entries, but for those who are to get a Raft snapshot: logs may drop them up to here as soon as their own tree has them. */
  | { readonly type: 'truncateLog'; readonly upTo: LogIndex }
  /** The group as it is from here on. Refused unless it follows the epoch that the shard has. */
  | { readonly type: 'changeGroup'; readonly descriptor: GroupDescriptor };

const entryTypes = { effects: 1, truncateLog: 2, changeGroup: 3 } as const;

/** Bytes that the envelope adds to a batch, at most. */
export const entryOverheadBytes = 24;

export function encodeEntry(entry: ShardEntry): Uint8Array {
  switch (entry.type) {
    case 'effects': {
      const writer = new ByteWriter(entry.batch.length + entryOverheadBytes);
      writer.u8(entryTypes.effects).varint(entry.epoch.membership).varint(entry.epoch.range).raw(entry.batch);
      return writer.view();
    }
    case 'truncateLog':
      return new ByteWriter(entryOverheadBytes).u8(entryTypes.truncateLog).varint(entry.upTo).view();
    case 'changeGroup':
      return new ByteWriter().u8(entryTypes.changeGroup).raw(encodeGroupDescriptor(entry.descriptor)).view();
    default:
      return unreachable(entry);
  }
}

/** Whether it is a `changeGroup`, without decoding it. */
export function isGroupChange(data: Uint8Array): boolean {
  return data.length > 0 && data[0] === entryTypes.changeGroup;
}

/** The batch is a view of `data`. */
export function decodeEntry(data: Uint8Array): ShardEntry {
  const reader = new ByteReader(data);
  const type = reader.u8();
  switch (type) {
    case entryTypes.effects: {
      const epoch = { membership: reader.varint(), range: reader.varint() };
      return { type: 'effects', epoch, batch: reader.raw(reader.remaining) };
    }
    case entryTypes.truncateLog: {
      const upTo = LogIndex(reader.varint());
      reader.end();
      return { type: 'truncateLog', upTo };
    }
    case entryTypes.changeGroup:
      return { type: 'changeGroup', descriptor: decodeGroupDescriptor(reader.raw(reader.remaining)) };
    default:
      throw new DecodeError(`entry of unknown type ${type}`);
  }
}
