/** The unary messages of proto/kv.proto and the parts of its streams. Decoded byte strings are copies. */
import { DecodeError } from '../base/coding.js';
import { QuorateError } from '../base/errors.js';
import { payloadBytes, resultBytes } from '../mvcc/operation-bytes.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import { readOperation, writeOperation } from './operation-codec.js';
import type { MissingRequestId } from './request-id-codec.js';
import { writeResult } from './result-codec.js';
import { WireReader } from './wire-reader.js';
import { WireWriter } from './wire-writer.js';

/** For a value that a caller got no more, who is about to take, or has just got, those before it. */
const leftOutRetryMs = 20;

/** An operation, or why what came is none: one bad operation does not concern the others of its message. */
export type DecodedOperation = Operation | QuorateError;

/** What an operation on one key takes besides it and values, at most. A batch has its writer grow. */
const operationOverheadBytes = 128;
const smallBytesMax = 4096;
let spareWriter: WireWriter | undefined;

/** `Operation`, for a message that takes it as it is. */
export function encodeOperation(operation: Operation): Uint8Array {
  const bytes = payloadBytes(operation) + operationOverheadBytes;
  if (operation.type !== 'atomicBatch' && bytes <= smallBytesMax) return encodeSmallOperation(operation);
  const writer = new WireWriter(bytes);
  writeOperation(writer, operation);
  return writer.finish();
}

/** By one writer for all: most operations are small, and a buffer for each costs more than to copy what is in it. */
function encodeSmallOperation(operation: Operation): Uint8Array {
  const writer = spareWriter ?? new WireWriter(smallBytesMax);
  // Not for who comes in between, nor after an error: half an operation is in it.
  spareWriter = undefined;
  writeOperation(writer, operation);
  const bytes = writer.finishCopy();
  spareWriter = writer;
  return bytes;
}

/** `GetResponse`, `PutResponse`, `DeleteResponse`, `AtomicBatchResponse`: whichever the operation has. */
export function encodeResult(result: OperationResult): Buffer {
  const writer = new WireWriter(resultBytes(result));
  writeResult(writer, result);
  return writer.finish();
}

/** How many operations a message may have, and what stands in for a request id that a write does not have. */
export interface OperationRules {
  readonly operationsMax: number;
  readonly missingRequestId: MissingRequestId;
}

/** `BatchRequest`. Throws DecodeError when it has too many operations. */
export function decodeBatchRequest(bytes: Uint8Array, rules: OperationRules): DecodedOperation[] {
  const operations: DecodedOperation[] = [];
  const count = new OperationCount(rules);
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) operations.push(count.decoded(decodeOperation(reader.message(), rules)));
    else reader.skip();
  }
  return operations;
}

/** Of one message, those of its atomic batches too; so a message of millions of empty ones costs nothing. */
export class OperationCount {
  readonly #operationsMax: number;
  #count = 0;

  constructor({ operationsMax }: OperationRules) {
    this.#operationsMax = operationsMax;
  }

  /** Throws DecodeError when this one is too many. */
  decoded(operation: DecodedOperation): DecodedOperation {
    const isBatch = !(operation instanceof QuorateError) && operation.type === 'atomicBatch';
    this.#count += isBatch ? operation.operations.length : 1;
    if (this.#count <= this.#operationsMax) return operation;
    throw new DecodeError(`more than ${this.#operationsMax} operations in one message (limit batchOperationsMax)`);
  }
}

/** `BatchResponse`. */
export function encodeBatchResponse(results: readonly OperationResult[]): Buffer {
  const writer = new WireWriter();
  for (const result of results) {
    const mark = writer.begin(1);
    writeResult(writer, result);
    writer.end(mark);
  }
  return writer.finish();
}

/** `Operation`; what does not decode becomes an error. */
export function decodeOperation(
  reader: WireReader,
  { missingRequestId, operationsMax }: OperationRules,
): DecodedOperation {
  try {
    return readOperation(reader, missingRequestId, operationsMax);
  } catch (error) {
    return refusal(error);
  }
}

/** Why a request was refused before anything was done. */
export function refusal(thrown: unknown): QuorateError {
  if (thrown instanceof DecodeError) {
    return new QuorateError('INVALID_ARGUMENT', `the request is malformed: ${thrown.message}`, { cause: thrown });
  }
  return QuorateError.from(thrown, 'notApplied');
}

/**
 * What takes the place of a result whose values there is no room for. None of the kinds that have values has changed
 * anything. An atomic batch is not asked for values again: its answer would be the same.
 */
export function withoutValue(result: OperationResult, reason: string): OperationResult {
  if (result.type === 'conditionsFailed') {
    const failures = result.failures.map(({ index, current }) => {
      return { index, current: current && { version: current.version, value: undefined } };
    });
    return { type: result.type, failures };
  }
  if (result.type !== 'found' && result.type !== 'conditionFailed') return result;
  const message = `${reason}; ask again for this value`;
  return { type: 'failed', error: new QuorateError('OVERLOADED', message, { retryAfterMs: leftOutRetryMs }) };
}
