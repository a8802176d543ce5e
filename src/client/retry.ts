/** Whether and when a failed attempt is made again, and how a call ends that is not: pure decisions. */
import { QuorateError, type ErrorCode } from '../base/errors.js';
import { answerTimeoutMs } from '../rpc/timeouts.js';

const delayMsMin = 5;
const delayMsMax = 250;
const reconnectMsMax = 5000;

/**
 * Nodes remember a request for ten minutes, unless they are told otherwise, by timestamps that run at most twice as fast as clocks
 * (docs/protocol/request-ids.md). What is sent after that may be done again, so no attempt may end later than this.
 */
const writeMsMax = 240_000;

/** When an operation ends at the latest: a write may be tried again for a time only, whatever its caller allows. */
export function operationDeadlineMs(
  isWrite: boolean,
  { startMs, deadlineMs }: { readonly startMs: number; readonly deadlineMs: number },
): number {
  return isWrite ? Math.min(deadlineMs, startMs + writeMsMax) : deadlineMs;
}

export type RetryDecision = { readonly type: 'giveUp' } | { readonly type: 'retry'; readonly atMs: number };

export interface FailedAttempt {
  readonly error: QuorateError;
  /** Attempts made, this one included. */
  readonly attempts: number;
  readonly nowMs: number;
  /** Since when the caller waits. */
  readonly startMs: number;
  readonly deadlineMs: number;
  /** Uniform over [0, 1). */
  readonly random: number;
}

/**
 * Every operation of the client can be sent again without harm: reads change nothing and writes have a request id. So
 * the error alone decides, and whether there is time. There is none where a node would have given up by now: an attempt
 * that gets no answer any more would leave the outcome of a write unknown, which the answer before it had told.
 */
export function decideRetry({ error, attempts, nowMs, startMs, deadlineMs, random }: FailedAttempt): RetryDecision {
  if (!error.retryable) return { type: 'giveUp' };
  const atMs = nowMs + Math.max(backoffMs(attempts, random), error.retryAfterMs ?? 0);
  return atMs < startMs + answerTimeoutMs(deadlineMs - startMs) ? { type: 'retry', atMs } : { type: 'giveUp' };
}

/** Exponential, with half of it random so that clients spread. */
export function backoffMs(attempts: number, random: number): number {
  return exponentialMs(attempts, random, delayMsMax);
}

/**
 * How long a node is left alone after `failures` failed connections in a row. Grows further than between attempts: a
 * node that advertises an address which this client cannot reach must not cost every operation a connection attempt,
 * and others forward meanwhile.
 */
export function reconnectMs(failures: number, random: number): number {
  return exponentialMs(failures + 2, random, reconnectMsMax);
}

function exponentialMs(attempts: number, random: number, msMax: number): number {
  return Math.min(msMax, delayMsMin * 2 ** Math.min(attempts - 1, 16)) * (0.5 + random / 2);
}

const elsewhereCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_LEADER',
  'SHARD_UNAVAILABLE',
  'TIMESTAMP_UNAVAILABLE',
  'NODE_STOPPING',
  'UNAVAILABLE',
]);

/** Whether another node may do better than the one that answered this. */
export function tryElsewhere(error: QuorateError): boolean {
  return elsewhereCodes.has(error.code);
}

/** Whether the answer hints that the client's shard map is out of date. */
export function hintsAtStaleMap(error: QuorateError): boolean {
  return error.code === 'EPOCH_MISMATCH' || tryElsewhere(error);
}

/** What is known of an operation that ends without an answer. */
export interface Unanswered {
  /** A write of which an attempt may have taken effect. */
  readonly maybeApplied: boolean;
  readonly lastError: QuorateError | undefined;
}

/**
 * The caller's time is up. What a node said about the shard is how the call ends, as when the node's own time is up;
 * else nobody knows why it took so long.
 */
export function deadlineError(deadlineMs: number, { maybeApplied, lastError }: Unanswered): QuorateError {
  const reason =
    lastError === undefined ? '' : `; the last attempt failed with ${lastError.code}: ${lastError.message}`;
  return new QuorateError(codeAtDeadline(lastError), `no answer within ${Math.round(deadlineMs)} ms${reason}`, {
    outcome: maybeApplied ? 'unknown' : 'notApplied',
    shard: lastError?.shard,
    retryAfterMs: lastError?.retryAfterMs,
    cause: lastError,
  });
}

function codeAtDeadline(lastError: QuorateError | undefined): ErrorCode {
  if (lastError?.shard === undefined) return 'DEADLINE_EXCEEDED';
  return lastError.code === 'OVERLOADED' ? 'OVERLOADED' : 'SHARD_UNAVAILABLE';
}

export function cancelledError(reason: unknown, { maybeApplied, lastError }: Unanswered): QuorateError {
  const why = reason instanceof Error ? reason.message : String(reason);
  return new QuorateError('CANCELLED', `cancelled: ${why}`, {
    outcome: maybeApplied ? 'unknown' : 'notApplied',
    shard: lastError?.shard,
    cause: reason,
  });
}

/** How a call ends whose last attempt failed: an attempt before it may still have taken effect; a read never has. */
export function finalError(error: QuorateError, maybeApplied: boolean): QuorateError {
  const outcome = maybeApplied ? 'unknown' : 'notApplied';
  if (error.outcome === outcome) return error;
  const { code, message, retryable, shard, retryAfterMs } = error;
  return new QuorateError(code, message, { outcome, retryable, shard, retryAfterMs, cause: error });
}

/**
 * The error to end with when there is no time for another attempt: what a node said about the shard tells the caller
 * more than the connection or the time that an attempt after it did not get.
 */
export function moreTelling(before: QuorateError | undefined, latest: QuorateError): QuorateError {
  const vague = latest.code === 'UNAVAILABLE' || latest.code === 'DEADLINE_EXCEEDED';
  return before?.shard !== undefined && vague ? before : latest;
}
