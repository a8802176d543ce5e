/**
 * What is remembered of every write that got a definite answer: under its request id, at its version, what became of
 * it, and a fingerprint of the whole operation, so that an id that is used again for something else is noticed
 * (docs/protocol/request-ids.md).
 */
import { crc32 } from '../base/checksum.js';
import { ByteReader, ByteWriter, DecodeError, putU32, putU53 } from '../base/coding.js';
import { Timestamp } from '../base/ids.js';
import type { WriteOperation } from './operations.js';

export type RequestOutcome =
  | { readonly type: 'written' }
  | { readonly type: 'nothingDeleted' }
  /** `metVersion` is the version of the value that the condition met; 0 when the key was absent. */
  | { readonly type: 'conditionFailed'; readonly metVersion: Timestamp };

export interface RequestRecord {
  readonly fingerprint: number;
  readonly outcome: RequestOutcome;
}

/** Stable codes: they go into fingerprints and records on disk. */
const operationCode = { put: 1, delete: 2 } as const;
const conditionCode = { none: 0, absent: 1, versionEquals: 2, valueEquals: 3 } as const;
const outcomeCode = { written: 0, nothingDeleted: 1, conditionFailed: 2 } as const;

/** CRC-32 of type, condition, key and value; guards against mistakes of a client, not against forgery. */
export function fingerprint(operation: WriteOperation): number {
  const { key, condition } = operation;
  const header = new Uint8Array(18);
  header[0] = operationCode[operation.type];
  header[1] = conditionCode[condition.type];
  putU32(header, 2, key.length);
  putU32(header, 6, operation.type === 'put' ? operation.value.length : 0);
  putU53(header, 10, condition.type === 'versionEquals' ? condition.version : 0);
  let crc = crc32(key, crc32(header));
  if (operation.type === 'put') crc = crc32(operation.value, crc);
  if (condition.type === 'valueEquals') crc = crc32(condition.value, crc);
  return crc;
}

export function encodeRequestRecord({ fingerprint, outcome }: RequestRecord): Uint8Array {
  const writer = new ByteWriter(13).u32(fingerprint).u8(outcomeCode[outcome.type]);
  if (outcome.type === 'conditionFailed') writer.u53(outcome.metVersion);
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
    default:
      throw new DecodeError(`a request record with the unknown outcome ${code}`);
  }
}
