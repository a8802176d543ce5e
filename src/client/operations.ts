/** From what a caller says to the operation that is sent. Pure; throws QuorateError (INVALID_ARGUMENT). */
import { utf8 } from '../base/bytes.js';
import { Timestamp } from '../base/ids.js';
import type { Operation, RequestId } from '../rpc/public-types.js';
import { invalid } from './options.js';
import type { BatchOperation, Bytes, ReadOptions, WriteConditions } from './types.js';

type Put = Extract<Operation, { readonly type: 'put' }>;
type Delete = Extract<Operation, { readonly type: 'delete' }>;
type Get = Extract<Operation, { readonly type: 'get' }>;

interface WriteNaming {
  readonly requestId?: RequestId | undefined;
}

export function bytesOf(bytes: Bytes): Uint8Array {
  return typeof bytes === 'string' ? utf8(bytes) : bytes;
}

export function getOperation(key: Bytes, consistency: ReadOptions['consistency']): Get {
  return { type: 'get', key: bytesOf(key), consistency: consistency ?? 'linearizable' };
}

export function putOperation(
  key: Bytes,
  value: Bytes,
  options: WriteConditions & WriteNaming,
  newRequestId: () => RequestId,
): Put {
  return {
    type: 'put',
    key: bytesOf(key),
    value: bytesOf(value),
    condition: conditionOf(options),
    requestId: options.requestId ?? newRequestId(),
  };
}

export function deleteOperation(
  key: Bytes,
  options: WriteConditions & WriteNaming,
  newRequestId: () => RequestId,
): Delete {
  return {
    type: 'delete',
    key: bytesOf(key),
    condition: conditionOf(options),
    requestId: options.requestId ?? newRequestId(),
  };
}

export function batchOperation(operation: BatchOperation, newRequestId: () => RequestId): Operation {
  switch (operation.type) {
    case 'get':
      return getOperation(operation.key, operation.consistency);
    case 'put':
      return putOperation(operation.key, operation.value, operation, newRequestId);
    case 'delete':
      return deleteOperation(operation.key, operation, newRequestId);
  }
}

function conditionOf({ ifAbsent, ifVersion, ifValue }: WriteConditions): Put['condition'] {
  const given = (ifAbsent === true ? 1 : 0) + (ifVersion === undefined ? 0 : 1) + (ifValue === undefined ? 0 : 1);
  if (given > 1) throw invalid('a write takes one of ifAbsent, ifVersion and ifValue');
  if (ifAbsent === true) return { type: 'absent' };
  if (ifValue !== undefined) return { type: 'valueEquals', value: bytesOf(ifValue) };
  if (ifVersion === undefined) return { type: 'none' };
  if (!Number.isSafeInteger(ifVersion) || ifVersion < 1) {
    throw invalid(`ifVersion is a whole number from 1 to 2^53 - 1, got ${ifVersion}`);
  }
  return { type: 'versionEquals', version: Timestamp(ifVersion) };
}
