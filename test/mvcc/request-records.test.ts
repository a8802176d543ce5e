import { describe, expect, it } from 'vitest';
import { emptyBytes, utf8 } from '../../src/base/bytes.js';
import { DecodeError } from '../../src/base/coding.js';
import { Timestamp } from '../../src/base/ids.js';
import type { WriteOperation } from '../../src/mvcc/operations.js';
import { decodeRequestRecord, encodeRequestRecord, fingerprint } from '../../src/mvcc/request-records.js';
import { del, none, put } from './leader.js';

describe('a fingerprint', () => {
  it('is the same for ever, since it is on disk', () => {
    expect(fingerprint(put('key', 'value')).toString(16)).toBe('98124d1d');
    expect(fingerprint(del('key', { type: 'versionEquals', version: Timestamp(2 ** 40) })).toString(16)).toBe(
      '72d595cd',
    );
  });

  it('does not depend on the request id, nor on where bytes lie', () => {
    expect(fingerprint(put('key', 'value'))).toBe(fingerprint(put('key', 'value')));
    // Empty arrays with and without memory behind them.
    const empty = (value: Uint8Array): WriteOperation => ({ ...put('k', ''), type: 'put', value });
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
  it('holds a fingerprint', () => {
    expect(encodeRequestRecord(0x8001_0203)).toEqual(Uint8Array.of(3, 2, 1, 0x80));
    expect(decodeRequestRecord(Uint8Array.of(3, 2, 1, 0x80))).toBe(0x8001_0203);
    expect(() => decodeRequestRecord(new Uint8Array(5))).toThrow(DecodeError);
  });
});
