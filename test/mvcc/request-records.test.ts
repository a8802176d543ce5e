import { describe, expect, it } from 'vitest';
import { emptyBytes, toHex, utf8 } from '../../src/base/bytes.js';
import { DecodeError } from '../../src/base/coding.js';
import { Timestamp } from '../../src/base/ids.js';
import { decodeFailures, encodeFailures } from '../../src/mvcc/failed-conditions.js';
import type { KeyWrite } from '../../src/mvcc/operations.js';
import { bucketBytesMax, fingerprint, RequestBucket, type RequestRecord } from '../../src/mvcc/request-records.js';
import { batch, del, none, put } from './leader.js';

describe('a fingerprint', () => {
  it('is the same for ever, since it is on disk', () => {
    expect(fingerprint(put('key', 'value')).toString(16)).toBe('98124d1d');
    expect(fingerprint(del('key', { type: 'versionEquals', version: Timestamp(2 ** 40) })).toString(16)).toBe(
      '72d595cd',
    );
    const one = put('a', '1', { type: 'valueEquals', value: utf8('0') });
    const check = ['c', { type: 'versionEquals', version: Timestamp(2 ** 40) }] as const;
    expect(fingerprint(batch([one, del('b'), check])).toString(16)).toBe('12f723');
  });

  it('does not depend on the request id, nor on where bytes lie', () => {
    expect(fingerprint(put('key', 'value'))).toBe(fingerprint(put('key', 'value')));
    // Empty arrays with and without memory behind them.
    const empty = (value: Uint8Array): KeyWrite => ({ ...put('k', ''), type: 'put', value });
    const fingerprints = [utf8(''), emptyBytes, utf8('x').subarray(1), new Uint8Array(0)].map((value) =>
      fingerprint(empty(value)),
    );
    expect(new Set(fingerprints).size).toBe(1);
  });

  it('tells operations apart', () => {
    const operations = [
      put('a', 'bc'),
      put('ab', 'c'),
      put('abc', ''),
      del('abc'),
      put('a', 'b', { type: 'valueEquals', value: utf8('c') }),
      put('a', '', { type: 'valueEquals', value: utf8('bc') }),
      put('a', '', { type: 'valueEquals', value: emptyBytes }),
      put('a', '', { type: 'absent' }),
      put('a', '', none),
      put('b', '', { type: 'valueEquals', value: emptyBytes }),
      put('a', '', { type: 'versionEquals', version: Timestamp(1) }),
      put('a', '', { type: 'versionEquals', version: Timestamp(2) }),
    ];
    expect(new Set(operations.map(fingerprint)).size).toBe(operations.length);
  });
});

describe('a bucket of request records', () => {
  const fingerprint = 0x8001_0203;
  const version = Timestamp(0x01_0203_0405_0607);
  const metVersion = Timestamp(0x10_1112_1314_1516);
  const written: RequestRecord = { version, fingerprint, outcome: { type: 'written' } };
  const refused: RequestRecord = { version, fingerprint, outcome: { type: 'conditionFailed', metVersion } };
  const records: [string, number, RequestRecord][] = [
    ['0000030201800706050403020100', 8, written],
    ['0701030201800706050403020100', 15, { ...written, outcome: { type: 'nothingDeleted' } }],
    [
      '02020302018007060504030201000000000000000000',
      2 ** 40 + 2,
      { ...refused, outcome: { type: 'conditionFailed', metVersion: Timestamp(0) } },
    ],
    ['02020302018007060504030201001615141312111000', 2, refused],
    ['0403030201800706050403020100', 4, { ...written, outcome: { type: 'conditionsFailed' } }],
  ];

  it.each(records)('has the bytes of docs/formats/keyspace.md: %s', (hex, seq, record) => {
    const bucket = new RequestBucket();
    bucket.add(seq, record);
    expect(toHex(bucket.bytes)).toBe(hex);
    const stored = new RequestBucket(bucket.bytes);
    expect(stored.find(seq)).toEqual(record);
    expect(stored.find(seq + 1)).toBeUndefined();
  });

  it('has room for a record of every request in it, and keeps what it was made of as it was', () => {
    let stored = new RequestBucket();
    const seqs = [3, 0, 7, 1, 6, 2, 5, 4].map((position) => 80 + position);
    for (const [i, seq] of seqs.entries()) {
      const before = toHex(stored.bytes);
      const bucket = new RequestBucket(stored.bytes);
      bucket.add(seq, { ...refused, version: Timestamp(i + 1) });
      expect(toHex(stored.bytes)).toBe(before);
      expect(toHex(bucket.bytes).startsWith(before)).toBe(true);
      stored = bucket;
    }
    expect(stored.bytes.length).toBe(bucketBytesMax);
    expect(seqs.map((seq) => stored.find(seq)?.version)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('knows the atomic batches that were refused', () => {
    const bucket = new RequestBucket();
    expect(bucket.refusedBatches).toEqual([]);
    bucket.add(6, { ...written, outcome: { type: 'conditionsFailed' } });
    bucket.add(1, refused);
    bucket.add(3, { ...written, outcome: { type: 'conditionsFailed' } });
    bucket.add(2, written);
    expect(bucket.refusedBatches).toEqual([6, 3]);
  });

  it('is refused where it is damaged', () => {
    const bucket = new RequestBucket();
    bucket.add(1, written);
    bucket.add(2, refused);
    const { bytes } = bucket;
    const changed = (at: number, byte: number): Uint8Array => bytes.with(at, byte);
    for (let length = 15; length < bytes.length; length++) {
      expect(() => new RequestBucket(bytes.subarray(0, length)).find(2)).toThrow(DecodeError);
    }
    expect(() => new RequestBucket(Uint8Array.of(...bytes, 0)).find(3)).toThrow(DecodeError);
    expect(() => new RequestBucket(changed(0, 8)).find(2)).toThrow(DecodeError);
    expect(() => new RequestBucket(changed(1, 4)).find(1)).toThrow(DecodeError);
    expect(() => new RequestBucket(changed(1, 4)).find(2)).toThrow(DecodeError);
    expect(() => new RequestBucket(changed(12, 0x20)).find(1)).toThrow(DecodeError);
  });
});

describe('failed conditions', () => {
  const metVersion = Timestamp(0x10_1112_1314_1516);
  const failures = [
    { index: 1, metVersion: Timestamp(0) },
    { index: 0x201, metVersion },
  ];

  it('have the bytes of docs/formats/keyspace.md', () => {
    const bytes = encodeFailures(failures);
    expect(toHex(bytes)).toBe('010000000000000000000000010200001615141312111000');
    expect(decodeFailures(bytes)).toEqual(failures);
    for (let length = 0; length < bytes.length; length++) {
      if (length !== 12) expect(() => decodeFailures(bytes.subarray(0, length))).toThrow(DecodeError);
    }
  });

  it.each([[[2, 1]], [[1, 1]]])('are refused in the order %j', (indexes) => {
    const bytes = encodeFailures(indexes.map((index) => ({ index, metVersion })));
    expect(() => decodeFailures(bytes)).toThrow(DecodeError);
  });
});
