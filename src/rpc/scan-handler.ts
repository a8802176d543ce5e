/**
 * `Scan`: pages go out as fast as the transport takes them. grpc-js takes them also when the caller does not read, so
 * what such a caller is owed piles up in this process: nothing here bounds it yet (README, "What is not there yet").
 */
import { once } from 'node:events';
import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js';
import { QuorateError } from '../base/errors.js';
import { validateScan } from '../mvcc/validate.js';
import type { ScanRequest } from './backend.js';
import { deadlineError } from './gate.js';
import { callTimeoutMs, type HandlerContext } from './handler-context.js';
import { refusal } from './kv-codec.js';
import { decodeScanRequest, encodeScanPage } from './scan-codec.js';
import { scanRange } from './scan-range.js';
import { toGrpcStatus } from './status.js';

type ScanCall = ServerWritableStream<Buffer, Buffer>;

/** The backend's own deadline error, which knows the shard, comes first; this one is for a caller who does not read. */
const backstopMs = 100;

export function scanHandler(context: HandlerContext): handleServerStreamingCall<Buffer, Buffer> {
  return (call) => {
    const refused = context.gate.enter();
    if (refused !== undefined) {
      call.emit('error', toGrpcStatus(refused));
      return;
    }
    scan(call, context)
      .then(
        () => call.end(),
        (error: unknown) => {
          if (!call.cancelled) call.emit('error', toGrpcStatus(QuorateError.from(error, 'notApplied')));
        },
      )
      .finally(() => context.gate.leave());
  };
}

async function scan(call: ScanCall, context: HandlerContext): Promise<void> {
  const request = scanRequest(call, context);
  if (request === undefined) return;
  const controller = new AbortController();
  const { signal } = controller;
  call.on('cancelled', () => controller.abort(new QuorateError('CANCELLED', 'the caller cancelled the scan')));
  const timer = context.clock.after(request.timeoutMs + backstopMs, () =>
    controller.abort(new QuorateError('DEADLINE_EXCEEDED', 'the scan was not read to its end within its deadline')),
  );
  try {
    for await (const page of context.kv.scan(request, signal)) {
      signal.throwIfAborted();
      if (!call.write(encodeScanPage(page))) await once(call, 'drain', { signal });
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    timer.cancel();
  }
}

/** Undefined when the range cannot hold a key. */
function scanRequest(call: ScanCall, context: HandlerContext): ScanRequest | undefined {
  const { prefix, ...query } = decode(call.request);
  const timeoutMs = callTimeoutMs(call, context);
  const invalid = validateScan(query, context.limits) ?? validatePages(query.pageBytes) ?? deadlineError(timeoutMs);
  if (invalid !== undefined) throw invalid;
  const range = scanRange(query.start, query.end, prefix);
  return range === undefined ? undefined : { ...query, ...range, timeoutMs };
}

function decode(bytes: Uint8Array): ReturnType<typeof decodeScanRequest> {
  try {
    return decodeScanRequest(bytes);
  } catch (error) {
    throw refusal(error);
  }
}

function validatePages(pageBytes: number): QuorateError | undefined {
  if (pageBytes >= 0) return undefined;
  return new QuorateError('INVALID_ARGUMENT', `page_bytes must be 0 or more, got ${pageBytes}`);
}
