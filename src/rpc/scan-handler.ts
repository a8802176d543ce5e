/**
 * `Scan`: pages go out as the caller takes them.
 *
 * Invariant: a scan has one page at a time, here or in the transport. The next is read when the transport has let go
 * of it; grpc-js by itself would take sixteen. A scan counts against `scansInFlightMax` until the transport holds
 * nothing of it any more, which is soon after its deadline at the latest.
 */
import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js';
import { onAbort } from '../base/abort.js';
import { QuorateError } from '../base/errors.js';
import { validateScan } from '../mvcc/validate.js';
import type { ScanRequest } from './backend.js';
import { deadlineError } from './gate.js';
import type { HandlerContext } from './handler-context.js';
import { refusal } from './kv-codec.js';
import { resetCall } from './reset-call.js';
import { decodeScanRequest, encodeScanPage, type ScanQuery } from './scan-codec.js';
import { scanRange } from './scan-range.js';
import { toGrpcStatus } from './status.js';
import { answerTimeoutMs, remainingTimeoutMs } from './timeouts.js';

type ScanCall = ServerWritableStream<Buffer, Buffer>;

/** The backend's own deadline error, which knows the shard, comes first; this one is for a caller who does not read. */
const backstopMs = 100;
/** What a caller has to take the last page and the status of a scan that failed. */
const lingerMs = 1000;

export function scanHandler(context: HandlerContext): handleServerStreamingCall<Buffer, Buffer> {
  return (call) => {
    const refused = context.gate.enterScan();
    if (refused !== undefined) {
      call.emit('error', toGrpcStatus(refused));
      return;
    }
    // grpc-js says this of every call: when its trailers are out, or when its stream was closed.
    call.once('cancelled', () => context.gate.leaveScan());
    scan(call, context).then(
      () => call.end(),
      (error: unknown) => {
        if (call.cancelled) return;
        call.emit('error', toGrpcStatus(QuorateError.from(error, 'notApplied')));
        // The status waits behind a page that the caller may never take.
        const timer = context.clock.after(lingerMs, () => resetCall(call, context.clock));
        call.once('cancelled', () => timer.cancel());
      },
    );
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
  const takeMsMax = context.timeouts.maxMs;
  const notTaken = (): void =>
    controller.abort(
      new QuorateError('DEADLINE_EXCEEDED', `a page was not taken within ${takeMsMax} ms (requestTimeoutMsMax)`),
    );
  try {
    for await (const page of context.kv.scan(request, signal)) {
      const patience = context.clock.after(takeMsMax, notTaken);
      await send(call, encodeScanPage(page), signal).finally(() => patience.cancel());
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    timer.cancel();
  }
}

/** Resolves when the transport has sent the page, or rejects with the signal's reason. */
function send(call: ScanCall, page: Buffer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const stopListening = onAbort(signal, () => reject(signal.reason as Error));
    call.write(page, (error: Error | null | undefined) => {
      stopListening();
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });
}

/** Undefined when the range cannot hold a key. */
function scanRequest(call: ScanCall, context: HandlerContext): ScanRequest | undefined {
  const { prefix, ...query } = decode(call.request);
  const { timeoutMs, pageTimeoutMs } = scanTimeouts(call.getDeadline(), query.pageTimeoutMs, context);
  const invalid = validateScan(query, context.limits) ?? validatePages(query) ?? deadlineError(timeoutMs);
  if (invalid !== undefined) throw invalid;
  const range = scanRange(query.start, query.end, prefix);
  return range === undefined ? undefined : { ...query, ...range, timeoutMs, pageTimeoutMs };
}

/**
 * A scan may last for as long as the versions that it reads are kept. Who sets no deadline waits for the whole range as
 * long as it goes on, and for no page longer than the node's default.
 */
function scanTimeouts(
  deadline: Date | number,
  pageTimeoutMs: number,
  context: HandlerContext,
): { timeoutMs: number; pageTimeoutMs: number } {
  const { versionRetentionMs } = context.limits;
  const limits = { defaultMs: versionRetentionMs, maxMs: versionRetentionMs };
  const timeoutMs = remainingTimeoutMs(deadline, context.nowEpochMs(), limits);
  if (pageTimeoutMs > 0) return { timeoutMs, pageTimeoutMs: answerTimeoutMs(pageTimeoutMs) };
  const hasDeadline = Number.isFinite(typeof deadline === 'number' ? deadline : deadline.getTime());
  return { timeoutMs, pageTimeoutMs: hasDeadline ? timeoutMs : context.timeouts.defaultMs };
}

function decode(bytes: Uint8Array): ReturnType<typeof decodeScanRequest> {
  try {
    return decodeScanRequest(bytes);
  } catch (error) {
    throw refusal(error);
  }
}

function validatePages({
  pageBytes,
  pageTimeoutMs,
}: Pick<ScanQuery, 'pageBytes' | 'pageTimeoutMs'>): QuorateError | undefined {
  const invalid = (what: string): QuorateError => new QuorateError('INVALID_ARGUMENT', what);
  if (pageBytes < 0) return invalid(`page_bytes must be 0 or more, got ${pageBytes}`);
  if (pageTimeoutMs < 0) return invalid(`page_timeout_ms must be 0 or more, got ${pageTimeoutMs}`);
  return undefined;
}
