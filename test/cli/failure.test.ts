import { describe, expect, test } from 'vitest';

import { QuorateError } from '../../src/base/errors.js';
import { ShardId } from '../../src/base/ids.js';
import { describeFailure, failureToJson } from '../../src/cli/failure.js';

describe('a failure', () => {
  test.each([
    [
      new QuorateError('SHARD_UNAVAILABLE', 'shard 3 has no leader', { shard: ShardId(3), retryAfterMs: 100 }),
      "SHARD_UNAVAILABLE: shard 3 has no leader (outcome: not applied; shard 3; retry after 100 ms; a majority of the shard's nodes must be up: see `quorate status`)",
    ],
    [
      new QuorateError('DEADLINE_EXCEEDED', 'no answer\n  in time', { outcome: 'unknown' }),
      'DEADLINE_EXCEEDED: no answer in time (outcome: unknown; it may have taken effect: read before you write again)',
    ],
    [
      new QuorateError('INVALID_ARGUMENT', 'the key is empty'),
      'INVALID_ARGUMENT: the key is empty (outcome: not applied)',
    ],
    [new Error('two\nlines'), 'two lines'],
    ['text', 'text'],
  ])('is told on one line: %s', (error, line) => {
    expect(describeFailure(error)).toBe(line);
  });

  test('for machines has the fields of the error', () => {
    const error = new QuorateError('OVERLOADED', 'full', { retryAfterMs: 5 });
    expect(JSON.parse(JSON.stringify(failureToJson(error)))).toEqual({
      error: { code: 'OVERLOADED', message: 'full', outcome: 'notApplied', retryable: true, retryAfterMs: 5 },
    });
    expect(failureToJson(new Error('x'))).toEqual({ error: { message: 'x' } });
  });
});
