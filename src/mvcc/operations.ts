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

/** A write of one key. */
export type KeyWrite =
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

/** One of the operations of an atomic batch. A check changes nothing; its condition is not `none`. */
export type AtomicOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array; readonly condition: Condition }
  | { readonly type: 'delete'; readonly key: Uint8Array; readonly condition: Condition }
  | { readonly type: 'check'; readonly key: Uint8Array; readonly condition: Condition };

/**
 * If all conditions hold, all of it takes effect at one version; otherwise none of it does. At least one operation, no
 * key twice, all keys in one shard. A delete of a key without a value is no failure.
 */
export interface AtomicBatch {
  readonly type: 'atomicBatch';
  readonly operations: readonly AtomicOperation[];
  readonly requestId: RequestId;
}

export type WriteOperation = KeyWrite | AtomicBatch;

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

/** A condition of an atomic batch that did not hold. */
export interface FailedCondition {
  /** Of its operation in the batch. */
  readonly index: number;
  /** What it met, undefined when the key was absent. The value is left out where all values together are too long. */
  readonly current: { readonly version: Timestamp; readonly value: Uint8Array | undefined } | undefined;
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
  /** As `nothingDeleted`, of an atomic batch: these conditions did not hold, in the order of their indexes. */
  | { readonly type: 'conditionsFailed'; readonly failures: readonly FailedCondition[] }
  | { readonly type: 'failed'; readonly error: QuorateError };

/** The key that says which shard an operation is for; an atomic batch has all its keys there. */
export function routingKey(operation: Operation): Uint8Array {
  return operation.type === 'atomicBatch' ? operation.operations[0].key : operation.key;
}
