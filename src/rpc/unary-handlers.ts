/** `Get`, `Put`, `Delete`, `AtomicBatch`, `Batch`. A call that was cancelled gets no answer; its writes may still take effect. */
import type { handleUnaryCall, sendUnaryData } from '@grpc/grpc-js';
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
import { toGrpcStatus } from './status.js';
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
      if (result.type === 'failed') fail(callback, result.error);
      else callback(null, encodeResult(result));
    });
  };
}

function batch(context: HandlerContext): BytesHandler {
  const { batchOperationsMax, requestBytesMax } = context.limits;
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
    const results = new Array<OperationResult>(operations.length);
    let open = operations.length;
    let bytes = 0;
    for (let i = 0; i < operations.length; i++) {
      context.gate.submit(operations[i], timeoutMs, (result) => {
        // Values for which the response has no room are not held until the others are there.
        const fits = bytes + resultBytes(result) <= requestBytesMax;
        results[i] = fits ? result : withoutValue(result, 'the response of the batch is full');
        bytes += resultBytes(results[i]);
        open--;
        if (open === 0 && !call.cancelled) callback(null, encodeBatchResponse(results));
      });
    }
  };
}

function fail(callback: sendUnaryData<Buffer>, error: QuorateError): void {
  callback(toGrpcStatus(error));
}
