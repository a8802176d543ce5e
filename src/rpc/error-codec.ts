/** QuorateError as `ErrorDetail` and `Error` of proto/kv.proto. */
import { QuorateError, type ErrorCode, type Outcome } from '../base/errors.js';
import type { ShardId } from '../base/ids.js';
import { decodeShardId } from './decode-ids.js';
import { errorCodeNumber, errorCodeOf, outcomeNumber, outcomeOf } from './enums.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

/**
 * The fields of `ErrorDetail`, into the message that the caller has begun.
 *
 * @param refusedMessage of a `Stream`, where one of its messages is why it ends
 */
export function writeErrorDetail(writer: WireWriter, error: QuorateError, refusedMessage?: number): void {
  writer.uint(1, errorCodeNumber(error.code));
  writer.uint(2, outcomeNumber(error.outcome));
  if (error.shard !== undefined) writer.presentUint(3, error.shard);
  writer.bool(4, error.retryable);
  if (error.retryAfterMs !== undefined) writer.presentUint(5, wholeMs(error.retryAfterMs));
  if (refusedMessage !== undefined) writer.presentUint(6, refusedMessage);
}

/** Of an `ErrorDetail`, this field alone. */
export function readRefusedMessage(reader: WireReader): number | undefined {
  let refusedMessage: number | undefined;
  while (reader.next()) {
    if (reader.field === 6) refusedMessage = reader.uint();
    else reader.skip();
  }
  return refusedMessage;
}

/**
 * `fallback` stands in for a code that this release does not know: then the other fields still say what to do.
 */
export function readErrorDetail(reader: WireReader, message: string, fallback: ErrorCode): QuorateError {
  let code = fallback;
  let outcome: Outcome = 'unknown';
  let shard: ShardId | undefined;
  let retryable = false;
  let retryAfterMs: number | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        code = errorCodeOf(reader.enumNumber()) ?? fallback;
        break;
      case 2:
        outcome = outcomeOf(reader.enumNumber());
        break;
      case 3:
        shard = decodeShardId(reader.uint());
        break;
      case 4:
        retryable = reader.bool();
        break;
      case 5:
        retryAfterMs = reader.uint32();
        break;
      default:
        reader.skip();
    }
  }
  return new QuorateError(code, message, { outcome, retryable, shard, retryAfterMs });
}

/** The fields of `Error`. */
export function writeError(writer: WireWriter, error: QuorateError): void {
  const detail = writer.begin(1);
  writeErrorDetail(writer, error);
  writer.end(detail);
  writer.text(2, error.message);
}

export function readError(reader: WireReader): QuorateError {
  let detail: WireReader | undefined;
  let message = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        detail = reader.message();
        break;
      case 2:
        message = reader.text();
        break;
      default:
        reader.skip();
    }
  }
  if (detail === undefined) return new QuorateError('INTERNAL', message, { outcome: 'unknown' });
  return readErrorDetail(detail, message, 'INTERNAL');
}

/** Milliseconds as a uint32: rounded up, so that a hint or timeout above zero stays above zero. */
export function wholeMs(ms: number): number {
  return Math.min(Math.max(Math.ceil(ms), 0), 0xffff_ffff);
}
