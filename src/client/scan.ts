import { QuorateError } from '../base/errors.js';
import { emptyBytes } from '../base/bytes.js';
import { Timestamp } from '../base/ids.js';
import type { ScanPage } from '../rpc/backend.js';
import { decodeScanPage, encodeScanRequest, type ScanQuery } from '../rpc/scan-codec.js';
import { fromGrpcError } from '../rpc/status.js';
import { delay, type CallLimits, type Calls } from './calls.js';
import { bytesOf } from './operations.js';
import { invalid } from './options.js';
import { cancelledError, decideRetry, finalError, moreTelling, tryElsewhere } from './retry.js';
import { scanRemainder } from './scan-remainder.js';
import type { ScanOptions } from './types.js';

/** Where the scanner finds nodes, and whom it tells when one failed. */
export interface ScanRouting {
  choose(key: Uint8Array, avoid: string | undefined): string | undefined;
  onStaleMap(): void;
}

/** Throws QuorateError (INVALID_ARGUMENT). */
export function scanQuery(options: ScanOptions): ScanQuery {
  return {
    start: options.start === undefined ? emptyBytes : bytesOf(options.start),
    end: options.end === undefined ? emptyBytes : bytesOf(options.end),
    prefix: options.prefix === undefined ? emptyBytes : bytesOf(options.prefix),
    reverse: options.reverse ?? false,
    keysOnly: options.keysOnly ?? false,
    limit: count('limit', options.limit),
    pageBytes: count('pageBytes', options.pageBytes),
    consistency: options.consistency ?? 'linearizable',
    readTs: Timestamp(count('readTs', options.readTs)),
  };
}

/** The pages of a scan, all at one read timestamp: what can be tried again goes on behind the last key that was read. */
export async function* scanPages(
  calls: Calls,
  routing: ScanRouting,
  query: ScanQuery,
  limits: CallLimits,
): AsyncGenerator<ScanPage, void, undefined> {
  let rest = query;
  let avoid: string | undefined;
  let lastError: QuorateError | undefined;
  for (let attempts = 1; ; attempts++) {
    const address = routing.choose(rest.start, avoid);
    let progressed = false;
    try {
      if (address === undefined) throw new QuorateError('UNAVAILABLE', 'no node is available');
      for await (const page of pagesOf(calls, address, rest, limits)) {
        const remainder = scanRemainder(rest, page);
        attempts = 1;
        progressed = true;
        yield page;
        if (remainder === undefined) return;
        rest = remainder;
      }
      return;
    } catch (thrown) {
      if (limits.signal?.aborted === true) {
        throw cancelledError(limits.signal.reason, { maybeApplied: false, lastError: undefined });
      }
      const error = finalError(fromGrpcError(thrown), false);
      // A node's own limit on the time of one call (requestTimeoutMsMax) does not bound a scan that gets ahead.
      if (error.code === 'DEADLINE_EXCEEDED' && progressed && performance.now() < limits.deadlineMs) continue;
      lastError = moreTelling(lastError, error);
      if (tryElsewhere(error)) {
        routing.onStaleMap();
        avoid = address;
      }
      const time = { nowMs: performance.now(), deadlineMs: limits.deadlineMs };
      const decision = decideRetry({ error, attempts, ...time, random: Math.random() });
      if (decision.type === 'giveUp') throw lastError;
      await delay(decision.atMs - time.nowMs, limits);
    }
  }
}

async function* pagesOf(
  calls: Calls,
  address: string,
  query: ScanQuery,
  { deadlineMs, signal }: CallLimits,
): AsyncGenerator<ScanPage, void, undefined> {
  signal?.throwIfAborted();
  const call = calls.scan(address, encodeScanRequest(query), deadlineMs);
  const cancel = (): void => call.cancel();
  // What fails after the reader has gone concerns nobody.
  call.on('error', () => undefined);
  signal?.addEventListener('abort', cancel);
  try {
    for await (const bytes of call as AsyncIterable<Buffer>) yield decodeScanPage(bytes);
  } finally {
    signal?.removeEventListener('abort', cancel);
    cancel();
  }
}

function count(name: string, value: number | undefined): number {
  if (value === undefined) return 0;
  if (!Number.isSafeInteger(value) || value < 0) throw invalid(`${name} is a whole number from 0 on, got ${value}`);
  return value;
}
