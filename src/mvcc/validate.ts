/** What makes a request invalid, whatever the state: looked at where requests come in, and trusted from there on. */
import { compareBytes } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import type { Limits } from '../base/limits.js';
import { sessionBytes } from './keyspace.js';
import type { Condition, Operation, RequestId } from './operations.js';

export type OperationLimits = Pick<Limits, 'keyBytesMax' | 'valueBytesMax'>;

/** The bounds of a scan as a client gives them. */
export interface ScanBounds {
  /** First key, included; empty is from the first key on. */
  readonly start: Uint8Array;
  /** First key beyond; empty is to the last key. */
  readonly end: Uint8Array;
  /** Most records wanted; 0 is no limit. */
  readonly limit: number;
}

/** Undefined when the operation is valid, otherwise an INVALID_ARGUMENT error that names the limit and the value. */
export function validateOperation(operation: Operation, limits: OperationLimits): QuorateError | undefined {
  const keyError = validateKey(operation.key, limits);
  if (keyError !== undefined || operation.type === 'get') return keyError;
  if (operation.type === 'put' && operation.value.length > limits.valueBytesMax) {
    return tooLong('value', operation.value, 'valueBytesMax', limits.valueBytesMax);
  }
  return validateCondition(operation.condition, limits) ?? validateRequestId(operation.requestId);
}

/** As {@link validateOperation}, for a scan. */
export function validateScan(bounds: ScanBounds, limits: OperationLimits): QuorateError | undefined {
  const { start, end, limit } = bounds;
  // A bound may be one byte longer than a key: the successor of the longest key.
  if (start.length > limits.keyBytesMax + 1) return tooLong('scan start', start, 'keyBytesMax', limits.keyBytesMax);
  if (end.length > limits.keyBytesMax + 1) return tooLong('scan end', end, 'keyBytesMax', limits.keyBytesMax);
  if (end.length > 0 && compareBytes(start, end) > 0) return invalid('the end of the scan is before its start');
  if (!Number.isSafeInteger(limit) || limit < 0) return invalid(`limit must be 0 or more, got ${limit}`);
  return undefined;
}

function validateKey(key: Uint8Array, limits: OperationLimits): QuorateError | undefined {
  if (key.length === 0) return invalid('the key is empty');
  if (key.length > limits.keyBytesMax) return tooLong('key', key, 'keyBytesMax', limits.keyBytesMax);
  return undefined;
}

function validateCondition(condition: Condition, limits: OperationLimits): QuorateError | undefined {
  if (condition.type === 'versionEquals' && !(Number.isSafeInteger(condition.version) && condition.version > 0)) {
    return invalid(`a condition's version must be above 0, got ${condition.version}; use "absent" for no version`);
  }
  if (condition.type === 'valueEquals' && condition.value.length > limits.valueBytesMax) {
    return tooLong("condition's value", condition.value, 'valueBytesMax', limits.valueBytesMax);
  }
  return undefined;
}

function validateRequestId({ session, seq }: RequestId): QuorateError | undefined {
  if (session.length !== sessionBytes) {
    return invalid(`a request id's session must have ${sessionBytes} bytes, got ${session.length}`);
  }
  if (!Number.isSafeInteger(seq) || seq < 0) {
    return invalid(`a request id's seq must be a whole number from 0 to 2^53 - 1, got ${seq}`);
  }
  return undefined;
}

function tooLong(what: string, bytes: Uint8Array, limitName: string, limit: number): QuorateError {
  return invalid(`the ${what} has ${bytes.length} bytes, more than ${limitName}, which is ${limit}`);
}

function invalid(message: string): QuorateError {
  return new QuorateError('INVALID_ARGUMENT', message);
}
