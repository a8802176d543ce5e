/**
 * Finds request records that are old enough to be forgotten, oldest first and a few at a time: every entry that
 * changes something also deletes some, so that followers forget the same ones without looking at a clock.
 *
 * The entries by time form a queue. A position is kept behind what was taken, so that a scan neither meets what
 * entries in flight already delete, nor wades through the tombstones of what was deleted before.
 */
import { keySuccessor } from '../base/bytes.js';
import { Timestamp, timestampMax } from '../base/ids.js';
import type { EngineReader } from './engine.js';
import { decodeRequestTimeKey, keyPrefix, prefixKey, requestTimeBound } from './keyspace.js';

interface ExpiredRequest {
  readonly recordKey: Uint8Array;
  readonly timeKey: Uint8Array;
}

export interface ExpiryScan {
  readonly expired: readonly ExpiredRequest[];
  /** Everything before this time is in `expired` or was taken earlier; undefined where the scan hit its limit. */
  readonly clearBefore: Timestamp | undefined;
}

/** How far expired records were taken. */
export interface ExpiryPosition {
  /** Raw key; everything before it was taken. */
  readonly next: Uint8Array;
  /** Nothing older than this was left when a scan last reached its end. */
  readonly clearBefore: Timestamp;
}

const start: ExpiryPosition = { next: prefixKey(keyPrefix.requestTime), clearBefore: Timestamp(0) };
const nothing: ExpiryScan = { expired: [], clearBefore: undefined };

export class RequestExpiry {
  readonly #retentionMicros: number;
  #position: ExpiryPosition = start;

  constructor(retentionMicros: number) {
    this.#retentionMicros = retentionMicros;
  }

  /** Up to `countMax` records that are older than the retention at `now`. Changes nothing. */
  scan(engine: EngineReader, now: Timestamp, countMax: number): ExpiryScan | Promise<ExpiryScan> {
    const horizon = now - this.#retentionMicros;
    // One scan for every hundredth of the retention is enough, and keeps scans away from the usual batch.
    if (horizon < this.#position.clearBefore + this.#retentionMicros / 100 || horizon <= 0) return nothing;
    return this.#scan(engine, Timestamp(horizon), countMax);
  }

  async #scan(engine: EngineReader, horizon: Timestamp, countMax: number): Promise<ExpiryScan> {
    const expired: ExpiredRequest[] = [];
    const iterator = engine.openIterator({
      lower: this.#position.next,
      upper: requestTimeBound(horizon),
      at: timestampMax,
      reverse: false,
    });
    try {
      while (expired.length < countMax) {
        const next = iterator.next();
        const entry = next instanceof Promise ? await next : next;
        if (entry === undefined) return { expired, clearBefore: horizon };
        expired.push({ recordKey: decodeRequestTimeKey(entry.key).recordKey, timeKey: entry.key });
      }
      return { expired, clearBefore: undefined };
    } finally {
      iterator.close();
    }
  }

  get position(): ExpiryPosition {
    return this.#position;
  }

  /** What the scan found is deleted by an entry that will be proposed now. */
  taken(scan: ExpiryScan): void {
    const last = scan.expired.at(-1);
    this.#position = {
      next: last === undefined ? this.#position.next : keySuccessor(last.timeKey),
      clearBefore: scan.clearBefore ?? this.#position.clearBefore,
    };
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
