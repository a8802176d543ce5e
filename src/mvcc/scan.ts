/** Pages of a range of user keys at one timestamp. */
import { assert } from '../base/assert.js';
import { emptyBytes, keySuccessor } from '../base/bytes.js';
import type { Timestamp } from '../base/ids.js';
import type { EngineIterator, EngineReader, EngineRecord } from './engine.js';
import { decodeUserKey, keyPrefix, prefixKey, userKey } from './keyspace.js';

export interface ScanSpec {
  /** First key, included; empty is from the first key on. */
  readonly start: Uint8Array;
  /** First key beyond; empty is to the last key. */
  readonly end: Uint8Array;
  /** Versions above are not seen. */
  readonly at: Timestamp;
  readonly reverse: boolean;
  /** Values are left out, and do not count as bytes. */
  readonly keysOnly: boolean;
  /** Bytes of keys and values; a page that has one record may be larger. */
  readonly bytesMax: number;
  /** At least 1. */
  readonly recordsMax: number;
}

interface ScannedRecord {
  readonly key: Uint8Array;
  readonly version: Timestamp;
  /** Empty with `keysOnly`. */
  readonly value: Uint8Array;
}

export interface ScanResult {
  /** In the direction of the scan. */
  readonly records: readonly ScannedRecord[];
  /** The rest of the range: `start` of the next page, its `end` in reverse. Undefined when nothing is left. */
  readonly resume: Uint8Array | undefined;
}

/** Reads one page. It never ends empty while there is a record left. */
export async function scanPage(engine: EngineReader, spec: ScanSpec): Promise<ScanResult> {
  assert(spec.recordsMax >= 1, 'a page must have room for one record');
  const { start, end, at, reverse, keysOnly } = spec;
  const iterator = engine.openIterator({
    lower: start.length === 0 ? prefixKey(keyPrefix.user) : userKey(start),
    upper: end.length === 0 ? prefixKey(keyPrefix.requestBucket) : userKey(end),
    at,
    reverse,
    keysOnly,
  });
  try {
    return await fillPage(iterator, spec);
  } finally {
    iterator.close();
  }
}

async function fillPage(iterator: EngineIterator, spec: ScanSpec): Promise<ScanResult> {
  const records: ScannedRecord[] = [];
  let bytes = 0;
  for (;;) {
    const next = iterator.next();
    const found: EngineRecord | undefined = next instanceof Promise ? await next : next;
    if (found === undefined) return { records, resume: undefined };
    const key = decodeUserKey(found.key);
    const value = spec.keysOnly ? emptyBytes : found.value;
    bytes += key.length + value.length;
    const full = records.length === spec.recordsMax || bytes > spec.bytesMax;
    if (full && records.length > 0) return { records, resume: spec.reverse ? keySuccessor(key) : key };
    records.push({ key, version: found.version, value });
  }
}
