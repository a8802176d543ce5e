import { AssertionError, defined } from '../base/assert.js';
import { mapKey } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import { Timestamp } from '../base/ids.js';
import { absent, ChangedStates, type KeyState } from './changed-states.js';
import { conditionsFailed, decideWrite, needsCurrent, unmetConditions } from './conditions.js';
import { encodeFailures } from './failed-conditions.js';
import { encodeBucketList, failedConditionsKey, requestTimeKey } from './keyspace.js';
import type { AtomicBatch, AtomicOperation, KeyWrite, OperationResult, VersionedValue } from './operations.js';
import type { PreparedBucket } from './prepared-bucket.js';
import type { ExpiryScan } from './request-expiry.js';
import { fingerprint, type RequestOutcome, type RequestRecord } from './request-records.js';
import type { Effect } from './write-batch-format.js';

/** A write, the raw keys that it concerns, for maps where evaluation looks them up, and the bucket that has its request, or will. */
export type PreparedWrite =
  | {
      readonly type: 'keyWrite';
      readonly operation: KeyWrite;
      readonly user: Uint8Array;
      readonly userMapKey: string | undefined;
      readonly bucket: PreparedBucket;
    }
  | {
      readonly type: 'atomicBatch';
      readonly operation: AtomicBatch;
      /** In the order of the operations. */
      readonly users: readonly Uint8Array[];
      readonly userMapKeys: readonly (string | undefined)[];
      readonly bucket: PreparedBucket;
    };

type Prepared<Type extends PreparedWrite['type']> = Extract<PreparedWrite, { readonly type: Type }>;

/**
 * One evaluation: the state as it moves on from operation to operation, and what has changed. Pure: it has all that it
 * needs, and its owner decides what becomes of the effects.
 */
export class Evaluation {
  readonly effects: Effect[] = [];
  readonly changed = new ChangedStates();
  lastVersion: Timestamp;
  readonly #states: ReadonlyMap<string, KeyState>;
  /** Buckets with new records, which are among the effects and in `changed` when all operations are evaluated. */
  readonly #changedBuckets: PreparedBucket[] = [];

  /** @param states of the keys that operations look at */
  constructor(states: ReadonlyMap<string, KeyState>, lastVersion: Timestamp) {
    this.#states = states;
    this.lastVersion = lastVersion;
  }

  evaluate(write: PreparedWrite, version: Timestamp): OperationResult {
    const { bucket } = write;
    const { seq } = write.operation.requestId;
    const record = bucket.find(seq);
    if (record !== undefined) return answerAgain(write, record);
    if (version <= this.lastVersion) return { type: 'failed', error: timestampTooLow(version, this.lastVersion) };

    this.lastVersion = version;
    const result = write.type === 'keyWrite' ? this.#writeKey(write, version) : this.#writeBatch(write, version);
    if (!bucket.isChanged) this.#changedBuckets.push(bucket);
    this.#remember(write, version, result);
    return result;
  }

  #writeKey({ operation, user, userMapKey }: Prepared<'keyWrite'>, version: Timestamp): OperationResult {
    const decision = decideWrite(operation, needsCurrent(operation) ? this.#current(userMapKey) : undefined);
    if (decision.type !== 'write') return decision;
    this.#changeUser(effectOf(operation, user, version));
    return { type: 'written', version };
  }

  /** All of it or nothing: conditions first, on the state before the batch. */
  #writeBatch({ operation, users, userMapKeys }: Prepared<'atomicBatch'>, version: Timestamp): OperationResult {
    const { operations } = operation;
    const unmet = unmetConditions(operations, (index) => this.#current(userMapKeys[index]));
    if (unmet.length > 0) return conditionsFailed(unmet);
    for (let i = 0; i < operations.length; i++) {
      const each = operations[i];
      if (each.type !== 'check') this.#changeUser(effectOf(each, users[i], version));
    }
    return { type: 'written', version };
  }

  #current(userMapKey: string | undefined): VersionedValue | undefined {
    const key = defined(userMapKey, 'a key that is looked up');
    return defined(this.changed.get(key) ?? this.#states.get(key), 'the state of a key').value;
  }

  #remember({ operation, bucket }: PreparedWrite, version: Timestamp, answer: OperationResult): void {
    const record = { version, fingerprint: fingerprint(operation), outcome: outcomeOf(answer) };
    bucket.add(operation.requestId.seq, record, answer);
    if (answer.type !== 'conditionsFailed') return;
    const failures = answer.failures.map(({ index, current }) => ({ index, metVersion: metVersion(current) }));
    const key = failedConditionsKey(operation.requestId);
    this.effects.push({ type: 'put', key, version, value: encodeFailures(failures) });
  }

  #changeUser(effect: Effect): void {
    this.effects.push(effect);
    this.changed.noteUser(effect);
  }

  /** Whether anything is to be remembered; without that nothing has changed. */
  get hasNewRecords(): boolean {
    return this.#changedBuckets.length > 0;
  }

  /** All operations are evaluated: stores the new request records, all in one version, the last one. */
  storeRecords(): void {
    const version = this.lastVersion;
    for (const bucket of this.#changedBuckets) {
      const state = bucket.stateAt(version);
      this.effects.push({ type: 'put', key: bucket.key, version, value: state.value.value });
      this.changed.set(bucket.mapKey, state);
    }
    const value = encodeBucketList(this.#changedBuckets.map(({ key }) => key));
    this.effects.push({ type: 'put', key: requestTimeKey(version), version, value });
  }

  /** Deletes expired request records, but for buckets that have a new one; those have a new entry by time as well. */
  forget({ buckets, timeKeys }: ExpiryScan): void {
    const version = this.lastVersion;
    for (const { key, besides } of buckets) {
      const asMapKey = mapKey(key);
      if (this.changed.get(asMapKey) !== undefined) continue;
      this.effects.push({ type: 'delete', key, version });
      this.changed.set(asMapKey, absent);
      for (const other of besides) this.effects.push({ type: 'delete', key: other, version });
    }
    for (const key of timeKeys) this.effects.push({ type: 'delete', key, version });
  }
}

function effectOf(operation: Exclude<AtomicOperation, { type: 'check' }>, key: Uint8Array, version: Timestamp): Effect {
  return operation.type === 'put'
    ? { type: 'put', key, version, value: operation.value }
    : { type: 'delete', key, version };
}

function outcomeOf(answer: OperationResult): RequestOutcome {
  switch (answer.type) {
    case 'written':
    case 'nothingDeleted':
    case 'conditionsFailed':
      return { type: answer.type };
    case 'conditionFailed':
      return { type: 'conditionFailed', metVersion: metVersion(answer.current) };
    default:
      throw new AssertionError(`a write was answered with ${answer.type}`);
  }
}

function metVersion(current: { readonly version: Timestamp } | undefined): Timestamp {
  return current?.version ?? Timestamp(0);
}

/** The answer of the first time, to the same operation. */
function answerAgain({ operation, bucket }: PreparedWrite, record: RequestRecord): OperationResult {
  const { seq } = operation.requestId;
  const answer = record.fingerprint === fingerprint(operation) ? bucket.answer(seq, record) : undefined;
  if (answer !== undefined) return answer;
  const message = `request id reuse: seq ${seq} of this session was used for another write`;
  return { type: 'failed', error: new QuorateError('INVALID_ARGUMENT', message) };
}

function timestampTooLow(version: Timestamp, lastVersion: Timestamp): QuorateError {
  return new QuorateError(
    'TIMESTAMP_UNAVAILABLE',
    `timestamp regression: ${version} is not above ${lastVersion}, the newest version of the shard`,
  );
}
