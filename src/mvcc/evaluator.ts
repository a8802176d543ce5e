/**
 * Turns write operations into effects, on the leader of a shard and there only.
 *
 * Operations evaluate on the newest state: what is in flight (evaluated, not yet applied) first, the engine where
 * nothing in flight touches the key. That is the newest state because every change of the shard goes through the one
 * evaluator of its leader, and because a new leader evaluates only after an entry of its own term is applied.
 *
 * What the host must do, in a loop: `prepare`, ask for timestamps, `evaluate`, propose the batch; when the entry is
 * applied to the state machine, call `applied` and only then answer. Every answer is tied to an entry: it carries the
 * record of the answer, so that the same request gets no other one later. An entry is made also where it changes
 * nothing: an answer that is given again is a read, and a leader that was deposed without knowing it must not answer
 * reads. A result may also rest on an earlier entry, which is applied before. When Raft refuses the
 * proposal, the host calls `withdraw`; when leadership is lost, or entries in flight will be refused when applied,
 * `reset`.
 */
import { assert, defined } from '../base/assert.js';
import { equalBytes, mapKey } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import { Timestamp, timestampMax } from '../base/ids.js';
import type { MaybePromise } from '../base/promises.js';
import { absent, type KeyState } from './changed-states.js';
import { needsCurrent } from './conditions.js';
import { EffectsInFlight, type Ticket } from './effects-in-flight.js';
import type { EngineEntry, EngineReader } from './engine.js';
import { Evaluation, type PreparedWrite } from './evaluation.js';
import { decodeFailures } from './failed-conditions.js';
import { failedConditionsKey, maxVersionKey, requestBucketKey, requestsPerBucket, userKey } from './keyspace.js';
import type { OperationResult, RequestId, WriteOperation } from './operations.js';
import { PreparedBucket } from './prepared-bucket.js';
import { RequestExpiry, type ExpiryPosition, type ExpiryScan } from './request-expiry.js';
import { refusedAgain } from './request-answers.js';
import { fingerprint, type RequestOutcome } from './request-records.js';
import { encodeWriteBatch } from './write-batch-writer.js';

export interface EvaluatorOptions {
  /** Request ids are remembered at least this long, by the shard's timestamps. */
  readonly requestIdRetentionMs: number;
}

interface Lookups {
  readonly operations: readonly WriteOperation[];
  readonly writes: readonly PreparedWrite[];
  /** Of user keys that operations look at, by `mapKey` of the raw key. */
  readonly states: Map<string, KeyState>;
}

/** What `evaluate` needs of the stored state. Opaque to the host; good for one `evaluate`, before the next `prepare`. */
export interface PreparedReads extends Lookups {
  readonly lastVersion: Timestamp;
  readonly expiry: ExpiryScan | undefined;
  readonly preparation: number;
  readonly generation: number;
}

export type Evaluated =
  | {
      /** The payload of the entry to propose. */
      readonly batch: Uint8Array;
      /** Names the entry for `applied`. */
      readonly ticket: Ticket;
      /** One for each operation, in their order. To be answered when the entry is applied, not before. */
      readonly results: readonly OperationResult[];
    }
  /** Every operation failed: nothing to propose, answer at once. */
  | { readonly batch: undefined; readonly ticket: undefined; readonly results: readonly OperationResult[] };

/** Expired buckets that one entry looks at, for each bucket that it may change: above 1, so that none pile up. */
const expiredPerOperation = 2;

export class Evaluator {
  readonly #engine: EngineReader;
  readonly #inFlight = new EffectsInFlight();
  readonly #expiry: RequestExpiry;
  /** Highest version of the shard, in flight included; undefined until the first evaluation has read it. */
  #lastVersion: Timestamp | undefined;
  #lastTicket: Ticket = 0;
  /** Where expiry stood before the entry of the last ticket. */
  #lastPosition: ExpiryPosition;
  /** Tickets up to here were given out before a reset: nobody waits for them here. */
  #voidTicket: Ticket = 0;
  #preparation = 0;
  #generation = 0;

  constructor(engine: EngineReader, options: EvaluatorOptions) {
    this.#engine = engine;
    this.#expiry = new RequestExpiry(options.requestIdRetentionMs * 1000);
    this.#lastPosition = this.#expiry.position;
  }

  /** Entries that were evaluated and are not applied. */
  get entriesInFlight(): number {
    return this.#inFlight.entries;
  }

  /**
   * Looks up what the operations need; without a promise where the engine has it in memory. Changes nothing, so the
   * result may be dropped. The operations must be valid (validate.ts); their bytes must stay unchanged until the
   * entry is applied. Rejects with what the engine threw.
   */
  prepare(operations: readonly WriteOperation[]): MaybePromise<PreparedReads> {
    this.#preparation++;
    const states = new Map<string, KeyState>();
    const pending: Promise<void>[] = [];
    const bucketOf = this.#bucketFinder(pending);
    const writes = operations.map((operation): PreparedWrite => {
      const bucket = bucketOf(operation.requestId);
      if (operation.type === 'atomicBatch') {
        const users = operation.operations.map(({ key }) => userKey(key));
        const userMapKeys = operation.operations.map(({ condition }, i) =>
          condition.type === 'none' ? undefined : this.#lookUpUser(users[i], states, pending),
        );
        return { type: 'atomicBatch', operation, users, userMapKeys, bucket };
      }
      const user = userKey(operation.key);
      const userMapKey = needsCurrent(operation) ? this.#lookUpUser(user, states, pending) : undefined;
      return { type: 'keyWrite', operation, user, userMapKey, bucket };
    });
    const stamp = { preparation: this.#preparation, generation: this.#generation };
    const common = { operations, writes, states, ...stamp };
    // What is recorded of the requests says what else is needed.
    const lookups =
      pending.length === 0
        ? this.#lookUpRefusals(writes)
        : Promise.all(pending).then(() => this.#lookUpRefusals(writes));

    const lastVersion = this.#lastVersion ?? this.#readLastVersion();
    const expiry =
      lastVersion instanceof Promise
        ? undefined
        : this.#expiry.scan(this.#engine, (key) => this.#newestState(key, mapKey(key)), {
            now: lastVersion,
            countMax: operations.length * expiredPerOperation,
          });
    if (lookups === undefined && !(lastVersion instanceof Promise) && !(expiry instanceof Promise)) {
      return { ...common, lastVersion, expiry };
    }
    const whenThere = Promise.all([lastVersion, expiry, lookups]);
    return whenThere.then(([lastVersion, expiry]) => ({ ...common, lastVersion, expiry }));
  }

  /**
   * Evaluates the operations in their order, each on the state that those before it leave behind. The operation at
   * position i writes at version `firstTimestamp` + i. Operations that were prepared before a `reset` all fail with
   * NOT_LEADER.
   */
  evaluate(operations: readonly WriteOperation[], prepared: PreparedReads, firstTimestamp: Timestamp): Evaluated {
    assert(prepared.operations === operations, 'these operations were not prepared');
    if (prepared.generation !== this.#generation) return allFailed(operations);
    assert(prepared.preparation === this.#preparation, 'prepared reads are good once, and until the next prepare');
    this.#preparation++;

    const evaluation = new Evaluation(prepared.states, prepared.lastVersion);
    const results = prepared.writes.map((write, i) => evaluation.evaluate(write, Timestamp(firstTimestamp + i)));
    if (results.every((result) => result.type === 'failed')) {
      return { batch: undefined, ticket: undefined, results };
    }
    this.#lastPosition = this.#expiry.position;
    if (evaluation.hasNewRecords) {
      evaluation.storeRecords();
      if (prepared.expiry !== undefined) {
        evaluation.forget(prepared.expiry);
        this.#expiry.taken(prepared.expiry);
      }
    }
    this.#lastVersion = evaluation.lastVersion;
    const ticket = ++this.#lastTicket;
    this.#inFlight.add(ticket, evaluation.changed);
    return { batch: encodeWriteBatch(evaluation.effects), ticket, results };
  }

  /** The entry is applied to the state machine. In the order of tickets; those from before a reset are ignored. */
  applied(ticket: Ticket): void {
    if (ticket > this.#voidTicket) this.#inFlight.applied(ticket);
  }

  /** The entry was refused and will never be in the log. Only in the turn of its `evaluate`, for the newest entry. */
  withdraw(ticket: Ticket): void {
    if (ticket <= this.#voidTicket) return;
    this.#inFlight.withdraw(ticket);
    this.#expiry.restore(this.#lastPosition);
    this.#preparation++;
  }

  /** Forgets what is in flight. Before the next `prepare`, an entry of the replica's newest term must be applied. */
  reset(): void {
    this.#inFlight.clear();
    this.#expiry.reset();
    this.#lastVersion = undefined;
    this.#voidTicket = this.#lastTicket;
    this.#generation++;
  }

  /** Returns the key for maps. */
  #lookUpUser(key: Uint8Array, states: Map<string, KeyState>, pending: Promise<void>[]): string {
    const asMapKey = mapKey(key);
    if (states.has(asMapKey)) return asMapKey;
    states.set(asMapKey, absent);
    const found = this.#newestState(key, asMapKey);
    if (!(found instanceof Promise)) states.set(asMapKey, found);
    else pending.push(found.then((state) => void states.set(asMapKey, state)));
    return asMapKey;
  }

  /** Gives each request its bucket, looked up once. Requests of one client mostly come one after the other. */
  #bucketFinder(pending: Promise<void>[]): (id: RequestId) => PreparedBucket {
    const buckets = new Map<string, PreparedBucket>();
    let last: { readonly session: Uint8Array; readonly number: number; readonly bucket: PreparedBucket } | undefined;
    return (id) => {
      const number = Math.floor(id.seq / requestsPerBucket);
      if (last?.number === number && equalBytes(last.session, id.session)) return last.bucket;
      const candidate = new PreparedBucket(requestBucketKey(id));
      const known = buckets.get(candidate.mapKey);
      const bucket = known ?? candidate;
      last = { session: id.session, number, bucket };
      if (known !== undefined) return bucket;
      buckets.set(bucket.mapKey, bucket);
      const found = this.#newestState(bucket.key, bucket.mapKey);
      if (!(found instanceof Promise)) bucket.load(found);
      else pending.push(found.then((state) => bucket.load(state)));
      return bucket;
    };
  }

  #newestState(key: Uint8Array, asMapKey: string): MaybePromise<KeyState> {
    const inFlight = this.#inFlight.get(asMapKey);
    if (inFlight !== undefined) return inFlight;
    const found = this.#engine.get(key, timestampMax);
    return found instanceof Promise ? found.then(stateOf) : stateOf(found);
  }

  /** Of requests that were refused before: what they were answered. */
  #lookUpRefusals(writes: readonly PreparedWrite[]): Promise<unknown> | undefined {
    const pending: Promise<void>[] = [];
    for (const write of writes) {
      const { operation, bucket } = write;
      const { seq } = operation.requestId;
      const record = bucket.find(seq);
      if (record === undefined || bucket.answer(seq, record) !== undefined) continue;
      if (record.fingerprint !== fingerprint(operation)) continue;
      const keep = (answer: OperationResult | undefined): void => {
        if (answer !== undefined) bucket.setRefusal(seq, answer);
      };
      const found = this.#refusal(write, record.outcome);
      if (found instanceof Promise) pending.push(found.then(keep));
      else keep(found);
    }
    return pending.length === 0 ? undefined : Promise.all(pending);
  }

  /** Undefined where the record is of another write after all, whose fingerprint happens to be the same. */
  #refusal(write: PreparedWrite, outcome: RequestOutcome): MaybePromise<OperationResult | undefined> {
    if (write.type === 'keyWrite') {
      if (outcome.type !== 'conditionFailed') return undefined;
      return refusedAgain(outcome.type, [{ index: 0, ...outcome }], (_index, at) => this.#engine.get(write.user, at));
    }
    if (outcome.type !== 'conditionsFailed') return undefined;
    const { operation, users } = write;
    const again = (stored: EngineEntry | undefined): MaybePromise<OperationResult | undefined> => {
      const failures = decodeFailures(defined(stored, 'which conditions of a batch failed').value);
      if (failures.some(({ index }) => index >= users.length)) return undefined;
      return refusedAgain(outcome.type, failures, (index, at) => this.#engine.get(users[index], at));
    };
    const stored = this.#engine.get(failedConditionsKey(operation.requestId), timestampMax);
    return stored instanceof Promise ? stored.then(again) : again(stored);
  }

  #readLastVersion(): MaybePromise<Timestamp> {
    const found = this.#engine.get(maxVersionKey, timestampMax);
    return found instanceof Promise ? found.then(versionOf) : versionOf(found);
  }
}

function stateOf(entry: EngineEntry | undefined): KeyState {
  if (entry === undefined || entry.kind === 'delete') return absent;
  return { value: { version: entry.version, value: entry.value } };
}

function versionOf(entry: EngineEntry | undefined): Timestamp {
  return entry === undefined ? Timestamp(0) : entry.version;
}

function allFailed(operations: readonly WriteOperation[]): Evaluated {
  const error = new QuorateError('NOT_LEADER', 'leadership was lost before the operation was evaluated');
  return { batch: undefined, ticket: undefined, results: operations.map(() => ({ type: 'failed', error })) };
}
