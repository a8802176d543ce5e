import { describe, expect, it } from 'vitest';
import { emptyBytes, utf8 } from '../../src/base/bytes.js';
import { Timestamp } from '../../src/base/ids.js';
import { defaultLimits } from '../../src/base/limits.js';
import type { Condition, KeyWrite, Operation } from '../../src/mvcc/operations.js';
import { batch, del, put as putOf } from './leader.js';
import { validateOperation, validateScan, type ScanBounds } from '../../src/mvcc/validate.js';

const limits = { keyBytesMax: 4, valueBytesMax: 8, batchOperationsMax: 3, entryBytesMax: 852 };
const requestId = { session: new Uint8Array(16), seq: 0 };
const put: KeyWrite = {
  type: 'put',
  key: utf8('key'),
  value: utf8('value'),
  condition: { type: 'none' },
  requestId,
};
const when = (condition: Condition): KeyWrite => ({ ...put, condition });
const withSeq = (seq: number): KeyWrite => ({ ...put, requestId: { ...requestId, seq } });

describe('an operation', () => {
  const valid: Record<string, Operation> = {
    put,
    'longest key and value': { ...put, key: utf8('keys'), value: utf8('12345678') },
    'an empty value': { ...put, value: emptyBytes },
    delete: { type: 'delete', key: utf8('k'), condition: { type: 'absent' }, requestId },
    get: { type: 'get', key: utf8('k'), consistency: 'linearizable' },
    'highest seq': withSeq(Number.MAX_SAFE_INTEGER),
    'a version': when({ type: 'versionEquals', version: Timestamp(1) }),
    'an atomic batch': batch([put, del('l'), ['m', { type: 'absent' }]]),
  };
  it.each(Object.keys(valid))('is valid: %s', (name) => {
    expect(validateOperation(valid[name], limits)).toBeUndefined();
  });

  const invalid: Record<string, [Operation, RegExp]> = {
    'empty key': [{ ...put, key: emptyBytes }, /key is empty/],
    'empty key of a get': [{ type: 'get', key: emptyBytes, consistency: 'stale' }, /key is empty/],
    'key too long': [{ ...put, key: utf8('12345') }, /key has 5 bytes, more than keyBytesMax, which is 4/],
    'value too long': [{ ...put, value: utf8('123456789') }, /value has 9 bytes, more than valueBytesMax, which is 8/],
    'expected value too long': [
      when({ type: 'valueEquals', value: utf8('123456789') }),
      /condition's value has 9 bytes, more than valueBytesMax/,
    ],
    'version 0': [when({ type: 'versionEquals', version: Timestamp(0) }), /version must be above 0, got 0/],
    'short session': [{ ...put, requestId: { session: new Uint8Array(15), seq: 1 } }, /16 bytes, got 15/],
    'negative seq': [withSeq(-1), /seq .* got -1/],
    'seq with a fraction': [withSeq(1.5), /seq .* got 1.5/],
    'seq above 2^53': [withSeq(2 ** 53), /seq .* got 9007199254740992/],
    'seq that is no number': [withSeq(NaN), /seq .* got NaN/],
    'an atomic batch of nothing': [batch([]), /no operations/],
    'an atomic batch of too many': [
      batch(['a', 'b', 'c', 'd'].map((key) => del(key))),
      /4 operations.*batchOperationsMax.* 3/,
    ],
    'an atomic batch with a key twice': [
      batch([put, del('l'), del('key')]),
      /operations\[2\] has the key of operations\[0\]/,
    ],
    'a wrong operation of an atomic batch': [batch([put, del('12345')]), /operations\[1\]: the key has 5 bytes/],
    'a check without a condition': [batch([put, ['l', { type: 'none' }]]), /operations\[1\]: a check has no condition/],
    'an atomic batch of too many bytes': [
      batch(['key1', 'key2', 'key3'].map((key) => putOf(key, '1234'))),
      /takes 864 bytes.*entryBytesMax, which is 852/,
    ],
    'the request id of an atomic batch': [batch([put], { session: new Uint8Array(15), seq: 1 }), /16 bytes, got 15/],
  };
  it.each(Object.keys(invalid))('is refused: %s', (name) => {
    const [operation, message] = invalid[name];
    const error = validateOperation(operation, limits);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'notApplied', retryable: false });
    expect(error?.message).toMatch(message);
  });

  it('is held to the limits that are given', () => {
    const key = new Uint8Array(defaultLimits.keyBytesMax);
    expect(validateOperation({ ...put, key }, defaultLimits)).toBeUndefined();
    expect(validateOperation({ ...put, key: new Uint8Array(key.length + 1) }, defaultLimits)).toBeDefined();
  });
});

describe('the bounds of a scan', () => {
  const all: ScanBounds = { start: emptyBytes, end: emptyBytes, limit: 0 };
  const valid: Record<string, ScanBounds> = {
    everything: all,
    'from a key': { ...all, start: utf8('b') },
    'an empty range': { ...all, start: utf8('b'), end: utf8('b') },
    'the successor of the longest key': { ...all, start: utf8('12345'), end: utf8('12346') },
  };
  it.each(Object.keys(valid))('are valid: %s', (name) => {
    expect(validateScan(valid[name], limits)).toBeUndefined();
  });

  const invalid: Record<string, [ScanBounds, RegExp]> = {
    'end before start': [{ ...all, start: utf8('b'), end: utf8('a') }, /end of the scan is before its start/],
    'negative limit': [{ ...all, limit: -1 }, /limit must be 0 or more, got -1/],
    'limit with a fraction': [{ ...all, limit: 0.5 }, /limit must be 0 or more, got 0.5/],
    'start too long': [{ ...all, start: utf8('123456') }, /scan start has 6 bytes, more than keyBytesMax/],
    'end too long': [{ ...all, end: utf8('123456') }, /scan end has 6 bytes, more than keyBytesMax/],
  };
  it.each(Object.keys(invalid))('are refused: %s', (name) => {
    const [bounds, message] = invalid[name];
    const error = validateScan(bounds, limits);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(error?.message).toMatch(message);
  });
});
