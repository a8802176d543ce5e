import { assert, defined, unreachable } from '../base/assert.js';
import { emptyBytes, mapKey } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import { Timestamp } from '../base/ids.js';
import { decideWrite, needsCurrent, type Decision } from './conditions.js';
import { absent, type KeyState } from './effects-in-flight.js';
import { requestTimeKey } from './keyspace.js';
import type { OperationResult, VersionedValue, WriteOperation } from './operations.js';
import type { ExpiryScan } from './request-expiry.js';
import { decodeRequestRecord, encodeRequestRecord, fingerprint, type RequestOutcome } from './request-records.js';
import type { Effect } from './write-batch-format.js';

/** Raw keys that an operation concerns, and the same for maps. */
export interface OperationKeys {
  readonly user: Uint8Array;
  readonly userMapKey: string;
  readonly request: Uint8Array;
  readonly requestMapKey: string;
}

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

  evaluate(operation: WriteOperation, keys: OperationKeys, version: Timestamp): OperationResult {
    const { value: record, met } = defined(this.#states.get(keys.requestMapKey), 'the state of a request id');
    if (record !== undefined) return answerAgain(operation, record, met);
    if (version <= this.lastVersion) return { type: 'failed', error: timestampTooLow(version, this.lastVersion) };

    const current = this.#states.get(keys.userMapKey);
    assert(current !== undefined || !needsCurrent(operation), 'the state of a key was not prepared');
    const decision = decideWrite(operation, current?.value);
    this.lastVersion = version;
    if (decision.type === 'write') this.#write(operation, keys, version);
    this.#remember(operation, keys, version, decision);
    return decision.type === 'write' ? { type: 'written', version } : decision;
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

  #write(operation: WriteOperation, keys: OperationKeys, version: Timestamp): void {
    if (operation.type === 'put') this.#put(keys.user, keys.userMapKey, { value: { version, value: operation.value } });
    else this.#delete(keys.user, keys.userMapKey);
  }

  #remember(operation: WriteOperation, keys: OperationKeys, version: Timestamp, decision: Decision): void {
    const value = encodeRequestRecord({ fingerprint: fingerprint(operation), outcome: outcomeOf(decision) });
    const met = decision.type === 'conditionFailed' ? decision.current : undefined;
    this.#put(keys.request, keys.requestMapKey, { value: { version, value }, met });
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

function outcomeOf(decision: Decision): RequestOutcome {
  switch (decision.type) {
    case 'write':
      return { type: 'written' };
    case 'nothingDeleted':
      return decision;
    case 'conditionFailed':
      return { type: 'conditionFailed', metVersion: decision.current?.version ?? Timestamp(0) };
    default:
      return unreachable(decision);
  }
}

/** The answer of the first time. `met` is what the condition met then, if it failed and that is still kept. */
function answerAgain(
  operation: WriteOperation,
  { version, value }: VersionedValue,
  met: VersionedValue | undefined,
): OperationResult {
  const record = decodeRequestRecord(value);
  if (record.fingerprint !== fingerprint(operation)) return { type: 'failed', error: requestIdReuse(operation) };
  const { outcome } = record;
  switch (outcome.type) {
    case 'written':
      return { type: 'written', version };
    case 'nothingDeleted':
      return outcome;
    case 'conditionFailed':
      if (outcome.metVersion > 0 && met === undefined) {
        return { type: 'failed', error: metNoLongerKept(outcome.metVersion) };
      }
      assert((met?.version ?? 0) === outcome.metVersion, 'what a condition met is not what its record says');
      return { type: 'conditionFailed', current: met };
    default:
      return unreachable(outcome);
  }
}

function requestIdReuse({ requestId }: WriteOperation): QuorateError {
  const message = `request id reuse: seq ${requestId.seq} of this session was used for another write`;
  return new QuorateError('INVALID_ARGUMENT', message);
}

function metNoLongerKept(metVersion: Timestamp): QuorateError {
  const message = `the request was refused before; what its condition met, version ${metVersion}, is no longer kept`;
  return new QuorateError('READ_TOO_OLD', message);
}

function timestampTooLow(version: Timestamp, lastVersion: Timestamp): QuorateError {
  return new QuorateError(
    'TIMESTAMP_UNAVAILABLE',
    `timestamp regression: ${version} is not above ${lastVersion}, the newest version of the shard`,
  );
}
