import { assert, AssertionError, defined } from '../base/assert.js';
import { emptyBytes, mapKey } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import { Timestamp } from '../base/ids.js';
import { conditionsFailed, decideWrite, needsCurrent, unmetConditions } from './conditions.js';
import { absent, type KeyState } from './effects-in-flight.js';
import { requestTimeKey } from './keyspace.js';
import type { AtomicBatch, KeyWrite, OperationResult, VersionedValue } from './operations.js';
import type { ExpiryScan } from './request-expiry.js';
import { decodeRequestRecord, encodeRequestRecord, fingerprint, type RequestOutcome } from './request-records.js';
import type { Effect } from './write-batch-format.js';

/** A write, and the raw keys that it concerns: as they are, and for maps. */
export type PreparedWrite =
  | {
      readonly type: 'keyWrite';
      readonly operation: KeyWrite;
      readonly user: Uint8Array;
      readonly userMapKey: string;
      readonly request: Uint8Array;
      readonly requestMapKey: string;
    }
  | {
      readonly type: 'atomicBatch';
      readonly operation: AtomicBatch;
      /** In the order of the operations. */
      readonly users: readonly Uint8Array[];
      readonly userMapKeys: readonly string[];
      readonly request: Uint8Array;
      readonly requestMapKey: string;
    };

type Prepared<Type extends PreparedWrite['type']> = Extract<PreparedWrite, { readonly type: Type }>;

type PresentState = KeyState & { readonly value: VersionedValue };

/**
 * One evaluation: the state as it moves on from operation to operation, and what has changed. Pure: it has all that it
 * needs, and its owner decides what becomes of the effects.
 */
export class Evaluation {
  readonly effects: Effect[] = [];
  readonly changed = new Map<string, KeyState>();
  lastVersion: Timestamp;
  readonly #states: Map<string, KeyState>;

  constructor(states: Map<string, KeyState>, lastVersion: Timestamp) {
    this.#states = states;
    this.lastVersion = lastVersion;
  }

  evaluate(write: PreparedWrite, version: Timestamp): OperationResult {
    const { value: record, answer } = defined(this.#states.get(write.requestMapKey), 'the state of a request id');
    if (record !== undefined) return answerAgain(write, record, answer);
    if (version <= this.lastVersion) return { type: 'failed', error: timestampTooLow(version, this.lastVersion) };

    this.lastVersion = version;
    const result = write.type === 'keyWrite' ? this.#writeKey(write, version) : this.#writeBatch(write, version);
    this.#remember(write, version, result);
    return result;
  }

  /** Deletes expired request records. None of them was changed here: a record that is present is never replaced. */
  forget(expiry: ExpiryScan): void {
    for (const { recordKey, timeKey } of expiry.expired) {
      const asMapKey = mapKey(recordKey);
      assert(!this.changed.has(asMapKey), 'a request record was replaced while its entry by time existed');
      this.#delete(recordKey, asMapKey);
      this.effects.push({ type: 'delete', key: timeKey, version: this.lastVersion });
    }
  }

  #writeKey({ operation, user, userMapKey }: Prepared<'keyWrite'>, version: Timestamp): OperationResult {
    const current = this.#states.get(userMapKey);
    assert(current !== undefined || !needsCurrent(operation), 'the state of a key was not prepared');
    const decision = decideWrite(operation, current?.value);
    if (decision.type !== 'write') return decision;
    if (operation.type === 'put') this.#put(user, userMapKey, { value: { version, value: operation.value } });
    else this.#delete(user, userMapKey);
    return { type: 'written', version };
  }

  /** All of it or nothing: conditions first, on the state before the batch. */
  #writeBatch({ operation, users, userMapKeys }: Prepared<'atomicBatch'>, version: Timestamp): OperationResult {
    const { operations } = operation;
    const currentOf = (index: number): VersionedValue | undefined =>
      defined(this.#states.get(userMapKeys[index]), 'the state of a key with a condition').value;
    const unmet = unmetConditions(operations, currentOf);
    if (unmet.length > 0) return conditionsFailed(unmet);
    for (let i = 0; i < operations.length; i++) {
      const each = operations[i];
      if (each.type === 'put') this.#put(users[i], userMapKeys[i], { value: { version, value: each.value } });
      else if (each.type === 'delete') this.#delete(users[i], userMapKeys[i]);
    }
    return { type: 'written', version };
  }

  #remember({ operation, request, requestMapKey }: PreparedWrite, version: Timestamp, answer: OperationResult): void {
    const value = encodeRequestRecord({ fingerprint: fingerprint(operation), outcome: outcomeOf(answer) });
    this.#put(request, requestMapKey, { value: { version, value }, answer });
    const timeKey = requestTimeKey(version, operation.requestId);
    this.effects.push({ type: 'put', key: timeKey, version, value: emptyBytes });
  }

  #put(key: Uint8Array, asMapKey: string, state: PresentState): void {
    const { version, value } = state.value;
    this.effects.push({ type: 'put', key, version, value });
    this.#change(asMapKey, state);
  }

  #delete(key: Uint8Array, asMapKey: string): void {
    this.effects.push({ type: 'delete', key, version: this.lastVersion });
    this.#change(asMapKey, absent);
  }

  #change(asMapKey: string, state: KeyState): void {
    this.#states.set(asMapKey, state);
    this.changed.set(asMapKey, state);
  }
}

function outcomeOf(answer: OperationResult): RequestOutcome {
  switch (answer.type) {
    case 'written':
    case 'nothingDeleted':
      return { type: answer.type };
    case 'conditionFailed':
      return { type: 'conditionFailed', metVersion: metVersion(answer.current) };
    case 'conditionsFailed': {
      const failures = answer.failures.map(({ index, current }) => ({ index, metVersion: metVersion(current) }));
      return { type: 'conditionsFailed', failures };
    }
    default:
      throw new AssertionError(`a write was answered with ${answer.type}`);
  }
}

function metVersion(current: { readonly version: Timestamp } | undefined): Timestamp {
  return current?.version ?? Timestamp(0);
}

/** The answer of the first time, to the same operation. */
function answerAgain(
  { operation }: PreparedWrite,
  record: VersionedValue,
  answer: OperationResult | undefined,
): OperationResult {
  if (decodeRequestRecord(record.value).fingerprint !== fingerprint(operation)) {
    const message = `request id reuse: seq ${operation.requestId.seq} of this session was used for another write`;
    return { type: 'failed', error: new QuorateError('INVALID_ARGUMENT', message) };
  }
  return defined(answer, 'the answer that a request record stands for');
}

function timestampTooLow(version: Timestamp, lastVersion: Timestamp): QuorateError {
  return new QuorateError(
    'TIMESTAMP_UNAVAILABLE',
    `timestamp regression: ${version} is not above ${lastVersion}, the newest version of the shard`,
  );
}
