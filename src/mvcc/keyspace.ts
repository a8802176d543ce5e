/**
 * The key space of one shard's tree: one prefix byte for each kind of thing (docs/formats/keyspace.md).
 * "Raw keys" are keys of the tree, prefix included; "user keys" are what clients see.
 *
 * Invariant: as long as there is a bucket of request records, there is an entry by time of its version that names it.
 */
import { assert, assertWholeNumber } from '../base/assert.js';
import { DecodeError } from '../base/coding.js';
import { Timestamp } from '../base/ids.js';
import type { RequestId } from './operations.js';

const two32 = 0x1_0000_0000;

export const keyPrefix = {
  /** Facts about this replica's shard. */
  metadata: 0x00,
  /** The user key follows. */
  user: 0x01,
  /** Session and number of a bucket follow: some requests of the session that were answered. */
  requestBucket: 0x02,
  /** A timestamp follows: buckets that have changed then, so that they are found in the order in which they expire. */
  requestTime: 0x03,
  /** Session and sequence number follow: which conditions of an atomic batch failed that was refused. */
  failedConditions: 0x04,
} as const;

/** First of the prefixes that are free. */
export const keyPrefixEnd = 0x05;

/** The shard descriptor; its value is opaque here. */
export const descriptorKey: Uint8Array = Uint8Array.of(keyPrefix.metadata, 0x01);
/** Its version is the highest version that the shard has applied; its value the safe point that followed, 8 bytes. */
export const maxVersionKey: Uint8Array = Uint8Array.of(keyPrefix.metadata, 0x02);

export const sessionBytes = 16;
/** Requests with consecutive numbers in one session share a bucket. */
export const requestsPerBucket = 8;
const bucketIdBytes = sessionBytes + 8;
const requestBucketKeyBytes = 1 + bucketIdBytes;
const requestTimeKeyBytes = 1 + 8;
const failedConditionsKeyBytes = 1 + sessionBytes + 8;

/** First raw key of a prefix; with the next prefix it bounds a range. */
export function prefixKey(prefix: number): Uint8Array {
  return Uint8Array.of(prefix);
}

export function userKey(key: Uint8Array): Uint8Array {
  const raw = new Uint8Array(1 + key.length);
  raw[0] = keyPrefix.user;
  raw.set(key, 1);
  return raw;
}

/** The user key of a raw key, as a view. */
export function decodeUserKey(raw: Uint8Array): Uint8Array {
  assert(raw.length > 1 && raw[0] === keyPrefix.user, 'not the raw key of a user key');
  return raw.subarray(1);
}

/** Of the bucket that the request is in. */
export function requestBucketKey({ session, seq }: RequestId): Uint8Array {
  return sessionKey(keyPrefix.requestBucket, session, Math.floor(seq / requestsPerBucket));
}

/** Beside the record of an atomic batch. */
export function failedConditionsKey({ session, seq }: RequestId): Uint8Array {
  return sessionKey(keyPrefix.failedConditions, session, seq);
}

function sessionKey(prefix: number, session: Uint8Array, number: number): Uint8Array {
  assert(session.length === sessionBytes, `a session of ${session.length} bytes`);
  const raw = new Uint8Array(1 + sessionBytes + 8);
  raw[0] = prefix;
  raw.set(session, 1);
  putU53BigEndian(raw, 1 + sessionBytes, number);
  return raw;
}

/** The first request that the bucket can have. */
export function decodeRequestBucketKey(raw: Uint8Array): RequestId {
  checkDataKey(raw);
  assert(raw[0] === keyPrefix.requestBucket, 'not a bucket of request records');
  const session = raw.subarray(1, 1 + sessionBytes);
  return { session, seq: getU53BigEndian(raw, 1 + sessionBytes) * requestsPerBucket };
}

/** Also the bound below which are the entries of all times before. */
export function requestTimeKey(time: Timestamp): Uint8Array {
  const raw = new Uint8Array(requestTimeKeyBytes);
  raw[0] = keyPrefix.requestTime;
  putU53BigEndian(raw, 1, time);
  return raw;
}

export function decodeRequestTimeKey(raw: Uint8Array): Timestamp {
  checkDataKey(raw);
  assert(raw[0] === keyPrefix.requestTime, 'not an entry of requests by time');
  return Timestamp(getU53BigEndian(raw, 1));
}

/** The value of an entry by time that names these buckets. */
export function encodeBucketList(bucketKeys: readonly Uint8Array[]): Uint8Array {
  const list = new Uint8Array(bucketKeys.length * bucketIdBytes);
  bucketKeys.forEach((raw, i) => list.set(raw.subarray(1), i * bucketIdBytes));
  return list;
}

/** Raw keys of the buckets. */
export function decodeBucketList(list: Uint8Array): Uint8Array[] {
  if (list.length % bucketIdBytes !== 0) throw new DecodeError(`a list of buckets of ${list.length} bytes`);
  return Array.from({ length: list.length / bucketIdBytes }, (_, i) => {
    const raw = new Uint8Array(requestBucketKeyBytes);
    raw[0] = keyPrefix.requestBucket;
    raw.set(list.subarray(i * bucketIdBytes, (i + 1) * bucketIdBytes), 1);
    return raw;
  });
}

/** Throws a DecodeError unless `raw` is a key that an entry may change: all but this replica's metadata. */
export function checkDataKey(raw: Uint8Array): void {
  switch (raw[0]) {
    case keyPrefix.user:
      if (raw.length < 2) throw new DecodeError('an empty user key');
      return;
    case keyPrefix.requestBucket:
      if (raw.length !== requestBucketKeyBytes) throw new DecodeError(`a request bucket key of ${raw.length} bytes`);
      getU53BigEndian(raw, 1 + sessionBytes);
      return;
    case keyPrefix.failedConditions:
      if (raw.length !== failedConditionsKeyBytes) {
        throw new DecodeError(`a key of failed conditions of ${raw.length} bytes`);
      }
      getU53BigEndian(raw, 1 + sessionBytes);
      return;
    case keyPrefix.requestTime:
      if (raw.length !== requestTimeKeyBytes) throw new DecodeError(`a request time key of ${raw.length} bytes`);
      getU53BigEndian(raw, 1);
      return;
    default:
      throw new DecodeError(`a key with the prefix ${raw[0]}`);
  }
}

/** Big-endian, so that the order of keys is the order of numbers. */
function putU53BigEndian(target: Uint8Array, offset: number, value: number): void {
  assertWholeNumber(value);
  putU32BigEndian(target, offset, Math.floor(value / two32));
  putU32BigEndian(target, offset + 4, value % two32);
}

function putU32BigEndian(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24;
  target[offset + 1] = value >>> 16;
  target[offset + 2] = value >>> 8;
  target[offset + 3] = value;
}

function getU53BigEndian(source: Uint8Array, offset: number): number {
  const high = getU32BigEndian(source, offset);
  if (high >= 0x20_0000) throw new DecodeError('a number above 2^53 - 1');
  return high * two32 + getU32BigEndian(source, offset + 4);
}

function getU32BigEndian(source: Uint8Array, offset: number): number {
  return ((source[offset] << 24) | (source[offset + 1] << 16) | (source[offset + 2] << 8) | source[offset + 3]) >>> 0;
}
