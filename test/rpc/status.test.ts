import { deepStrictEqual } from 'node:assert/strict';
import { Metadata, status as GrpcStatus } from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QuorateError, type ErrorCode } from '../../src/base/errors.js';
import { allErrorCodes } from '../../src/rpc/enums.js';
import { fromGrpcError, grpcStatusOf, toGrpcStatus } from '../../src/rpc/status.js';
import { errorArbitrary } from './arbitraries.js';
import { root, twinEncode } from './twin.js';

const expected: Readonly<Record<ErrorCode, string>> = {
  INVALID_ARGUMENT: 'INVALID_ARGUMENT',
  KEYS_IN_DIFFERENT_SHARDS: 'FAILED_PRECONDITION',
  NOT_LEADER: 'UNAVAILABLE',
  SHARD_UNAVAILABLE: 'UNAVAILABLE',
  TIMESTAMP_UNAVAILABLE: 'UNAVAILABLE',
  EPOCH_MISMATCH: 'ABORTED',
  DEADLINE_EXCEEDED: 'DEADLINE_EXCEEDED',
  CANCELLED: 'CANCELLED',
  OVERLOADED: 'RESOURCE_EXHAUSTED',
  READ_TOO_OLD: 'FAILED_PRECONDITION',
  DISK_FULL: 'RESOURCE_EXHAUSTED',
  CORRUPTION: 'DATA_LOSS',
  NODE_STOPPING: 'UNAVAILABLE',
  NODE_RETIRED: 'FAILED_PRECONDITION',
  NODE_REMOVED: 'FAILED_PRECONDITION',
  UNAVAILABLE: 'UNAVAILABLE',
  INTERNAL: 'INTERNAL',
};

describe('status', () => {
  it('maps every code, as proto/kv.proto says', () => {
    const comments = root.lookupEnum('quorate.v1.ErrorCode');
    for (const code of allErrorCodes) {
      expect(GrpcStatus[grpcStatusOf(code)]).toBe(expected[code]);
      expect(comments.values).toHaveProperty(`ERROR_CODE_${code}`);
    }
    expect(Object.keys(comments.values)).toHaveLength(allErrorCodes.length + 1);
  });

  it('loses nothing on the way to a client', () => {
    fc.assert(
      fc.property(errorArbitrary, (error) => {
        const there = fromGrpcError({ ...toGrpcStatus(error), name: 'Error', message: 'whatever' });
        deepStrictEqual({ ...there, message: there.message }, { ...error, message: error.message });
      }),
    );
  });

  it('cuts a message that does not fit headers', () => {
    const status = toGrpcStatus(new QuorateError('INTERNAL', 'x'.repeat(100_000)));
    expect(status.details).toHaveLength(1024);
    const [details] = status.metadata.get('grpc-status-details-bin');
    expect(details.length).toBeLessThan(2048);
  });

  it.each<[keyof typeof GrpcStatus, ErrorCode, boolean, 'notApplied' | 'unknown']>([
    ['OK', 'INTERNAL', false, 'unknown'],
    ['CANCELLED', 'CANCELLED', false, 'unknown'],
    ['UNKNOWN', 'INTERNAL', false, 'unknown'],
    ['INVALID_ARGUMENT', 'INVALID_ARGUMENT', false, 'notApplied'],
    ['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', false, 'unknown'],
    ['PERMISSION_DENIED', 'INVALID_ARGUMENT', false, 'notApplied'],
    ['RESOURCE_EXHAUSTED', 'OVERLOADED', false, 'unknown'],
    ['ABORTED', 'UNAVAILABLE', true, 'unknown'],
    ['UNIMPLEMENTED', 'INVALID_ARGUMENT', false, 'notApplied'],
    ['UNAVAILABLE', 'UNAVAILABLE', true, 'unknown'],
    ['DATA_LOSS', 'INTERNAL', false, 'unknown'],
    ['UNAUTHENTICATED', 'INVALID_ARGUMENT', false, 'notApplied'],
  ])('takes %s without details for %s', (status, code, retryable, outcome) => {
    const error = fromGrpcError({ code: GrpcStatus[status], details: 'why', metadata: new Metadata() });
    expect(error).toMatchObject({ code, retryable, outcome });
    expect(error.message).toContain('why');
  });

  it.each<[string, Uint8Array]>([
    ['garbage', new Uint8Array([0xff, 0xff])],
    [
      'details of another service',
      twinEncode('google.rpc.Status', { details: [{ type_url: 'other', value: 'AA==' }] }),
    ],
  ])('does without details that are %s', (_, bytes) => {
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from(bytes));
    expect(fromGrpcError({ code: GrpcStatus.UNAVAILABLE, details: 'why', metadata })).toMatchObject({
      code: 'UNAVAILABLE',
      outcome: 'unknown',
    });
  });

  it('takes a code of a later release for what its status says', () => {
    const metadata = new Metadata();
    const value = twinEncode('quorate.v1.ErrorDetail', { code: 999, outcome: 'OUTCOME_NOT_APPLIED', retryable: true });
    const details = [{ type_url: 'type.googleapis.com/quorate.v1.ErrorDetail', value }];
    metadata.set('grpc-status-details-bin', Buffer.from(twinEncode('google.rpc.Status', { details })));
    expect(fromGrpcError({ code: GrpcStatus.UNAVAILABLE, details: 'why', metadata })).toMatchObject({
      code: 'UNAVAILABLE',
      outcome: 'notApplied',
      retryable: true,
    });
  });

  it('takes anything', () => {
    for (const thrown of [undefined, null, 'text', 7, new Error('bug'), { code: 'ENOENT' }]) {
      expect(fromGrpcError(thrown)).toMatchObject({ name: 'QuorateError', code: 'INTERNAL', outcome: 'unknown' });
    }
  });
});
