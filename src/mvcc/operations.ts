/** The operations on keys that a shard evaluates, and their results: plain data, shared by router, shards and rpc. */
import type { QuorateError } from '../base/errors.js';
import type { Timestamp } from '../base/ids.js';

/** What must hold for a write to take effect; looked at atomically with the write. */
export type Condition =
  | { readonly type: 'none' }
  | { readonly type: 'absent' }
  | { readonly type: 'versionEquals'; readonly version: Timestamp }
  | { readonly type: 'valueEquals'; readonly value: Uint8Array };

/**
 * Names one write of one client, so that a retry takes effect at most once.
 * See docs/protocol/request-ids.md for how long it is remembered.
 */
export interface RequestId {
  /** 16 random bytes, chosen by the client at its start. */
  readonly session: Uint8Array;
  /** Counted by the client, unique in its session. */
  readonly seq: number;
}

export type WriteOperation =
  | {
      readonly type: 'put';
      readonly key: Uint8Array;
      readonly value: Uint8Array;
      readonly condition: Condition;
      readonly requestId: RequestId;
    }
  | {
      readonly type: 'delete';
      readonly key: Uint8Array;
      readonly condition: Condition;
      readonly requestId: RequestId;
    };

export interface GetOperation {
  readonly type: 'get';
  readonly key: Uint8Array;
  /** `stale`: from whichever replica is asked, without a round to the others. */
  readonly consistency: 'linearizable' | 'stale';
}

export type Operation = GetOperation | WriteOperation;

/** A value and the version (commit timestamp) of the write that made it. */
export interface VersionedValue {
  readonly version: Timestamp;
  readonly value: Uint8Array;
}

export type OperationResult =
  | { readonly type: 'found'; readonly version: Timestamp; readonly value: Uint8Array }
  | { readonly type: 'absent' }
  /** The write took effect at `version`, now or when the same request id came first. */
  | { readonly type: 'written'; readonly version: Timestamp }
  /** A delete found nothing to delete, now or when the same request id came first. */
  | { readonly type: 'nothingDeleted' }
  /** As `nothingDeleted`: the condition did not hold; `current` is what it met, undefined when the key was absent. */
  | { readonly type: 'conditionFailed'; readonly current: VersionedValue | undefined }
  | { readonly type: 'failed'; readonly error: QuorateError };

/** Bytes that an operation's caller sent: key, value, and the value of a condition. */
export function payloadBytes(operation: Operation): number {
  let bytes = operation.key.length;
  if (operation.type === 'put') bytes += operation.value.length;
  if (operation.type !== 'get' && operation.condition.type === 'valueEquals') bytes += operation.condition.value.length;
  return bytes;
}
