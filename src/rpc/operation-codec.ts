/**
 * Operations as proto/kv.proto has them: `Operation` with its kinds `GetRequest`, `PutRequest`, `DeleteRequest`.
 * Decoded byte strings are copies. Limits are not looked at here (mvcc/validate).
 */
import { DecodeError } from '../base/coding.js';
import { emptyBytes } from '../base/bytes.js';
import { unreachable } from '../base/assert.js';
import type { Condition, GetOperation, Operation, RequestId, WriteOperation } from '../mvcc/operations.js';
import { decodeTimestamp, required } from './decode-ids.js';
import { consistencyNumber, consistencyOf, type Consistency } from './enums.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

const sessionBytes = 16;

/** What stands in for a request id that the message does not have: a new one, or an error. */
export type MissingRequestId = () => RequestId;

/** For messages in which every write has a request id. */
export const requireRequestId: MissingRequestId = () => {
  throw new DecodeError('a write without a request id');
};

/** The fields of `Operation`. */
export function writeOperation(writer: WireWriter, operation: Operation): void {
  const mark = writer.begin(operationField[operation.type]);
  if (operation.type === 'get') writeGet(writer, operation);
  else writeWrite(writer, operation);
  writer.end(mark);
}

const operationField = { get: 1, put: 2, delete: 3 } as const;

export function readOperation(reader: WireReader, missingRequestId: MissingRequestId): Operation {
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
function writeWrite(writer: WireWriter, operation: WriteOperation): void {
  writer.bytes(1, operation.key);
  if (operation.type === 'put') writer.bytes(2, operation.value);
  if (operation.condition.type !== 'none') {
    const mark = writer.begin(3);
    writeCondition(writer, operation.condition);
    writer.end(mark);
  }
  const mark = writer.begin(4);
  writer.bytes(1, operation.requestId.session);
  writer.uint(2, operation.requestId.seq);
  writer.end(mark);
}

interface WriteFields {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly condition: Condition;
  readonly requestId: RequestId;
}

export function readPut(reader: WireReader, missingRequestId: MissingRequestId): WriteOperation {
  return { type: 'put', ...readWriteFields(reader, missingRequestId) };
}

export function readDelete(reader: WireReader, missingRequestId: MissingRequestId): WriteOperation {
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

function writeCondition(writer: WireWriter, condition: Condition): void {
  switch (condition.type) {
    case 'none':
      return;
    case 'absent':
      writer.emptyMessage(1);
      return;
    case 'versionEquals':
      writer.presentUint(2, condition.version);
      return;
    case 'valueEquals':
      writer.presentBytes(3, condition.value);
      return;
    default:
      unreachable(condition);
  }
}

/** A condition of a kind that this release does not know must not become an unconditional write. */
function readCondition(reader: WireReader): Condition {
  let condition: Condition | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        reader.skip();
        condition = { type: 'absent' };
        break;
      case 2:
        condition = { type: 'versionEquals', version: decodeTimestamp(reader.uint()) };
        break;
      case 3:
        condition = { type: 'valueEquals', value: reader.ownedBytes() };
        break;
      default:
        reader.skip();
    }
  }
  return required(condition, 'the kind of a condition');
}

function readRequestId(reader: WireReader): RequestId {
  let session = emptyBytes;
  let seq = 0;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        session = reader.ownedBytes();
        break;
      case 2:
        seq = reader.uint();
        break;
      default:
        reader.skip();
    }
  }
  if (session.length !== sessionBytes) {
    throw new DecodeError(`the session of a request id has ${sessionBytes} bytes, not ${session.length}`);
  }
  return { session, seq };
}
