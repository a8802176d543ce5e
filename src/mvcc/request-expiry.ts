/**
 * Finds request records that are old enough to be forgotten, oldest first and a few at a time: every entry that
 * changes something also deletes some, so that followers forget the same ones without looking at a clock.
 *
 * The entries by time form a queue of buckets. A bucket that has changed since is passed over: there is a later entry for
 * it. A position is kept behind what was taken, so that a scan neither meets what entries in flight already delete, nor
 * wades through the tombstones of what was deleted before.
 */
import { keySuccessor } from '../base/bytes.js';
import { Timestamp, timestampMax } from '../base/ids.js';
import type { MaybePromise } from '../base/promises.js';
import type { KeyState } from './changed-states.js';
import type { EngineReader } from './engine.js';
import {
  decodeBucketList,
  decodeRequestBucketKey,
  decodeRequestTimeKey,
  failedConditionsKey,
  keyPrefix,
  prefixKey,
  requestTimeKey,
} from './keyspace.js';
import { RequestBucket } from './request-records.js';

/** A bucket without a record that is young. */
interface ExpiredBucket {
  readonly key: Uint8Array;
  /** Raw keys of what is stored beside its records. */
  readonly besides: readonly Uint8Array[];
}

/** What an entry may delete. */
export interface ExpiryScan {
  readonly buckets: readonly ExpiredBucket[];
  /** Raw keys of entries by time that have no bucket left. */
  readonly timeKeys: readonly Uint8Array[];
  /** Where the next scan goes on. */
  readonly position: ExpiryPosition;
}

/** The newest state of a raw key, with what is in flight. */
export type NewestState = (key: Uint8Array) => MaybePromise<KeyState>;

/** How far expired records were taken. */
export interface ExpiryPosition {
  /** Raw key; everything before it was taken. */
  readonly next: Uint8Array;
  /** So many buckets of the entry `next` were taken. */
  readonly bucketsTaken: number;
  /** Nothing older than this was left when a scan last reached its end. */
  readonly clearBefore: Timestamp;
}

const start: ExpiryPosition = { next: prefixKey(keyPrefix.requestTime), bucketsTaken: 0, clearBefore: Timestamp(0) };

export class RequestExpiry {
  readonly #retentionMicros: number;
  #position: ExpiryPosition = start;

  constructor(retentionMicros: number) {
    this.#retentionMicros = retentionMicros;
  }

  /**
   * Looks at up to `countMax` buckets, with what is stored beside them, that were changed longer ago than the retention at
   * `now`; the last one may have more besides. Changes nothing. Undefined where nothing is due.
   */
  scan(
    engine: EngineReader,
    newestState: NewestState,
    { now, countMax }: { readonly now: Timestamp; readonly countMax: number },
  ): Promise<ExpiryScan> | undefined {
    const horizon = now - this.#retentionMicros;
    // One scan for every hundredth of the retention is enough, and keeps scans away from the usual batch.
    if (horizon < this.#position.clearBefore + this.#retentionMicros / 100 || horizon <= 0) return undefined;
    return this.#scan(engine, newestState, { horizon: Timestamp(horizon), countMax });
  }

  async #scan(
    engine: EngineReader,
    newestState: NewestState,
    { horizon, countMax }: { readonly horizon: Timestamp; readonly countMax: number },
  ): Promise<ExpiryScan> {
    const buckets: ExpiredBucket[] = [];
    const timeKeys: Uint8Array[] = [];
    let { next, bucketsTaken } = this.#position;
    const { clearBefore } = this.#position;
    let count = 0;
    const upper = requestTimeKey(horizon);
    const iterator = engine.openIterator({ lower: next, upper, at: timestampMax, reverse: false });
    try {
      for (;;) {
        const found = iterator.next();
        const entry = found instanceof Promise ? await found : found;
        if (entry === undefined) return { buckets, timeKeys, position: { next, bucketsTaken, clearBefore: horizon } };
        const time = decodeRequestTimeKey(entry.key);
        const listed = decodeBucketList(entry.value);
        for (; bucketsTaken < listed.length && count < countMax; bucketsTaken++) {
          const key = listed[bucketsTaken];
          const state = newestState(key);
          const { value } = state instanceof Promise ? await state : state;
          count++;
          if (value?.version !== time) continue;
          const besides = storedBeside(key, value.value);
          buckets.push({ key, besides });
          count += besides.length;
        }
        if (bucketsTaken < listed.length) {
          return { buckets, timeKeys, position: { next: entry.key, bucketsTaken, clearBefore } };
        }
        timeKeys.push(entry.key);
        [next, bucketsTaken] = [keySuccessor(entry.key), 0];
      }
    } finally {
      iterator.close();
    }
  }

  get position(): ExpiryPosition {
    return this.#position;
  }

  /** What the scan found is deleted by an entry that will be proposed now. */
  taken({ position }: ExpiryScan): void {
    this.#position = position;
  }

  /** Goes back to before something was taken, because its entry will not be proposed. */
  restore(position: ExpiryPosition): void {
    this.#position = position;
  }

  /** Entries in flight may be lost: start again from the oldest record. */
  reset(): void {
    this.#position = start;
  }
}

function storedBeside(bucketKey: Uint8Array, records: Uint8Array): Uint8Array[] {
  const { session, seq } = decodeRequestBucketKey(bucketKey);
  return new RequestBucket(records).refusedBatches.map((position) =>
    failedConditionsKey({ session, seq: seq + position }),
  );
}
