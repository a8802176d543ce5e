/** The messages of the `Stream` method. */
import type { OperationResult } from '../mvcc/operations.js';
import { required } from './decode-ids.js';
import { decodeOperation, OperationCount, type DecodedOperation, type OperationRules } from './kv-codec.js';
import { readResult, writeResult } from './result-codec.js';
import { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

export interface StreamOperation {
  readonly id: number;
  readonly operation: DecodedOperation;
  /** 0 is "not set". */
  readonly timeoutMs: number;
}

export interface StreamResult {
  readonly id: number;
  readonly result: OperationResult;
}

/** Adds one `StreamOperation` to a `StreamRequest`; `operation` is encoded already. */
export function writeStreamOperation(
  writer: WireWriter,
  operation: { readonly id: number; readonly bytes: Uint8Array; readonly timeoutMs: number },
): void {
  const mark = writer.begin(1);
  writer.uint(1, operation.id);
  writer.presentBytes(2, operation.bytes);
  writer.uint(3, operation.timeoutMs);
  writer.end(mark);
}

/**
 * Throws DecodeError when there are too many operations or ids cannot be told; an operation that is wrong in itself
 * comes as its error.
 */
export function decodeStreamRequest(bytes: Uint8Array, rules: OperationRules): StreamOperation[] {
  const operations: StreamOperation[] = [];
  const count = new OperationCount(rules);
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) {
      const decoded = readStreamOperation(reader.message(), rules);
      count.decoded(decoded.operation);
      operations.push(decoded);
    } else reader.skip();
  }
  return operations;
}

function readStreamOperation(reader: WireReader, rules: OperationRules): StreamOperation {
  let id = 0;
  let operation: WireReader | undefined;
  let timeoutMs = 0;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        id = reader.uint();
        break;
      case 2:
        operation = reader.message();
        break;
      case 3:
        timeoutMs = reader.uint32();
        break;
      default:
        reader.skip();
    }
  }
  return { id, operation: decodeOperation(required(operation, 'an operation'), rules), timeoutMs };
}

/** Adds one `StreamResult` to a `StreamResponse`. */
export function writeStreamResult(writer: WireWriter, id: number, result: OperationResult): void {
  const mark = writer.begin(1);
  writer.uint(1, id);
  const inner = writer.begin(2);
  writeResult(writer, result);
  writer.end(inner);
  writer.end(mark);
}

/** Throws DecodeError. */
export function decodeStreamResponse(bytes: Uint8Array): StreamResult[] {
  const results: StreamResult[] = [];
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) results.push(readStreamResult(reader.message()));
    else reader.skip();
  }
  return results;
}

function readStreamResult(reader: WireReader): StreamResult {
  let id = 0;
  let result: OperationResult | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        id = reader.uint();
        break;
      case 2:
        result = readResult(reader.message());
        break;
      default:
        reader.skip();
    }
  }
  return { id, result: required(result, 'the result of a stream operation') };
}
