/**
 * What is remembered of a write that took effect: under its request id, at its version, a fingerprint of the whole
 * operation, so that an id that is used again for something else is noticed (docs/protocol/request-ids.md).
 */
import { crc32 } from '../base/checksum.js';
import { DecodeError, getU32, putU32, putU53 } from '../base/coding.js';
import type { WriteOperation } from './operations.js';

/** Stable codes: they go into fingerprints on disk. */
const operationCode = { put: 1, delete: 2 } as const;
const conditionCode = { none: 0, absent: 1, versionEquals: 2, valueEquals: 3 } as const;

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
  if (operation.type === 'put') crc = extend(crc, operation.value);
  if (condition.type === 'valueEquals') crc = extend(crc, condition.value);
  return crc;
}

/** Node.js takes some empty arrays (those without memory behind them) as a wish to start again at 0. */
function extend(crc: number, bytes: Uint8Array): number {
  return bytes.length === 0 ? crc : crc32(bytes, crc);
}

export function encodeRequestRecord(operationFingerprint: number): Uint8Array {
  const value = new Uint8Array(4);
  putU32(value, 0, operationFingerprint);
  return value;
}

/** The fingerprint in a record. */
export function decodeRequestRecord(value: Uint8Array): number {
  if (value.length !== 4) throw new DecodeError(`a request record of ${value.length} bytes`);
  return getU32(value, 0);
}
