import type { ShardId } from './ids.js';

/** Whether an operation that failed can have had an effect. The caller of a write must always learn this (G5). */
export type Outcome = 'notApplied' | 'unknown';

/** Stable codes of the public contract; docs/errors.md says what each means and what to do. */
export type ErrorCode =
  | 'INVALID_ARGUMENT' // the request breaks a rule or limit that the message names
  | 'KEYS_IN_DIFFERENT_SHARDS' // an atomic batch has keys of more than one shard
  | 'NOT_LEADER' // this replica does not lead the shard; the router tries elsewhere
  | 'SHARD_UNAVAILABLE' // the shard had no leader, or its leader no quorum, within the deadline
  | 'TIMESTAMP_UNAVAILABLE' // the placement group issued no timestamp within the deadline
  | 'EPOCH_MISMATCH' // the shard's range changed since the request was routed
  | 'DEADLINE_EXCEEDED' // the caller's time was up
  | 'CANCELLED' // the caller gave up
  | 'OVERLOADED' // a queue was full; try again after the hint
  | 'READ_TOO_OLD' // the versions at that timestamp may have been removed
  | 'DISK_FULL' // writes are refused until space returns; reads go on
  | 'CORRUPTION' // damage was found on disk; the node does not serve it
  | 'NODE_STOPPING' // the node is shutting down
  | 'NODE_RETIRED' // the node was replaced: its data directory is out of use for good, and an empty one may take its place
  | 'NODE_REMOVED' // the node was removed, or has another data directory by now: this one is out of use for good
  | 'UNAVAILABLE' // no node could be reached, or a connection broke
  | 'INTERNAL'; // a bug

export interface QuorateErrorOptions {
  /** Default `notApplied`. */
  readonly outcome?: Outcome;
  /** Whether the same request may be sent again and could then succeed. Default by code. */
  readonly retryable?: boolean;
  /** The shard concerned, where there is one. */
  readonly shard?: ShardId | undefined;
  /** Milliseconds to wait before a retry. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

const retryableCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_LEADER',
  'SHARD_UNAVAILABLE',
  'TIMESTAMP_UNAVAILABLE',
  'EPOCH_MISMATCH',
  'OVERLOADED',
  'NODE_STOPPING',
  'UNAVAILABLE',
]);

/** What a node in good order answers under load, failover or wrong use: where in its code says nothing, and costs much. */
const traced: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CORRUPTION', 'INTERNAL']);

/** The one error class of Quorate's public boundary: nodes answer with it, the client throws it. */
export class QuorateError extends Error {
  override readonly name = 'QuorateError';
  readonly code: ErrorCode;
  readonly outcome: Outcome;
  readonly retryable: boolean;
  readonly shard: ShardId | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: QuorateErrorOptions = {}) {
    const { stackTraceLimit } = Error;
    if (!traced.has(code)) Error.stackTraceLimit = 0;
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.code = code;
    this.outcome = options.outcome ?? 'notApplied';
    this.retryable = options.retryable ?? retryableCodes.has(code);
    this.shard = options.shard;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** The same error with an outcome that is unknown: for a write that had left before it failed. */
  withUnknownOutcome(): QuorateError {
    if (this.outcome === 'unknown') return this;
    return new QuorateError(this.code, this.message, {
      outcome: 'unknown',
      retryable: this.retryable,
      shard: this.shard,
      retryAfterMs: this.retryAfterMs,
      cause: this,
    });
  }

  /** Total: whatever was thrown becomes a QuorateError; what is not one already is a bug, and says so. */
  static from(thrown: unknown, outcome: Outcome = 'unknown'): QuorateError {
    if (thrown instanceof QuorateError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new QuorateError('INTERNAL', message, { outcome, cause: thrown });
  }
}

/** What was thrown, as an error: whoever throws something else has none to pass on. */
export function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Bytes on disk are not what was written. Names the place; nothing read from there is used. */
export class CorruptionError extends Error {
  override readonly name = 'CorruptionError';
  /** Path of the damaged file. */
  readonly file: string;
  /** Byte offset of the damaged record or block. */
  readonly offset: number;

  constructor(file: string, offset: number, reason: string, cause?: unknown) {
    super(`${file} is damaged at offset ${offset}: ${reason}`, cause === undefined ? undefined : { cause });
    this.file = file;
    this.offset = offset;
  }
}
