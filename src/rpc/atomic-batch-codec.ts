/** `AtomicBatchRequest` and `ConditionsFailed` of proto/kv.proto. Decoded byte strings are copies. */
import { unreachable } from '../base/assert.js';
import { emptyBytes } from '../base/bytes.js';
import { DecodeError } from '../base/coding.js';
import type { AtomicBatch, AtomicOperation, Condition, FailedCondition, RequestId } from '../mvcc/operations.js';
import { readCondition, writeCondition } from './condition-codec.js';
import { decodeTimestamp, required } from './decode-ids.js';
import { readRequestId, writeRequestId, type MissingRequestId } from './request-id-codec.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

/** The fields of `AtomicOperation`. */
const field = { key: 1, condition: 2, put: 3, delete: 4, check: 5 } as const;

/** The fields of `AtomicBatchRequest`. */
export function writeAtomicBatch(writer: WireWriter, { operations, requestId }: AtomicBatch): void {
  for (const operation of operations) {
    const mark = writer.begin(1);
    writeAtomicOperation(writer, operation);
    writer.end(mark);
  }
  writeRequestId(writer, 2, requestId);
}

function writeAtomicOperation(writer: WireWriter, operation: AtomicOperation): void {
  writer.bytes(field.key, operation.key);
  writeCondition(writer, field.condition, operation.condition);
  switch (operation.type) {
    case 'put':
      writer.presentBytes(field.put, operation.value);
      return;
    case 'delete':
      writer.emptyMessage(field.delete);
      return;
    case 'check':
      writer.emptyMessage(field.check);
      return;
    default:
      unreachable(operation);
  }
}

/** Throws DecodeError, before it has decoded more than `operationsMax`. */
export function readAtomicBatch(
  reader: WireReader,
  missingRequestId: MissingRequestId,
  operationsMax: number,
): AtomicBatch {
  const operations: AtomicOperation[] = [];
  let requestId: RequestId | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        if (operations.length >= operationsMax) {
          throw new DecodeError(`more than ${operationsMax} operations in an atomic batch (limit batchOperationsMax)`);
        }
        operations.push(readAtomicOperation(reader.message()));
        break;
      case 2:
        requestId = readRequestId(reader.message());
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'atomicBatch', operations, requestId: requestId ?? missingRequestId() };
}

/** One of a kind that this release does not know must not become a check. */
function readAtomicOperation(reader: WireReader): AtomicOperation {
  let key = emptyBytes;
  let condition: Condition = { type: 'none' };
  let value = emptyBytes;
  let type: AtomicOperation['type'] | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case field.key:
        key = reader.ownedBytes();
        break;
      case field.condition:
        condition = readCondition(reader.message());
        break;
      case field.put:
        value = reader.ownedBytes();
        type = 'put';
        break;
      case field.delete:
        reader.skip();
        type = 'delete';
        break;
      case field.check:
        reader.skip();
        type = 'check';
        break;
      default:
        reader.skip();
    }
  }
  const kind = required(type, 'the kind of an operation of an atomic batch');
  return kind === 'put' ? { type: kind, key, value, condition } : { type: kind, key, condition };
}

/** The fields of `ConditionsFailed`. */
export function writeFailures(writer: WireWriter, failures: readonly FailedCondition[]): void {
  for (const { index, current } of failures) {
    const mark = writer.begin(1);
    writer.uint(1, index);
    if (current === undefined) writer.emptyMessage(2);
    else {
      const present = writer.begin(3);
      writer.uint(1, current.version);
      if (current.value !== undefined) writer.presentBytes(2, current.value);
      writer.end(present);
    }
    writer.end(mark);
  }
}

export function readFailures(reader: WireReader): FailedCondition[] {
  const failures: FailedCondition[] = [];
  while (reader.next()) {
    if (reader.field === 1) failures.push(readFailure(reader.message()));
    else reader.skip();
  }
  return failures;
}

function readFailure(reader: WireReader): FailedCondition {
  let index = 0;
  let met: Pick<FailedCondition, 'current'> | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        index = reader.uint32();
        break;
      case 2:
        reader.skip();
        met = { current: undefined };
        break;
      case 3:
        met = { current: readMet(reader.message()) };
        break;
      default:
        reader.skip();
    }
  }
  return { index, current: required(met, 'what a key has instead of the condition').current };
}

function readMet(reader: WireReader): FailedCondition['current'] {
  let version = 0;
  let value: Uint8Array | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        version = reader.uint();
        break;
      case 2:
        value = reader.ownedBytes();
        break;
      default:
        reader.skip();
    }
  }
  return { version: decodeTimestamp(version), value };
}
