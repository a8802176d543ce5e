/**
 * What is remembered of every write that got a definite answer: under its request id, at its version, what became of
 * it, and a fingerprint of the whole operation, so that an id that is used again for something else is noticed
 * (docs/protocol/request-ids.md).
 */
import { crc32 } from '../base/checksum.js';
import { ByteReader, ByteWriter, DecodeError, putU32, putU53 } from '../base/coding.js';
import { Timestamp } from '../base/ids.js';
import type { AtomicBatch, AtomicOperation, KeyWrite, WriteOperation } from './operations.js';

export type RequestOutcome =
  | { readonly type: 'written' }
  | { readonly type: 'nothingDeleted' }
  /** `metVersion` is the version of the value that the condition met; 0 when the key was absent. */
  | { readonly type: 'conditionFailed'; readonly metVersion: Timestamp }
  /** Of an atomic batch: the same for each operation whose condition failed, in the order of their indexes. */
  | { readonly type: 'conditionsFailed'; readonly failures: readonly RecordedFailure[] };

export interface RecordedFailure {
  readonly index: number;
  readonly metVersion: Timestamp;
}

export interface RequestRecord {
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
  const header = headerOf(operation);
  let crc = crc32(key, crc32(header));
  if (operation.type === 'put') crc = crc32(operation.value, crc);
  if (condition.type === 'valueEquals') crc = crc32(condition.value, crc);
  return crc;
}

/** Of all operations in one piece: as many calls of native code as bytes would cost more. */
function batchFingerprint({ operations }: AtomicBatch): number {
  const writer = new ByteWriter(1024).u8(operationCode.atomicBatch);
  for (const operation of operations) {
    writer.raw(headerOf(operation)).raw(operation.key);
    if (operation.type === 'put') writer.raw(operation.value);
    if (operation.condition.type === 'valueEquals')
      writer.varint(operation.condition.value.length).raw(operation.condition.value);
  }
  return crc32(writer.view());
}

function headerOf(operation: KeyWrite | AtomicOperation): Uint8Array {
  const { key, condition } = operation;
  const header = new Uint8Array(headerBytes);
  header[0] = operationCode[operation.type];
  header[1] = conditionCode[condition.type];
  putU32(header, 2, key.length);
  putU32(header, 6, operation.type === 'put' ? operation.value.length : 0);
  putU53(header, 10, condition.type === 'versionEquals' ? condition.version : 0);
  return header;
}

export function encodeRequestRecord({ fingerprint, outcome }: RequestRecord): Uint8Array {
  const writer = new ByteWriter(13).u32(fingerprint).u8(outcomeCode[outcome.type]);
  if (outcome.type === 'conditionFailed') writer.u53(outcome.metVersion);
  if (outcome.type === 'conditionsFailed') {
    writer.varint(outcome.failures.length);
    for (const { index, metVersion } of outcome.failures) writer.varint(index).u53(metVersion);
  }
  return writer.finish();
}

/** Throws a DecodeError where the bytes are not a request record. */
export function decodeRequestRecord(value: Uint8Array): RequestRecord {
  const reader = new ByteReader(value);
  const record = { fingerprint: reader.u32(), outcome: readOutcome(reader) };
  reader.end();
  return record;
}

function readOutcome(reader: ByteReader): RequestOutcome {
  const code = reader.u8();
  switch (code) {
    case outcomeCode.written:
      return { type: 'written' };
    case outcomeCode.nothingDeleted:
      return { type: 'nothingDeleted' };
    case outcomeCode.conditionFailed:
      return { type: 'conditionFailed', metVersion: Timestamp(reader.u53()) };
    case outcomeCode.conditionsFailed:
      return { type: 'conditionsFailed', failures: readFailures(reader) };
    default:
      throw new DecodeError(`a request record with the unknown outcome ${code}`);
  }
}

function readFailures(reader: ByteReader): RecordedFailure[] {
  const count = reader.varint();
  if (count === 0 || count > reader.remaining / 9)
    throw new DecodeError(`${count} failed conditions in a request record`);
  const failures: RecordedFailure[] = [];
  let next = 0;
  for (let i = 0; i < count; i++) {
    const index = reader.varint();
    if (index < next) throw new DecodeError(`failed conditions out of order: ${index} after ${next - 1}`);
    failures.push({ index, metVersion: Timestamp(reader.u53()) });
    next = index + 1;
  }
  return failures;
}
