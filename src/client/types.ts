/** What callers give to the client, and what they get. */
import type { ScanPage, ScanRecord } from '../rpc/backend.js';
import type { OperationResult, RequestId } from '../rpc/public-types.js';

/** A key or value; text is taken as UTF-8. Bytes are copied before the call returns. */
export type Bytes = Uint8Array | string;

export interface CallOptions {
  /** Milliseconds within which the call ends, retries included; at most a day. Default: the client's `deadlineMs`. */
  readonly deadlineMs?: number | undefined;
  /** Ends the call early with CANCELLED; a write may still take effect, as the error's `outcome` says. */
  readonly signal?: AbortSignal | undefined;
}

export const consistencies = ['linearizable', 'stale'] as const;

export interface ReadOptions extends CallOptions {
  /** `stale` may lag behind. Default `linearizable`. */
  readonly consistency?: (typeof consistencies)[number] | undefined;
}

/** What must hold for a write to take effect: at most one of them. Default: nothing. */
export interface WriteConditions {
  /** The key has no value. */
  readonly ifAbsent?: boolean | undefined;
  /** The key's value has this version. */
  readonly ifVersion?: number | undefined;
  /** The key has this value. */
  readonly ifValue?: Bytes | undefined;
}

export interface WriteOptions extends CallOptions, WriteConditions {
  /**
   * Names the write, so that it takes effect at most once even when it is sent again by another process.
   * Default: the client makes one, which makes its own retries safe.
   */
  readonly requestId?: RequestId | undefined;
}

type Result<Type extends OperationResult['type']> = Extract<OperationResult, { readonly type: Type }>;

export type GetResult = Result<'found' | 'absent'>;
/** A failed condition is a result, not an exception. */
export type PutResult = Result<'written' | 'conditionFailed'>;
export type DeleteResult = Result<'written' | 'nothingDeleted' | 'conditionFailed'>;

export type BatchOperation =
  | { readonly type: 'get'; readonly key: Bytes; readonly consistency?: ReadOptions['consistency'] }
  | ({ readonly type: 'put'; readonly key: Bytes; readonly value: Bytes } & BatchWriteOptions)
  | ({ readonly type: 'delete'; readonly key: Bytes } & BatchWriteOptions);

type BatchWriteOptions = Omit<WriteOptions, keyof CallOptions>;

/** A check changes nothing, and must have a condition. */
export type AtomicOperation =
  | ({ readonly type: 'put'; readonly key: Bytes; readonly value: Bytes } & WriteConditions)
  | ({ readonly type: 'delete'; readonly key: Bytes } & WriteConditions)
  | ({ readonly type: 'check'; readonly key: Bytes } & WriteConditions);

export type AtomicBatchOptions = Omit<WriteOptions, keyof WriteConditions>;

/** `conditionsFailed`: nothing was changed, and `failures` says which conditions did not hold. */
export type AtomicBatchResult = Result<'written' | 'conditionsFailed'>;

/** One operation's part of a batch; `failed` carries the error that a single call would have thrown. */
export type BatchResult = OperationResult;

export interface ScanOptions extends ReadOptions {
  /** First key; default: from the beginning. */
  readonly start?: Bytes | undefined;
  /** First key after the range; default: to the end. */
  readonly end?: Bytes | undefined;
  /** Only keys that begin with this. Combines with `start` and `end`. */
  readonly prefix?: Bytes | undefined;
  /** From the largest key to the smallest. Default false. */
  readonly reverse?: boolean | undefined;
  /** Leave values out (they come as empty). Default false. */
  readonly keysOnly?: boolean | undefined;
  /** Records at most. Default: all. */
  readonly limit?: number | undefined;
  /** About this many bytes a page. Default: the node's limit. */
  readonly pageBytes?: number | undefined;
  /** For the whole scan, the time that the caller takes included. Default: the client's `scanDeadlineMs`. */
  readonly deadlineMs?: number | undefined;
  /**
   * Milliseconds without a page, retries included and the caller's own time not, after which the scan ends with
   * DEADLINE_EXCEEDED. Default: the client's `deadlineMs`.
   */
  readonly pageDeadlineMs?: number | undefined;
  /**
   * Reads the range as it was at this timestamp, for example that of an earlier scan's pages. Default: now. One that
   * was not issued yet is refused with INVALID_ARGUMENT, one from before the nodes' `versionRetentionMs` with
   * READ_TOO_OLD.
   */
  readonly readTs?: number | undefined;
}

export type { RequestId, ScanPage, ScanRecord };
