/** `Get`, `Put`, `Delete`, `AtomicBatch`, `Batch`. A call that was cancelled gets no answer; its writes may still take effect. */
import type { handleUnaryCall, sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import { QuorateError } from '../base/errors.js';
import { resultBytes } from '../mvcc/operation-bytes.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import { readAtomicBatch } from './atomic-batch-codec.js';
import { callTimeoutMs, type HandlerContext } from './handler-context.js';
import {
  decodeBatchRequest,
  encodeBatchResponse,
  encodeResult,
  refusal,
  withoutValue,
  type DecodedOperation,
} from './kv-codec.js';
import { readDelete, readGet, readPut } from './operation-codec.js';
import { fail, succeed } from './unary-answer.js';
import type { UnsentCall } from './unsent-answers.js';
import { WireReader } from './wire-reader.js';

type BytesHandler = handleUnaryCall<Buffer, Buffer>;

export interface UnaryHandlers {
  readonly Get: BytesHandler;
  readonly Put: BytesHandler;
  readonly Delete: BytesHandler;
  readonly AtomicBatch: BytesHandler;
  readonly Batch: BytesHandler;
}

export function unaryHandlers(context: HandlerContext): UnaryHandlers {
  const { batchOperationsMax } = context.limits;
  const newRequestId = (): ReturnType<typeof context.kv.newRequestId> => context.kv.newRequestId();
  return {
    Get: oneOperation(context, readGet),
    Put: oneOperation(context, (reader) => readPut(reader, newRequestId)),
    Delete: oneOperation(context, (reader) => readDelete(reader, newRequestId)),
    AtomicBatch: oneOperation(context, (reader) => readAtomicBatch(reader, newRequestId, batchOperationsMax)),
    Batch: batch(context),
  };
}

function oneOperation(context: HandlerContext, read: (reader: WireReader) => Operation): BytesHandler {
  return (call, callback) => {
    let operation: DecodedOperation;
    try {
      operation = read(new WireReader(call.request));
    } catch (error) {
      operation = refusal(error);
    }
    context.gate.submit(operation, callTimeoutMs(call, context), (result) => {
      if (call.cancelled) return;
      const answer = context.unsent.fitting(result);
      if (answer.type === 'failed') fail(callback, answer.error);
      else succeed(call, callback, encodeResult(answer), context);
    });
  };
}

function batch(context: HandlerContext): BytesHandler {
  const { batchOperationsMax } = context.limits;
  const rules = { operationsMax: batchOperationsMax, missingRequestId: () => context.kv.newRequestId() };
  return (call, callback) => {
    let operations: DecodedOperation[];
    try {
      operations = decodeBatchRequest(call.request, rules);
      if (operations.length === 0) throw new QuorateError('INVALID_ARGUMENT', 'the batch has no operations');
    } catch (error) {
      fail(callback, refusal(error));
      return;
    }
    const timeoutMs = callTimeoutMs(call, context);
    const answer = new BatchAnswer(call, callback, operations.length, context);
    for (let i = 0; i < operations.length; i++) {
      context.gate.submit(operations[i], timeoutMs, (result) => answer.add(i, result));
    }
  };
}

/** Results of a batch until all are there. They count as unsent from the first on. */
class BatchAnswer {
  readonly #call: ServerUnaryCall<Buffer, Buffer>;
  readonly #callback: sendUnaryData<Buffer>;
  readonly #context: HandlerContext;
  readonly #unsent: UnsentCall;
  #results: OperationResult[];
  #open: number;

  constructor(
    call: ServerUnaryCall<Buffer, Buffer>,
    callback: sendUnaryData<Buffer>,
    operations: number,
    context: HandlerContext,
  ) {
    this.#call = call;
    this.#callback = callback;
    this.#context = context;
    this.#unsent = context.unsent.of(call, callTimeoutMs(call, context));
    this.#results = new Array<OperationResult>(operations);
    this.#open = operations;
    call.once('cancelled', () => (this.#results = []));
  }

  add(index: number, result: OperationResult): void {
    if (this.#call.cancelled) return;
    const { unsent } = this.#context;
    const kept = this.#fitting(result);
    this.#results[index] = kept;
    unsent.add(this.#unsent, resultBytes(kept));
    this.#open--;
    if (this.#open > 0) return;
    const response = encodeBatchResponse(this.#results);
    this.#results = [];
    this.#callback(null, response);
  }

  /** Values for which there is no room are not held until the others are there. */
  #fitting(result: OperationResult): OperationResult {
    const { limits, unsent } = this.#context;
    if (this.#unsent.bytes + resultBytes(result) > limits.requestBytesMax) {
      return withoutValue(result, 'the response of the batch is full');
    }
    return unsent.fitting(result);
  }
}
