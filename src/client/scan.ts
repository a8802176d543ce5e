import { onAbort } from '../base/abort.js';
import { QuorateError } from '../base/errors.js';
import { emptyBytes } from '../base/bytes.js';
import { Timestamp } from '../base/ids.js';
import type { ScanPage } from '../rpc/backend.js';
import { decodeScanPage, encodeScanRequest, type ScanQuery } from '../rpc/scan-codec.js';
import { fromGrpcError } from '../rpc/status.js';
import { delay, type CallLimits, type Calls } from './calls.js';
import { bytesOf, flagOf, wholeNumberOf } from './arguments.js';
import { consistencyOf } from './operations.js';
import { cancelledError, deadlineError, decideRetry, finalError, moreTelling, tryElsewhere } from './retry.js';
import { scanRemainder } from './scan-remainder.js';
import type { ScanOptions } from './types.js';

/** Where the scanner finds nodes, and whom it tells when one failed. */
export interface ScanNodes {
  choose(key: Uint8Array, avoid: ReadonlySet<string>): string | undefined;
  onStaleMap(): void;
}

export interface ScanLimits extends CallLimits {
  /** Milliseconds from asking for a page to having it, over all attempts. */
  readonly pageMsMax: number;
}

/** Throws QuorateError (INVALID_ARGUMENT). */
export function scanQuery(options: ScanOptions): ScanQuery {
  const bound = (field: 'start' | 'end' | 'prefix'): Uint8Array =>
    options[field] === undefined ? emptyBytes : bytesOf(field, options[field]);
  const count = (field: 'limit' | 'pageBytes' | 'readTs'): number =>
    options[field] === undefined ? 0 : wholeNumberOf(field, options[field], 0);
  return {
    start: bound('start'),
    end: bound('end'),
    prefix: bound('prefix'),
    reverse: flagOf('reverse', options.reverse),
    keysOnly: flagOf('keysOnly', options.keysOnly),
    limit: count('limit'),
    pageBytes: count('pageBytes'),
    consistency: consistencyOf(options),
    readTs: Timestamp(count('readTs')),
    pageTimeoutMs: 0,
  };
}

/** The pages of a scan, all at one read timestamp: what can be tried again goes on behind the last key that was read. */
export async function* scanPages(
  query: ScanQuery,
  limits: ScanLimits,
  { calls, nodes }: { readonly calls: Calls; readonly nodes: ScanNodes },
): AsyncGenerator<ScanPage, void, undefined> {
  let rest = query;
  /** Where attempts failed since the last page. */
  const avoid = new Set<string>();
  let lastError: QuorateError | undefined;
  let askedMs = performance.now();
  for (let attempts = 1; ; attempts++) {
    const address = nodes.choose(rest.start, avoid);
    let progressed = false;
    try {
      if (address === undefined) throw new QuorateError('UNAVAILABLE', 'no node is available');
      if (avoid.has(address)) avoid.clear();
      for await (const page of pagesOf(calls, address, rest, { ...limits, askedMs })) {
        const remainder = scanRemainder(rest, page);
        attempts = 1;
        progressed = true;
        avoid.clear();
        lastError = undefined;
        yield page;
        if (remainder === undefined) return;
        rest = remainder;
        askedMs = performance.now();
      }
      return;
    } catch (thrown) {
      if (limits.signal?.aborted === true) {
        throw cancelledError(limits.signal.reason, { maybeApplied: false, lastError: undefined });
      }
      const error = finalError(fromGrpcError(thrown), false);
      const nowMs = performance.now();
      if (nowMs >= askedMs + limits.pageMsMax)
        throw deadlineError(limits.pageMsMax, { maybeApplied: false, lastError });
      // A node's own limit on the time of one call (requestTimeoutMsMax) does not bound a scan that gets ahead.
      if (error.code === 'DEADLINE_EXCEEDED' && progressed && nowMs < limits.deadlineMs) continue;
      lastError = moreTelling(lastError, error);
      if (tryElsewhere(error)) {
        nodes.onStaleMap();
        if (address !== undefined) avoid.add(address);
      }
      const deadlineMs = Math.min(limits.deadlineMs, askedMs + limits.pageMsMax);
      const decision = decideRetry({ error, attempts, nowMs, startMs: askedMs, deadlineMs, random: Math.random() });
      if (decision.type === 'giveUp') throw lastError;
      await delay(decision.atMs - nowMs, limits);
    }
  }
}

/** The pages of one attempt. @param limits `askedMs`: since when the caller waits for the first of them */
async function* pagesOf(
  calls: Calls,
  address: string,
  query: ScanQuery,
  limits: ScanLimits & { readonly askedMs: number },
): AsyncGenerator<ScanPage, void, undefined> {
  const { signal, pageMsMax } = limits;
  signal?.throwIfAborted();
  // The node gives up a little sooner, and says why.
  const pageTimeoutMs = Math.max(1, Math.floor(limits.askedMs + pageMsMax - performance.now()));
  const call = await calls.scan(address, encodeScanRequest({ ...query, pageTimeoutMs }), limits);
  const cancel = (): void => call.cancel();
  // What fails after the reader has gone concerns nobody.
  call.on('error', () => undefined);
  const stopListening = onAbort(signal, cancel);
  // The time that the reader takes between two pages does not count. Timers may fire a millisecond early.
  let timer = setTimeout(cancel, limits.askedMs + pageMsMax - performance.now() + 1);
  try {
    for await (const bytes of call as AsyncIterable<Buffer>) {
      clearTimeout(timer);
      yield decodeScanPage(bytes);
      timer = setTimeout(cancel, pageMsMax + 1);
    }
  } finally {
    clearTimeout(timer);
    stopListening();
    cancel();
  }
}
