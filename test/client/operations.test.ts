import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { atomicBatch, batchOperations, putOperation } from '../../src/client/operations.js';
import { clientSettings } from '../../src/client/options.js';
import type { AtomicOperation, WriteConditions } from '../../src/client/types.js';

const newRequestId = (): { session: Uint8Array; seq: number } => ({ session: new Uint8Array(16), seq: 1 });

describe('operations', () => {
  it.each<[WriteConditions, object]>([
    [{}, { type: 'none' }],
    [{ ifAbsent: false }, { type: 'none' }],
    [{ ifAbsent: true }, { type: 'absent' }],
    [{ ifVersion: 7 }, { type: 'versionEquals', version: 7 }],
    [{ ifValue: 'x' }, { type: 'valueEquals', value: utf8('x') }],
    [{ ifValue: '' }, { type: 'valueEquals', value: utf8('') }],
  ])('makes a condition of %j', (conditions, condition) => {
    expect(putOperation('k', 'v', conditions, newRequestId)).toEqual({
      type: 'put',
      key: utf8('k'),
      value: utf8('v'),
      condition,
      requestId: newRequestId(),
    });
  });

  it.each<[WriteConditions]>([
    [{ ifAbsent: true, ifVersion: 1 }],
    [{ ifVersion: 0 }],
    [{ ifVersion: 1.5 }],
    [{ ifVersion: 2 ** 53 }],
  ])('refuses %j', (conditions) => {
    expect(() => putOperation('k', 'v', conditions, newRequestId)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  it.each<[string, readonly AtomicOperation[], RegExp]>([
    ['nothing', [], /no operations/],
    [
      'a get',
      [{ type: 'get', key: 'k' } as unknown as AtomicOperation],
      /operations\[0\]: type must be "put", "delete" or/,
    ],
    [
      'a check of nothing',
      [
        { type: 'delete', key: 'k' },
        { type: 'check', key: 'k' },
      ],
      /operations\[1\]: a check takes one/,
    ],
    ['two conditions', [{ type: 'check', key: 'k', ifAbsent: true, ifVersion: 1 }], /operations\[0\]: .*one of/],
    ['no value', [{ type: 'put', key: 'k' } as AtomicOperation], /operations\[0\]: value must be bytes/],
  ])('refuses an atomic batch of %s', (_, operations, message) => {
    expect(() => atomicBatch(operations, {}, newRequestId)).toThrow(message);
  });

  it('keeps a given request id', () => {
    const requestId = { session: new Uint8Array(16).fill(3), seq: 9 };
    expect(batchOperations([{ type: 'delete', key: 'k', requestId }], newRequestId)).toMatchObject([{ requestId }]);
  });
});

describe('clientSettings', () => {
  it('fills in defaults and drops repeated endpoints', () => {
    expect(clientSettings({ endpoints: ['a:1', 'a:1', '[::1]:2'] })).toMatchObject({
      endpoints: ['a:1', '[::1]:2'],
      deadlineMs: 5000,
    });
  });

  it.each([
    [{ endpoints: [] }, /endpoints must be one or more of host:port/],
    [{ endpoints: ['a:1', 'nowhere'] }, /endpoints\[1\] must be host:port, got "nowhere"/],
    [{ endpoints: ['a:1'], deadlineMs: 0 }, /deadlineMs must be milliseconds, above 0, got 0/],
    [{ endpoints: ['a:1'], operationsOpenMax: NaN }, /operationsOpenMax must be a whole number from 1 .*, got NaN/],
  ])('refuses %j', (options, message) => {
    expect(() => clientSettings(options)).toThrow(message);
  });
});
