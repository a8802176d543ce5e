/** Decodes what segment-writer.ts encodes. Pure; `data` of decoded entries are views of the given bytes. */
import { maskedCrc32 } from '../base/checksum.js';
import { ByteReader, DecodeError, getU32, getU53 } from '../base/coding.js';
import { LogIndex, ReplicaId, ShardId, Term } from '../base/ids.js';
import type { Entry } from '../raft/types.js';
import type { LogRecord, RecordPlace } from './record.js';
import { batchHeaderAt, batchHeaderBytes, recordHeaderBytes, recordTypes } from './segment-format.js';

export interface PlacedRecord {
  readonly record: LogRecord;
  readonly place: RecordPlace;
}

/** What lies where a batch is expected. Offsets are in the file. */
export type BatchFound =
  /** `end` is where the next batch is expected. */
  | { readonly type: 'batch'; readonly records: readonly PlacedRecord[]; readonly end: number }
  /** Torn, damaged, or never written. What lies from `resumeAt` on belongs to later batches, if to any. */
  | { readonly type: 'invalid'; readonly offset: number; readonly reason: string; readonly resumeAt: number };

/** @param bytes the whole segment */
export function readBatch(
  bytes: Uint8Array,
  expected: { readonly segment: number; readonly offset: number; readonly sequence: number },
): BatchFound {
  const { segment, offset, sequence } = expected;
  const header = batchHeaderAt(bytes, offset, segment);
  if (header?.sequence !== sequence || header.bodyBytes === 0) {
    return { type: 'invalid', offset, reason: `batch ${sequence} does not begin here`, resumeAt: offset };
  }
  const end = offset + batchHeaderBytes + header.bodyBytes;
  const records: PlacedRecord[] = [];
  for (let at = offset + batchHeaderBytes; at < end;) {
    try {
      const found = readRecord(bytes.subarray(0, end), { segment, offset: at, windowOffset: 0 });
      records.push(found);
      at += found.place.bytes;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return { type: 'invalid', offset: at, reason: error.message, resumeAt: end };
    }
  }
  return { type: 'batch', records, end };
}

/**
 * The record at `offset` of a segment, of which `bytes` holds the part from `windowOffset` on.
 * Throws {@link DecodeError} unless it is whole and belongs there.
 */
export function readRecord(
  bytes: Uint8Array,
  at: { readonly segment: number; readonly offset: number; readonly windowOffset: number },
): PlacedRecord {
  const start = at.offset - at.windowOffset;
  if (start + recordHeaderBytes > bytes.length) throw new DecodeError('the record is cut short');
  const bodyBytes = getU32(bytes, start + 4);
  const end = start + recordHeaderBytes + bodyBytes;
  if (end > bytes.length) throw new DecodeError('the record is cut short');
  if (getU32(bytes, start) !== maskedCrc32(bytes.subarray(start + 4, end))) {
    throw new DecodeError('the checksum of the record does not match');
  }
  if (getU53(bytes, start + 8) !== at.segment || getU53(bytes, start + 16) !== at.offset) {
    throw new DecodeError('the record belongs to another place');
  }
  const body = new ByteReader(bytes, start + recordHeaderBytes, end);
  const record = decodeBody(body);
  body.end();
  return { record, place: { segment: at.segment, offset: at.offset, bytes: recordHeaderBytes + bodyBytes } };
}

function decodeBody(body: ByteReader): LogRecord {
  const type = body.u8();
  switch (type) {
    case recordTypes.entries:
    case recordTypes.rewritten: {
      const shard = ShardId(body.varint());
      const first = body.varint();
      const count = body.varint();
      if (first === 0 || count === 0) throw new DecodeError('a record without entries, or with an entry 0');
      const entries: Entry[] = [];
      for (let i = 0; i < count; i++) {
        entries.push({ index: LogIndex(first + i), term: Term(body.varint()), data: body.bytes() });
      }
      return { type: type === recordTypes.entries ? 'entries' : 'rewritten', shard, entries };
    }
    case recordTypes.hardState: {
      const shard = ShardId(body.varint());
      const term = Term(body.varint());
      const vote = body.varint();
      const commit = LogIndex(body.varint());
      return { type: 'hardState', shard, hardState: { term, vote: vote === 0 ? 0 : ReplicaId(vote), commit } };
    }
    case recordTypes.truncatePrefix:
    case recordTypes.reset: {
      const shard = ShardId(body.varint());
      const index = LogIndex(body.varint());
      const name = type === recordTypes.reset ? 'reset' : 'truncatePrefix';
      return { type: name, shard, index, term: Term(body.varint()) };
    }
    case recordTypes.dropGroup:
      return { type: 'dropGroup', shard: ShardId(body.varint()) };
    case recordTypes.firstSegment:
      return { type: 'firstSegment', segment: body.varint() };
    default:
      throw new DecodeError(`record type ${type} is unknown`);
  }
}
