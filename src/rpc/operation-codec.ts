/**
 * Operations as proto/kv.proto has them: `Operation` with its kinds `GetRequest`, `PutRequest`, `DeleteRequest`;
 * `AtomicBatchRequest` is in atomic-batch-codec.ts.
 * Decoded byte strings are copies. Limits are not looked at here (mvcc/validate).
 */
import { emptyBytes } from '../base/bytes.js';
import type { Condition, GetOperation, KeyWrite, Operation, RequestId } from '../mvcc/operations.js';
import { readAtomicBatch, writeAtomicBatch } from './atomic-batch-codec.js';
import { readCondition, writeCondition } from './condition-codec.js';
import { required } from './decode-ids.js';
import { consistencyNumber, consistencyOf, type Consistency } from './enums.js';
import { readRequestId, writeRequestId, type MissingRequestId } from './request-id-codec.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

/** The fields of `Operation`. */
export function writeOperation(writer: WireWriter, operation: Operation): void {
  const mark = writer.begin(operationField[operation.type]);
  if (operation.type === 'get') writeGet(writer, operation);
  else if (operation.type === 'atomicBatch') writeAtomicBatch(writer, operation);
  else writeWrite(writer, operation);
  writer.end(mark);
}

const operationField = { get: 1, put: 2, delete: 3, atomicBatch: 4 } as const;

/** @param operationsMax of an atomic batch */
export function readOperation(
  reader: WireReader,
  missingRequestId: MissingRequestId,
  operationsMax = Infinity,
): Operation {
  let operation: Operation | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case operationField.get:
        operation = readGet(reader.message());
        break;
      case operationField.put:
        operation = readPut(reader.message(), missingRequestId);
        break;
      case operationField.delete:
        operation = readDelete(reader.message(), missingRequestId);
        break;
      case operationField.atomicBatch:
        operation = readAtomicBatch(reader.message(), missingRequestId, operationsMax);
        break;
      default:
        reader.skip();
    }
  }
  return required(operation, 'the kind of an operation');
}

/** The fields of `GetRequest`. */
function writeGet(writer: WireWriter, operation: GetOperation): void {
  writer.bytes(1, operation.key);
  writer.uint(2, consistencyNumber(operation.consistency));
}

export function readGet(reader: WireReader): GetOperation {
  let key = emptyBytes;
  let consistency: Consistency = 'linearizable';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        key = reader.ownedBytes();
        break;
      case 2:
        consistency = consistencyOf(reader.enumNumber());
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'get', key, consistency };
}

/** The fields of `PutRequest` or `DeleteRequest`, which have the same numbers. */
function writeWrite(writer: WireWriter, operation: KeyWrite): void {
  writer.bytes(1, operation.key);
  if (operation.type === 'put') writer.bytes(2, operation.value);
  writeCondition(writer, 3, operation.condition);
  writeRequestId(writer, 4, operation.requestId);
}

interface WriteFields {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly condition: Condition;
  readonly requestId: RequestId;
}

export function readPut(reader: WireReader, missingRequestId: MissingRequestId): KeyWrite {
  const { key, value, condition, requestId } = readWriteFields(reader, missingRequestId);
  return { type: 'put', key, value, condition, requestId };
}

export function readDelete(reader: WireReader, missingRequestId: MissingRequestId): KeyWrite {
  const { key, condition, requestId } = readWriteFields(reader, missingRequestId);
  return { type: 'delete', key, condition, requestId };
}

function readWriteFields(reader: WireReader, missingRequestId: MissingRequestId): WriteFields {
  let key = emptyBytes;
  let value = emptyBytes;
  let condition: Condition = { type: 'none' };
  let requestId: RequestId | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        key = reader.ownedBytes();
        break;
      case 2:
        value = reader.ownedBytes();
        break;
      case 3:
        condition = readCondition(reader.message());
        break;
      case 4:
        requestId = readRequestId(reader.message());
        break;
      default:
        reader.skip();
    }
  }
  return { key, value, condition, requestId: requestId ?? missingRequestId() };
}
