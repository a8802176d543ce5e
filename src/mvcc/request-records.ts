/**
 * What is remembered of every write that got a definite answer: its version, what became of it, and a fingerprint of the
 * whole operation, so that an id that is used again for something else is noticed (docs/protocol/request-ids.md). Records of
 * requests that follow each other are in one value, a bucket, one after the other (docs/formats/keyspace.md).
 */
import { assert } from '../base/assert.js';
import { emptyBytes } from '../base/bytes.js';
import { crc32 } from '../base/checksum.js';
import { ByteWriter, DecodeError, getU32, getU53, putU32, putU53 } from '../base/coding.js';
import { Timestamp } from '../base/ids.js';
import { requestsPerBucket } from './keyspace.js';
import { payloadBytes } from './operation-bytes.js';
import type { AtomicBatch, AtomicOperation, KeyWrite, WriteOperation } from './operations.js';

export type RequestOutcome =
  | { readonly type: 'written' }
  | { readonly type: 'nothingDeleted' }
  /** `metVersion` is the version of the value that the condition met; 0 when the key was absent. */
  | { readonly type: 'conditionFailed'; readonly metVersion: Timestamp }
  /** Of an atomic batch: which they were is stored beside its bucket, since they may be many (failed-conditions.ts). */
  | { readonly type: 'conditionsFailed' };

export interface RequestRecord {
  /** Of the write; where it changed nothing, the one that it would have had. */
  readonly version: Timestamp;
  readonly fingerprint: number;
  readonly outcome: RequestOutcome;
}

/** Stable codes: they go into fingerprints and records on disk. */
const operationCode = { put: 1, delete: 2, check: 3, atomicBatch: 4 } as const;
const conditionCode = { none: 0, absent: 1, versionEquals: 2, valueEquals: 3 } as const;
const outcomeCode = { written: 0, nothingDeleted: 1, conditionFailed: 2, conditionsFailed: 3 } as const;

const headerBytes = 18;

/** CRC-32 of type, condition, key and value; guards against mistakes of a client, not against forgery. */
export function fingerprint(operation: WriteOperation): number {
  if (operation.type === 'atomicBatch') return batchFingerprint(operation);
  const { key, condition } = operation;
  let crc = crc32(key, crc32(headerOf(operation)));
  if (operation.type === 'put') crc = crc32(operation.value, crc);
  if (condition.type === 'valueEquals') crc = crc32(condition.value, crc);
  return crc;
}

/** Of all operations in one piece: as many calls of native code as bytes would cost more. */
function batchFingerprint(batch: AtomicBatch): number {
  const writer = new ByteWriter(payloadBytes(batch)).u8(operationCode.atomicBatch);
  for (const operation of batch.operations) {
    writer.raw(headerOf(operation)).raw(operation.key);
    if (operation.type === 'put') writer.raw(operation.value);
    if (operation.condition.type === 'valueEquals')
      writer.varint(operation.condition.value.length).raw(operation.condition.value);
  }
  return crc32(writer.view());
}

const header = new Uint8Array(headerBytes);

/** Good until the next call. */
function headerOf(operation: KeyWrite | AtomicOperation): Uint8Array {
  const { key, condition } = operation;
  header[0] = operationCode[operation.type];
  header[1] = conditionCode[condition.type];
  putU32(header, 2, key.length);
  putU32(header, 6, operation.type === 'put' ? operation.value.length : 0);
  putU53(header, 10, condition.type === 'versionEquals' ? condition.version : 0);
  return header;
}

/** Position in the bucket, outcome, fingerprint, version; and for a failed condition the version that it met. */
const fingerprintAt = 2;
const versionAt = 6;
const metVersionAt = 14;
const recordBytes = 14;
const failedRecordBytes = 22;
export const bucketBytesMax = requestsPerBucket * failedRecordBytes;

/** The records of a bucket: what was stored, and what is added to it. Leaves what it was given as it is. */
export class RequestBucket {
  #bytes: Uint8Array;
  #length: number;
  #isOwned = false;

  constructor(stored: Uint8Array = emptyBytes) {
    this.#bytes = stored;
    this.#length = stored.length;
  }

  /** Its records one after the other. A view, good for ever: they are only added to. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** The record of the request `seq` of the session. Throws a DecodeError where the bytes are no records. */
  find(seq: number): RequestRecord | undefined {
    const position = seq % requestsPerBucket;
    for (let at = 0; at < this.#length; at = this.#endOf(at)) {
      if (this.#bytes[at] === position) return this.#decode(at);
    }
    return undefined;
  }

  /** Positions of the requests that were atomic batches whose conditions failed. Throws as {@link find}. */
  get refusedBatches(): number[] {
    const positions: number[] = [];
    for (let at = 0; at < this.#length; at = this.#endOf(at)) {
      if (this.#bytes[at + 1] === outcomeCode.conditionsFailed) positions.push(this.#bytes[at]);
    }
    return positions;
  }

  #decode(at: number): RequestRecord {
    this.#endOf(at);
    return decodeRecord(this.#bytes, at);
  }

  #endOf(at: number): number {
    if (at + recordBytes > this.#length) throw new DecodeError('a request record that is cut');
    const end = at + lengthOf(this.#bytes[at + 1]);
    if (end > this.#length || this.#bytes[at] >= requestsPerBucket) throw new DecodeError('a damaged request record');
    return end;
  }

  /** The record of a request that has none yet. */
  add(seq: number, { version, fingerprint, outcome }: RequestRecord): void {
    const code = outcomeCode[outcome.type];
    this.#own();
    const bytes = this.#bytes;
    const at = this.#length;
    assert(at + lengthOf(code) <= bytes.length, 'a bucket has more request records than it has positions');
    bytes[at] = seq % requestsPerBucket;
    bytes[at + 1] = code;
    putU32(bytes, at + fingerprintAt, fingerprint);
    putU53(bytes, at + versionAt, version);
    if (outcome.type === 'conditionFailed') putU53(bytes, at + metVersionAt, outcome.metVersion);
    this.#length = at + lengthOf(code);
  }

  #own(): void {
    if (this.#isOwned) return;
    const owned = new Uint8Array(bucketBytesMax);
    owned.set(this.bytes);
    this.#bytes = owned;
    this.#isOwned = true;
  }
}

function lengthOf(code: number): number {
  if (code > outcomeCode.conditionsFailed) {
    throw new DecodeError(`a request record with the unknown outcome ${code}`);
  }
  return code === outcomeCode.conditionFailed ? failedRecordBytes : recordBytes;
}

function decodeRecord(bytes: Uint8Array, at: number): RequestRecord {
  return {
    version: Timestamp(getU53(bytes, at + versionAt)),
    fingerprint: getU32(bytes, at + fingerprintAt),
    outcome: decodeOutcome(bytes, at),
  };
}

/** The code is known, or {@link lengthOf} had thrown. */
function decodeOutcome(bytes: Uint8Array, at: number): RequestOutcome {
  const code = bytes[at + 1];
  if (code === outcomeCode.written) return { type: 'written' };
  if (code === outcomeCode.nothingDeleted) return { type: 'nothingDeleted' };
  if (code === outcomeCode.conditionsFailed) return { type: 'conditionsFailed' };
  return { type: 'conditionFailed', metVersion: Timestamp(getU53(bytes, at + metVersionAt)) };
}
