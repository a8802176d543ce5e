/** What becomes of operations whose stream is lost: a pure decision. */
import { QuorateError } from '../base/errors.js';
import { fromGrpcError, refusedMessageOf } from '../rpc/status.js';

export interface LossErrors {
  /** Of an operation that waited to be sent. */
  readonly unsent: QuorateError;
  /** Of one that was sent and has no answer. */
  readonly ofMessage: (message: number) => QuorateError;
}

/**
 * What was sent may have been executed, unless the node says which message it refused: then nothing of that one and of those after it
 * was done, and only what is in it is at fault.
 *
 * @param thrown what the stream ended with, if with an error
 */
export function lossErrors(what: string, thrown?: unknown): LossErrors {
  if (thrown === undefined) return unexplained(what, undefined);
  const cause = fromGrpcError(thrown);
  const message = `${what}: ${cause.message}`;
  const refusedMessage = refusedMessageOf(thrown);
  if (refusedMessage === undefined) return unexplained(message, cause);
  const unsent = new QuorateError('UNAVAILABLE', message, { cause });
  const before = unsent.withUnknownOutcome();
  const refused = new QuorateError(cause.code, message, { retryable: cause.retryable, cause });
  return {
    unsent,
    ofMessage: (sent) => (sent < refusedMessage ? before : sent === refusedMessage ? refused : unsent),
  };
}

function unexplained(message: string, cause: QuorateError | undefined): LossErrors {
  // A status that is not worth a retry (an oversized message) would come again and again.
  const code = cause === undefined || cause.retryable || cause.code === 'CANCELLED' ? 'UNAVAILABLE' : cause.code;
  const sent = new QuorateError(code, message, { outcome: 'unknown', retryable: code === 'UNAVAILABLE', cause });
  return { unsent: new QuorateError('UNAVAILABLE', message, { cause }), ofMessage: () => sent };
}
