/**
 * The key space of one shard's tree: one prefix byte for each kind of thing (docs/formats/keyspace.md).
 * "Raw keys" are keys of the tree, prefix included; "user keys" are what clients see.
 *
 * Invariant: a request record (requestKey) and its entry by time (requestTimeKey) are written and deleted together.
 */
import { assert } from '../base/assert.js';
import { DecodeError } from '../base/coding.js';
import { Timestamp } from '../base/ids.js';
import type { RequestId } from './operations.js';

export const keyPrefix = {
  /** Facts about this replica's shard. */
  metadata: 0x00,
  /** The user key follows. */
  user: 0x01,
  /** Session and sequence number follow: a request that was answered. */
  request: 0x02,
  /** Timestamp, session and sequence number follow: the same requests in the order in which they expire. */
  requestTime: 0x03,
} as const;

/** The shard descriptor; its value is opaque here. */
export const descriptorKey: Uint8Array = Uint8Array.of(keyPrefix.metadata, 0x01);
/** Its version is the highest version that the shard has applied; its value the safe point that followed, 8 bytes. */
export const maxVersionKey: Uint8Array = Uint8Array.of(keyPrefix.metadata, 0x02);

export const sessionBytes = 16;
const requestKeyBytes = 1 + sessionBytes + 8;
const requestTimeKeyBytes = 1 + 8 + sessionBytes + 8;

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

export function requestKey(id: RequestId): Uint8Array {
  const raw = new Uint8Array(requestKeyBytes);
  raw[0] = keyPrefix.request;
  putSession(raw, 1, id.session);
  putU53BigEndian(raw, 1 + sessionBytes, id.seq);
  return raw;
}

export function requestTimeKey(time: Timestamp, id: RequestId): Uint8Array {
  const raw = new Uint8Array(requestTimeKeyBytes);
  raw[0] = keyPrefix.requestTime;
  putU53BigEndian(raw, 1, time);
  putSession(raw, 9, id.session);
  putU53BigEndian(raw, 9 + sessionBytes, id.seq);
  return raw;
}

/** Below it are exactly the requests that were answered before `time`. */
export function requestTimeBound(time: Timestamp): Uint8Array {
  const raw = new Uint8Array(9);
  raw[0] = keyPrefix.requestTime;
  putU53BigEndian(raw, 1, time);
  return raw;
}

/** When the request was answered, and the raw key of its record. */
export function decodeRequestTimeKey(raw: Uint8Array): { readonly time: Timestamp; readonly recordKey: Uint8Array } {
  checkDataKey(raw);
  assert(raw[0] === keyPrefix.requestTime, 'not an entry of requests by time');
  const recordKey = new Uint8Array(requestKeyBytes);
  recordKey[0] = keyPrefix.request;
  recordKey.set(raw.subarray(9), 1);
  return { time: Timestamp(getU53BigEndian(raw, 1)), recordKey };
}

/** Throws a DecodeError unless `raw` is a key that an entry may change: all but this replica's metadata. */
export function checkDataKey(raw: Uint8Array): void {
  switch (raw[0]) {
    case keyPrefix.user:
      if (raw.length < 2) throw new DecodeError('an empty user key');
      return;
    case keyPrefix.request:
      if (raw.length !== requestKeyBytes) throw new DecodeError(`a request key of ${raw.length} bytes`);
      getU53BigEndian(raw, 1 + sessionBytes);
      return;
    case keyPrefix.requestTime:
      if (raw.length !== requestTimeKeyBytes) throw new DecodeError(`a request time key of ${raw.length} bytes`);
      getU53BigEndian(raw, 1);
      getU53BigEndian(raw, 9 + sessionBytes);
      return;
    default:
      throw new DecodeError(`a key with the prefix ${raw[0]}`);
  }
}

function putSession(target: Uint8Array, offset: number, session: Uint8Array): void {
  assert(session.length === sessionBytes, `a session of ${session.length} bytes`);
  target.set(session, offset);
}

/** Big-endian, so that the order of keys is the order of numbers. */
function putU53BigEndian(target: Uint8Array, offset: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, `not a whole number below 2^53: ${value}`);
  const view = new DataView(target.buffer, target.byteOffset + offset, 8);
  view.setUint32(0, Math.floor(value / 0x1_0000_0000));
  view.setUint32(4, value % 0x1_0000_0000);
}

function getU53BigEndian(source: Uint8Array, offset: number): number {
  const view = new DataView(source.buffer, source.byteOffset + offset, 8);
  const high = view.getUint32(0);
  if (high >= 0x20_0000) throw new DecodeError('a number above 2^53 - 1');
  return high * 0x1_0000_0000 + view.getUint32(4);
}
