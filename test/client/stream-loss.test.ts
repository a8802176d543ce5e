import { status as GrpcStatus } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';
import { lossErrors } from '../../src/client/stream-loss.js';
import { toGrpcStatus } from '../../src/rpc/status.js';

describe('the operations of a stream that is lost', () => {
  it.each<[string, unknown, object]>([
    ['ends', undefined, { code: 'UNAVAILABLE', outcome: 'unknown', retryable: true }],
    [
      'breaks',
      { code: GrpcStatus.UNAVAILABLE, details: 'reset' },
      { code: 'UNAVAILABLE', outcome: 'unknown', retryable: true },
    ],
    [
      'is cancelled',
      { code: GrpcStatus.CANCELLED, details: '' },
      { code: 'UNAVAILABLE', outcome: 'unknown', retryable: true },
    ],
    [
      'has a message that is too long for gRPC',
      { code: GrpcStatus.RESOURCE_EXHAUSTED, details: 'larger than max' },
      { code: 'OVERLOADED', outcome: 'unknown', retryable: false },
    ],
    [
      'is refused by a node that does not say which message',
      toGrpcStatus(new QuorateError('INVALID_ARGUMENT', 'too many')),
      { code: 'INVALID_ARGUMENT', outcome: 'unknown', retryable: false },
    ],
  ])('may have been executed where it %s', (_, thrown, expected) => {
    const { unsent, ofMessage } = lossErrors('the stream broke', thrown);
    expect(ofMessage(1)).toMatchObject(expected);
    expect(unsent).toMatchObject({ code: 'UNAVAILABLE', outcome: 'notApplied', retryable: true });
  });

  it('have not, from a message on that the node refused; only what is in it is not tried again', () => {
    const thrown = toGrpcStatus(new QuorateError('INVALID_ARGUMENT', 'too many'), 2);
    const { unsent, ofMessage } = lossErrors('the stream broke', thrown);
    expect(ofMessage(1)).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown', retryable: true });
    const message = 'the stream broke: too many';
    expect(ofMessage(2)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      outcome: 'notApplied',
      retryable: false,
      message,
    });
    for (const error of [ofMessage(3), unsent]) {
      expect(error).toMatchObject({ code: 'UNAVAILABLE', outcome: 'notApplied', retryable: true, message });
    }
  });
});
