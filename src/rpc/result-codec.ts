/**
 * Results as proto/kv.proto has them. `GetResponse`, `PutResponse`, `DeleteResponse` and `AtomicBatchResponse` give their
 * fields the numbers that these have in `OperationResult`, so one codec serves all of them. Decoded byte strings are copies.
 */
import { unreachable } from '../base/assert.js';
import { emptyBytes } from '../base/bytes.js';
import { Timestamp } from '../base/ids.js';
import type { OperationResult, VersionedValue } from '../mvcc/operations.js';
import { readFailures, writeFailures } from './atomic-batch-codec.js';
import { decodeTimestamp, required } from './decode-ids.js';
import { readError, writeError } from './error-codec.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

const field = {
  found: 1,
  absent: 2,
  written: 3,
  nothingDeleted: 4,
  conditionFailed: 5,
  error: 6,
  conditionsFailed: 7,
} as const;

/** The fields of `OperationResult`. */
export function writeResult(writer: WireWriter, result: OperationResult): void {
  switch (result.type) {
    case 'found':
      writeVersionedValue(writer, field.found, result);
      return;
    case 'absent':
      writer.emptyMessage(field.absent);
      return;
    case 'written': {
      const mark = writer.begin(field.written);
      writer.uint(1, result.version);
      writer.end(mark);
      return;
    }
    case 'nothingDeleted':
      writer.emptyMessage(field.nothingDeleted);
      return;
    case 'conditionFailed': {
      const mark = writer.begin(field.conditionFailed);
      if (result.current === undefined) writer.emptyMessage(1);
      else writeVersionedValue(writer, 2, result.current);
      writer.end(mark);
      return;
    }
    case 'conditionsFailed': {
      const mark = writer.begin(field.conditionsFailed);
      writeFailures(writer, result.failures);
      writer.end(mark);
      return;
    }
    case 'failed': {
      const mark = writer.begin(field.error);
      writeError(writer, result.error);
      writer.end(mark);
      return;
    }
    default:
      unreachable(result);
  }
}

export function readResult(reader: WireReader): OperationResult {
  let result: OperationResult | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case field.found:
        result = { type: 'found', ...readVersionedValue(reader.message()) };
        break;
      case field.absent:
        reader.skip();
        result = { type: 'absent' };
        break;
      case field.written:
        result = { type: 'written', version: readVersionedValue(reader.message()).version };
        break;
      case field.nothingDeleted:
        reader.skip();
        result = { type: 'nothingDeleted' };
        break;
      case field.conditionFailed:
        result = { type: 'conditionFailed', current: readCurrent(reader.message()) };
        break;
      case field.conditionsFailed:
        result = { type: 'conditionsFailed', failures: readFailures(reader.message()) };
        break;
      case field.error:
        result = { type: 'failed', error: readError(reader.message()) };
        break;
      default:
        reader.skip();
    }
  }
  return required(result, 'a result');
}

function writeVersionedValue(writer: WireWriter, number: number, { version, value }: VersionedValue): void {
  const mark = writer.begin(number);
  writer.uint(1, version);
  writer.bytes(2, value);
  writer.end(mark);
}

function readVersionedValue(reader: WireReader): VersionedValue {
  let version = Timestamp(0);
  let value = emptyBytes;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        version = decodeTimestamp(reader.uint());
        break;
      case 2:
        value = reader.ownedBytes();
        break;
      default:
        reader.skip();
    }
  }
  return { version, value };
}

function readCurrent(reader: WireReader): VersionedValue | undefined {
  let current: { readonly value: VersionedValue | undefined } | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        reader.skip();
        current = { value: undefined };
        break;
      case 2:
        current = { value: readVersionedValue(reader.message()) };
        break;
      default:
        reader.skip();
    }
  }
  return required(current, 'what the key has instead of the condition').value;
}
