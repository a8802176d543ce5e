/** What makes a request invalid, whatever the state: looked at where requests come in, and trusted from there on. */
import { compareBytes, mapKey } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import type { Limits } from '../base/limits.js';
import { sessionBytes } from './keyspace.js';
import { entryBytes } from './operation-bytes.js';
import type { AtomicBatch, AtomicOperation, Condition, KeyWrite, Operation, RequestId } from './operations.js';

export type OperationLimits = Pick<Limits, 'keyBytesMax' | 'valueBytesMax' | 'batchOperationsMax' | 'entryBytesMax'>;

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
  if (operation.type === 'get') return validateKey(operation.key, limits);
  if (operation.type === 'atomicBatch') return validateBatch(operation, limits);
  return validateWrite(operation, limits) ?? validateRequestId(operation.requestId);
}

/** As {@link validateOperation}. What is wrong with one of its operations names its index. */
function validateBatch(batch: AtomicBatch, limits: OperationLimits): QuorateError | undefined {
  const { operations, requestId } = batch;
  const { batchOperationsMax, entryBytesMax } = limits;
  if (operations.length === 0) return invalid('an atomic batch has no operations');
  if (operations.length > batchOperationsMax) {
    return invalid(
      `an atomic batch has ${operations.length} operations, more than batchOperationsMax, which is ${batchOperationsMax}`,
    );
  }
  const indexes = new Map<string, number>();
  for (let i = 0; i < operations.length; i++) {
    const operation = operations[i];
    const error = validateWrite(operation, limits);
    if (error !== undefined) return invalid(`operations[${i}]: ${error.message}`);
    if (operation.type === 'check' && operation.condition.type === 'none') {
      return invalid(`operations[${i}]: a check has no condition`);
    }
    const asMapKey = mapKey(operation.key);
    const before = indexes.get(asMapKey);
    if (before !== undefined) return invalid(`operations[${i}] has the key of operations[${before}]`);
    indexes.set(asMapKey, i);
  }
  const bytes = entryBytes(batch);
  if (bytes > entryBytesMax) {
    return invalid(
      `an atomic batch takes ${bytes} bytes in the log, more than entryBytesMax, which is ${entryBytesMax}`,
    );
  }
  return validateRequestId(requestId);
}

function validateWrite(write: KeyWrite | AtomicOperation, limits: OperationLimits): QuorateError | undefined {
  const keyError = validateKey(write.key, limits);
  if (keyError !== undefined) return keyError;
  if (write.type === 'put' && write.value.length > limits.valueBytesMax) {
    return tooLong('value', write.value, 'valueBytesMax', limits.valueBytesMax);
  }
  return validateCondition(write.condition, limits);
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
