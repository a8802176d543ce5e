import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../src/base/assert.js';
import { compareBytes, toHex, utf8 } from '../../src/base/bytes.js';
import { DecodeError } from '../../src/base/coding.js';
import { Timestamp } from '../../src/base/ids.js';
import {
  checkDataKey,
  decodeBucketList,
  decodeRequestBucketKey,
  decodeRequestTimeKey,
  decodeUserKey,
  descriptorKey,
  encodeBucketList,
  failedConditionsKey,
  maxVersionKey,
  requestBucketKey,
  requestTimeKey,
  userKey,
} from '../../src/mvcc/keyspace.js';

const session = Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i);
const id = { session, seq: 0x1f_0203_0405_0607 };
const time = Timestamp(0x10_1112_1314_1516);

describe('raw keys', () => {
  it('have the bytes of docs/formats/keyspace.md', () => {
    expect(toHex(descriptorKey)).toBe('0001');
    expect(toHex(maxVersionKey)).toBe('0002');
    expect(toHex(userKey(utf8('key')))).toBe('016b6579');
    expect(toHex(requestBucketKey(id))).toBe('02a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0003e0406080a0c0');
    expect(toHex(requestTimeKey(time))).toBe('030010111213141516');
    expect(toHex(failedConditionsKey(id))).toBe('04a0a1a2a3a4a5a6a7a8a9aaabacadaeaf001f020304050607');
    expect(toHex(encodeBucketList([requestBucketKey(id), requestBucketKey({ ...id, seq: 9 })]))).toBe(
      'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0003e0406080a0c0a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0000000000000001',
    );
  });

  it('decode to what they were made of', () => {
    expect(decodeUserKey(userKey(utf8('key')))).toEqual(utf8('key'));
    expect(decodeRequestTimeKey(requestTimeKey(time))).toBe(time);
    expect(decodeRequestBucketKey(requestBucketKey(id))).toEqual({ session, seq: id.seq - 7 });
    const buckets = [requestBucketKey(id), requestBucketKey({ ...id, seq: 0 })];
    expect(decodeBucketList(encodeBucketList(buckets))).toEqual(buckets);
    expect(() => decodeBucketList(encodeBucketList(buckets).subarray(1))).toThrow(DecodeError);
  });

  it('are the same for eight requests in a row, and not for others', () => {
    const bucketOf = (seq: number): string => toHex(requestBucketKey({ session, seq }));
    for (const first of [0, 8, 2 ** 40, Number.MAX_SAFE_INTEGER - 7]) {
      expect(bucketOf(first + 7)).toBe(bucketOf(first));
      if (first > 0) expect(bucketOf(first - 1)).not.toBe(bucketOf(first));
    }
  });

  it('are in the order of what they encode', () => {
    const times = [0, 1, 255, 256, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, Number.MAX_SAFE_INTEGER].map(Timestamp);
    const keys = times.map(requestTimeKey);
    for (let i = 1; i < keys.length; i++) expect(compareBytes(keys[i - 1], keys[i])).toBeLessThan(0);
  });

  it('refuse a session of another length, and the raw key of something else', () => {
    expect(() => requestBucketKey({ session: new Uint8Array(15), seq: 1 })).toThrow(AssertionError);
    expect(() => requestBucketKey({ session, seq: -1 })).toThrow(AssertionError);
    expect(() => decodeUserKey(requestBucketKey(id))).toThrow(AssertionError);
    expect(() => decodeRequestTimeKey(userKey(utf8('key')))).toThrow(AssertionError);
  });
});

describe('keys that an entry may change', () => {
  it('are user keys and request records', () => {
    for (const key of [userKey(utf8('k')), requestBucketKey(id), requestTimeKey(time), failedConditionsKey(id)])
      checkDataKey(key);
  });

  const tooLarge = requestBucketKey(id);
  tooLarge[18] = 0x20;
  const refused: Record<string, Uint8Array> = {
    'no byte at all': new Uint8Array(0),
    'a descriptor': descriptorKey,
    'an empty user key': Uint8Array.of(1),
    'a short bucket key': requestBucketKey(id).subarray(0, 24),
    'a long bucket key': Uint8Array.of(...requestBucketKey(id), 0),
    'a short time key': requestTimeKey(time).subarray(0, 8),
    'a short key of failed conditions': failedConditionsKey(id).subarray(0, 24),
    'an unknown prefix': Uint8Array.of(5, 1),
    'a number above 2^53': tooLarge,
  };
  it.each(Object.keys(refused))('are not: %s', (name) => {
    expect(() => checkDataKey(refused[name])).toThrow(DecodeError);
  });
});
