/** From what a caller says to the operation that is sent. Pure; throws QuorateError (INVALID_ARGUMENT). */
import { isUint8Array } from 'node:util/types';
import { QuorateError } from '../base/errors.js';
import { Timestamp } from '../base/ids.js';
import type { AtomicBatch, Operation, RequestId } from '../rpc/public-types.js';
import { bytesOf, checkList, checkObject, choiceOf, flagOf, invalid, wholeNumberOf, wrong } from './arguments.js';
import {
  consistencies,
  type AtomicOperation,
  type BatchOperation,
  type Bytes,
  type ReadOptions,
  type WriteConditions,
} from './types.js';

type Put = Extract<Operation, { readonly type: 'put' }>;
type Delete = Extract<Operation, { readonly type: 'delete' }>;
type Get = Extract<Operation, { readonly type: 'get' }>;

interface WriteNaming {
  readonly requestId?: RequestId | undefined;
}

/** A name for a write that its caller did not name, by its key. */
export type NewRequestId = (key: Uint8Array) => RequestId;

const sessionBytes = 16;

export function getOperation(key: Bytes, options: Pick<ReadOptions, 'consistency'>): Get {
  return { type: 'get', key: bytesOf('key', key), consistency: consistencyOf(options) };
}

export function putOperation(
  key: Bytes,
  value: Bytes,
  options: WriteConditions & WriteNaming,
  newRequestId: NewRequestId,
): Put {
  const keyBytes = bytesOf('key', key);
  return {
    type: 'put',
    key: keyBytes,
    value: bytesOf('value', value),
    condition: conditionOf(options),
    requestId: requestIdOf(options, keyBytes, newRequestId),
  };
}

export function deleteOperation(
  key: Bytes,
  options: WriteConditions & WriteNaming,
  newRequestId: NewRequestId,
): Delete {
  const keyBytes = bytesOf('key', key);
  return {
    type: 'delete',
    key: keyBytes,
    condition: conditionOf(options),
    requestId: requestIdOf(options, keyBytes, newRequestId),
  };
}

/** An error names the operation by its position. */
export function batchOperations(operations: readonly BatchOperation[], newRequestId: NewRequestId): Operation[] {
  return eachOf(operations, (operation) => batchOperation(operation, newRequestId));
}

/** As {@link batchOperations}. */
export function atomicBatch(
  operations: readonly AtomicOperation[],
  naming: WriteNaming,
  newRequestId: NewRequestId,
): AtomicBatch {
  const built = eachOf(operations, atomicOperation);
  if (built.length === 0) throw invalid('an atomic batch has no operations');
  return { type: 'atomicBatch', operations: built, requestId: requestIdOf(naming, built[0].key, newRequestId) };
}

function eachOf<From, To>(operations: readonly From[], build: (operation: From) => To): To[] {
  checkList('operations', operations);
  return Array.from(operations, (operation, i) => {
    try {
      checkObject('an operation', operation);
      return build(operation);
    } catch (error) {
      throw error instanceof QuorateError ? invalid(`operations[${i}]: ${error.message}`) : error;
    }
  });
}

function atomicOperation(operation: AtomicOperation): AtomicBatch['operations'][number] {
  const key = bytesOf('key', operation.key);
  const condition = conditionOf(operation);
  switch (operation.type) {
    case 'put':
      return { type: 'put', key, value: bytesOf('value', operation.value), condition };
    case 'delete':
      return { type: 'delete', key, condition };
    case 'check':
      if (condition.type === 'none') throw invalid('a check takes one of ifAbsent, ifVersion and ifValue');
      return { type: 'check', key, condition };
    default:
      throw wrong('type', '"put", "delete" or "check"', (operation as { readonly type: unknown }).type);
  }
}

function batchOperation(operation: BatchOperation, newRequestId: NewRequestId): Operation {
  switch (operation.type) {
    case 'get':
      return getOperation(operation.key, operation);
    case 'put':
      return putOperation(operation.key, operation.value, operation, newRequestId);
    case 'delete':
      return deleteOperation(operation.key, operation, newRequestId);
    default:
      throw wrong('type', '"get", "put" or "delete"', (operation as { readonly type: unknown }).type);
  }
}

export function consistencyOf({ consistency }: Pick<ReadOptions, 'consistency'>): Get['consistency'] {
  return consistency === undefined ? 'linearizable' : choiceOf('consistency', consistency, consistencies);
}

function conditionOf(options: WriteConditions): Put['condition'] {
  const { ifVersion, ifValue } = options;
  const ifAbsent = flagOf('ifAbsent', options.ifAbsent);
  const given = (ifAbsent ? 1 : 0) + (ifVersion === undefined ? 0 : 1) + (ifValue === undefined ? 0 : 1);
  if (given > 1) throw invalid('a write takes one of ifAbsent, ifVersion and ifValue');
  if (ifAbsent) return { type: 'absent' };
  if (ifValue !== undefined) return { type: 'valueEquals', value: bytesOf('ifValue', ifValue) };
  if (ifVersion === undefined) return { type: 'none' };
  return { type: 'versionEquals', version: Timestamp(wholeNumberOf('ifVersion', ifVersion, 1)) };
}

function requestIdOf({ requestId }: WriteNaming, key: Uint8Array, newRequestId: NewRequestId): RequestId {
  if (requestId === undefined) return newRequestId(key);
  checkObject('requestId', requestId);
  const { session, seq } = requestId;
  if (!isUint8Array(session) || session.length !== sessionBytes) {
    throw wrong('requestId.session', `${sessionBytes} bytes (Uint8Array)`, session);
  }
  wholeNumberOf('requestId.seq', seq, 0);
  return requestId;
}
