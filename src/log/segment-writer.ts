import { assert } from '../base/assert.js';
import { maskedCrc32 } from '../base/checksum.js';
import { ByteWriter } from '../base/coding.js';
import type { ShardId } from '../base/ids.js';
import type { Entry, HardState } from '../raft/types.js';
import type { EntriesType, LogRecord, RecordPlace, TruncationType } from './record.js';
import {
  batchHeaderBytes,
  putBatchHeader,
  recordHeaderBytes,
  recordTypes,
  type BatchHeader,
} from './segment-format.js';

/** A record of entries ends with the entry that reaches this many bytes: what a reader of one entry must fetch. */
const entriesRecordBytesMax = 256 * 1024;

/** A buffer that one large batch made this large is not kept for the next. */
const keptBufferBytesMax = 4 * 1024 * 1024;

/** Where and as what a batch is written. */
export type BatchPlace = Omit<BatchHeader, 'bodyBytes'>;

export interface PlacedEntries extends RecordPlace {
  /** Number of entries in the record. */
  readonly count: number;
}

/** Encodes one batch after another: `begin`, records, `finish`. Byte strings given to it are copied. */
export class BatchEncoder {
  #bytes = new ByteWriter(64 * 1024);
  #place: BatchPlace | undefined;

  begin(place: BatchPlace): void {
    assert(this.#place === undefined, 'the batch before was not finished');
    this.#place = place;
    if (this.#bytes.length > keptBufferBytesMax) this.#bytes = new ByteWriter(64 * 1024);
    this.#bytes.reset();
    this.#bytes.raw(new Uint8Array(batchHeaderBytes));
  }

  /** As many records as it takes; returns them in order. `entries` must not be empty. */
  entries(type: EntriesType, shard: ShardId, entries: readonly Entry[]): PlacedEntries[] {
    assert(entries.length > 0, 'a record without entries');
    const records: PlacedEntries[] = [];
    for (let from = 0; from < entries.length;) {
      let bytes = 0;
      let to = from;
      while (to < entries.length && bytes < entriesRecordBytesMax) bytes += entries[to++].data.length;
      const start = this.#beginRecord(recordTypes[type]);
      this.#bytes
        .varint(shard)
        .varint(entries[from].index)
        .varint(to - from);
      for (let i = from; i < to; i++) this.#bytes.varint(entries[i].term).bytes(entries[i].data);
      records.push({ ...this.#endRecord(start), count: to - from });
      from = to;
    }
    return records;
  }

  hardState(shard: ShardId, hardState: HardState): void {
    const start = this.#beginRecord(recordTypes.hardState);
    this.#bytes.varint(shard).varint(hardState.term).varint(hardState.vote).varint(hardState.commit);
    this.#endRecord(start);
  }

  truncation(record: Extract<LogRecord, { type: TruncationType }>): void {
    const start = this.#beginRecord(recordTypes[record.type]);
    this.#bytes.varint(record.shard).varint(record.index).varint(record.term);
    this.#endRecord(start);
  }

  dropGroup(shard: ShardId): void {
    const start = this.#beginRecord(recordTypes.dropGroup);
    this.#bytes.varint(shard);
    this.#endRecord(start);
  }

  firstSegment(segment: number): void {
    const start = this.#beginRecord(recordTypes.firstSegment);
    this.#bytes.varint(segment);
    this.#endRecord(start);
  }

  /** The whole batch; a view that is valid until the next `begin`. */
  finish(): Uint8Array {
    const batch = this.#bytes.view();
    putBatchHeader(batch, { ...this.#currentPlace(), bodyBytes: batch.length - batchHeaderBytes });
    this.#place = undefined;
    return batch;
  }

  #currentPlace(): BatchPlace {
    assert(this.#place !== undefined, 'no batch was begun');
    return this.#place;
  }

  #beginRecord(type: number): number {
    const start = this.#bytes.length;
    const { segment, offset } = this.#currentPlace();
    this.#bytes
      .u32(0)
      .u32(0)
      .u53(segment)
      .u53(offset + start)
      .u8(type);
    return start;
  }

  #endRecord(start: number): RecordPlace {
    const { segment, offset } = this.#currentPlace();
    const bytes = this.#bytes.length - start;
    this.#bytes.patchU32(start + 4, bytes - recordHeaderBytes);
    this.#bytes.patchU32(start, maskedCrc32(this.#bytes.view().subarray(start + 4)));
    return { segment, offset: offset + start, bytes };
  }
}

/** A batch header without records: proves that the batches before `place.sequence` are durable. */
export function encodeProof(place: BatchPlace): Uint8Array {
  const bytes = new Uint8Array(batchHeaderBytes);
  putBatchHeader(bytes, { ...place, bodyBytes: 0 });
  return bytes;
}
