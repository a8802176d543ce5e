import { describe, expect, it } from 'vitest';
import { emptyBytes, toHex, utf8 } from '../../src/base/bytes.js';
import { DecodeError } from '../../src/base/coding.js';
import { Timestamp } from '../../src/base/ids.js';
import type { KeyWrite } from '../../src/mvcc/operations.js';
import {
  decodeRequestRecord,
  encodeRequestRecord,
  fingerprint,
  type RequestRecord,
} from '../../src/mvcc/request-records.js';
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

describe('a request record', () => {
  const fingerprint = 0x8001_0203;
  const metVersion = Timestamp(0x10_1112_1314_1516);
  const failures = [
    { index: 1, metVersion: Timestamp(0) },
    { index: 200, metVersion },
  ];
  const records: [string, RequestRecord][] = [
    ['0302018000', { fingerprint, outcome: { type: 'written' } }],
    ['0302018001', { fingerprint, outcome: { type: 'nothingDeleted' } }],
    ['03020180020000000000000000', { fingerprint, outcome: { type: 'conditionFailed', metVersion: Timestamp(0) } }],
    ['03020180021615141312111000', { fingerprint, outcome: { type: 'conditionFailed', metVersion } }],
    [
      '030201800302010000000000000000c8011615141312111000',
      { fingerprint, outcome: { type: 'conditionsFailed', failures } },
    ],
  ];

  it.each(records)('has the bytes of docs/formats/keyspace.md: %s', (hex, record) => {
    const bytes = encodeRequestRecord(record);
    expect(toHex(bytes)).toBe(hex);
    expect(decodeRequestRecord(bytes)).toEqual(record);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeRequestRecord(bytes.subarray(0, length))).toThrow(DecodeError);
    }
    expect(() => decodeRequestRecord(Uint8Array.of(...bytes, 0))).toThrow(DecodeError);
  });

  it('is refused with an outcome that is not known', () => {
    expect(() => decodeRequestRecord(Uint8Array.of(3, 2, 1, 0x80, 4))).toThrow(DecodeError);
  });

  it.each([[[]], [[2, 1]], [[1, 1]]])('is refused with failed conditions of operations %j', (indexes) => {
    const failures = indexes.map((index) => ({ index, metVersion }));
    const bytes = encodeRequestRecord({ fingerprint, outcome: { type: 'conditionsFailed', failures } });
    expect(() => decodeRequestRecord(bytes)).toThrow(DecodeError);
  });
});
