/** How unary calls are answered, of both services. */
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import type { QuorateError } from '../base/errors.js';
import { callTimeoutMs, type HandlerContext } from './handler-context.js';
import { toGrpcStatus } from './status.js';

/** The response counts until the caller has taken it: for as long as its deadline lets it, then the call is reset. */
export function succeed(
  call: ServerUnaryCall<Buffer, Buffer>,
  callback: sendUnaryData<Buffer>,
  response: Buffer,
  context: HandlerContext,
): void {
  if (call.cancelled) return;
  const { unsent } = context;
  unsent.add(unsent.of(call, callTimeoutMs(call, context)), response.length);
  callback(null, response);
}

export function fail(callback: sendUnaryData<Buffer>, error: QuorateError): void {
  callback(toGrpcStatus(error));
}
