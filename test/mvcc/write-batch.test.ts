import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../src/base/assert.js';
import { copyBytes, toHex, utf8 } from '../../src/base/bytes.js';
import { DecodeError } from '../../src/base/coding.js';
import { Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { encodeBucketList, requestBucketKey, requestTimeKey, userKey } from '../../src/mvcc/keyspace.js';
import type { Effect } from '../../src/mvcc/write-batch-format.js';
import { decodeWriteBatch } from '../../src/mvcc/write-batch-reader.js';
import { encodeWriteBatch } from '../../src/mvcc/write-batch-writer.js';

function decode(bytes: Uint8Array): { effects: Effect[]; maxVersion: Timestamp } {
  const effects: Effect[] = [];
  const maxVersion = decodeWriteBatch(bytes, {
    put: (key, version, value) => effects.push({ type: 'put', key, version, value }),
    delete: (key, version) => effects.push({ type: 'delete', key, version }),
  });
  return { effects, maxVersion };
}

const id = { session: new Uint8Array(16).fill(0xab), seq: 258 };
const example: readonly Effect[] = [
  { type: 'put', key: userKey(utf8('apple')), version: Timestamp(1000), value: utf8('red') },
  { type: 'delete', key: userKey(utf8('pear')), version: Timestamp(1001) },
  { type: 'put', key: requestBucketKey(id), version: Timestamp(1001), value: Uint8Array.of(1, 2, 3, 4, 0) },
  {
    type: 'put',
    key: requestTimeKey(Timestamp(1001)),
    version: Timestamp(1001),
    value: encodeBucketList([requestBucketKey(id)]),
  },
];

describe('the bytes of a write batch', () => {
  it('are those of docs/formats/write-batch.md', () => {
    const fields = [
      '02', // format
      '04', // effects
      'e907', // highest version, 1001
      ['00', '01', '06', '016170706c65', '03', '726564'], // put apple = red at 1000
      ['01', '00', '05', '0170656172'], // delete pear at 1001
      ['00', '00', '19', `02${'ab'.repeat(16)}0000000000000020`, '05', '0102030400'],
      ['00', '00', '09', '0300000000000003e9', '18', `${'ab'.repeat(16)}0000000000000020`],
    ];
    expect(toHex(encodeWriteBatch(example))).toBe(fields.flat().join(''));
    expect(toHex(encodeWriteBatch([]))).toBe('0200');
  });

  it('give the effects and the highest version', () => {
    expect(decode(encodeWriteBatch(example))).toEqual({ effects: example, maxVersion: 1001 });
    expect(decode(encodeWriteBatch([]))).toEqual({ effects: [], maxVersion: 0 });
  });

  it('survive any effects', () => {
    const effect: fc.Arbitrary<Effect> = fc.oneof(
      fc.record({
        type: fc.constant('put' as const),
        key: fc.uint8Array({ minLength: 1, maxLength: 300 }).map(userKey),
        version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map(Timestamp),
        value: fc.uint8Array({ maxLength: 300 }),
      }),
      fc.record({
        type: fc.constant('delete' as const),
        key: fc.uint8Array({ minLength: 1, maxLength: 300 }).map(userKey),
        version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map(Timestamp),
      }),
    );
    fc.assert(
      fc.property(fc.array(effect, { maxLength: 20 }), (effects) => {
        const maxVersion = Math.max(0, ...effects.map(({ version }) => version));
        expect(decode(encodeWriteBatch(effects))).toEqual({ effects, maxVersion });
      }),
    );
  });
});

describe('bytes that are not a write batch', () => {
  const refused: Record<string, number[]> = {
    'nothing at all': [],
    'an unknown format': [3, 0],
    'the format of earlier builds': [1, 0],
    'no count': [2],
    'trailing bytes': [2, 0, 0],
    'more effects than there is room for': [2, 100, 5, 1, 0, 2, 1, 1],
    'an unknown kind': [2, 1, 5, 2, 0, 2, 1, 1],
    'a version of 0': [2, 1, 0, 1, 0, 2, 1, 1],
    'a version below 0': [2, 1, 5, 1, 6, 2, 1, 1],
    'a highest version that no effect has': [2, 1, 5, 1, 1, 2, 1, 1],
    'an empty user key': [2, 1, 5, 1, 0, 1, 1, 0],
    'a key of the replica itself': [2, 1, 5, 1, 0, 2, 0, 1],
    'a cut value': [2, 1, 5, 0, 0, 2, 1, 1, 4, 1],
  };
  it.each(Object.keys(refused))('are refused: %s', (name) => {
    expect(() => decode(Uint8Array.from(refused[name]))).toThrow(DecodeError);
  });

  it('are refused wherever a batch is cut', () => {
    const bytes = encodeWriteBatch(example);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decode(bytes.subarray(0, length))).toThrow(DecodeError);
    }
  });

  it('never do anything worse, whatever they are', () => {
    const random = new Prng(1);
    const valid = encodeWriteBatch(example);
    for (let i = 0; i < 10_000; i++) {
      const bytes = random.chance(0.2) ? random.bytes(random.int(0, 40)) : copyBytes(valid);
      for (let flips = random.int(1, 3); flips > 0 && bytes.length > 0; flips--) {
        bytes[random.int(0, bytes.length - 1)] = random.u32();
      }
      try {
        const { effects, maxVersion } = decode(bytes);
        expect(Math.max(0, ...effects.map(({ version }) => version))).toBe(maxVersion);
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    }
  });

  it('are not written either', () => {
    const version = Timestamp(5);
    expect(() => encodeWriteBatch([{ type: 'delete', key: Uint8Array.of(0, 1), version }])).toThrow(DecodeError);
    expect(() => encodeWriteBatch([{ type: 'delete', key: userKey(utf8('k')), version: Timestamp(0) }])).toThrow(
      AssertionError,
    );
  });
});
