import { assert, defined } from '../base/assert.js';
import { emptyBytes, mapKey } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import type { Timestamp } from '../base/ids.js';
import { decideWrite, needsCurrent } from './conditions.js';
import { absent, type KeyState } from './effects-in-flight.js';
import { requestTimeKey } from './keyspace.js';
import type { OperationResult, VersionedValue, WriteOperation } from './operations.js';
import type { ExpiryScan } from './request-expiry.js';
import { decodeRequestRecord, encodeRequestRecord, fingerprint } from './request-records.js';
import type { Effect } from './write-batch-format.js';

/** Raw keys that an operation concerns, and the same for maps. */
export interface OperationKeys {
  readonly user: Uint8Array;
  readonly userMapKey: string;
  readonly request: Uint8Array;
  readonly requestMapKey: string;
}

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

  evaluate(operation: WriteOperation, keys: OperationKeys, version: Timestamp): OperationResult {
    const record = defined(this.#states.get(keys.requestMapKey), 'the state of a request id').value;
    if (record !== undefined) return answerRetry(operation, record);

    const current = this.#states.get(keys.userMapKey);
    assert(current !== undefined || !needsCurrent(operation), 'the state of a key was not prepared');
    const decision = decideWrite(operation, current?.value);
    if (decision.type === 'answer') return decision.result;

    if (version <= this.lastVersion) return { type: 'failed', error: timestampTooLow(version, this.lastVersion) };
    this.lastVersion = version;
    if (operation.type === 'put') this.#put(keys.user, keys.userMapKey, { version, value: operation.value });
    else this.#delete(keys.user, keys.userMapKey);
    const newRecord = { version, value: encodeRequestRecord(fingerprint(operation)) };
    this.#put(keys.request, keys.requestMapKey, newRecord);
    const timeKey = requestTimeKey(version, operation.requestId);
    this.effects.push({ type: 'put', key: timeKey, version, value: emptyBytes });
    return { type: 'written', version };
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

  #put(key: Uint8Array, asMapKey: string, value: VersionedValue): void {
    this.effects.push({ type: 'put', key, version: value.version, value: value.value });
    this.#change(asMapKey, { value });
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

function answerRetry(operation: WriteOperation, record: VersionedValue): OperationResult {
  if (decodeRequestRecord(record.value) === fingerprint(operation)) {
    return { type: 'written', version: record.version };
  }
  const message = `request id reuse: seq ${operation.requestId.seq} of this session was used for another write`;
  return { type: 'failed', error: new QuorateError('INVALID_ARGUMENT', message) };
}

function timestampTooLow(version: Timestamp, lastVersion: Timestamp): QuorateError {
  return new QuorateError(
    'TIMESTAMP_UNAVAILABLE',
    `timestamp regression: ${version} is not above ${lastVersion}, the newest version of the shard`,
  );
}
