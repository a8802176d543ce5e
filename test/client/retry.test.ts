import { describe, expect, it } from 'vitest';
import { QuorateError, type ErrorCode, type QuorateErrorOptions } from '../../src/base/errors.js';
import { ShardId } from '../../src/base/ids.js';
import {
  backoffMs,
  cancelledError,
  deadlineError,
  decideRetry,
  finalError,
  moreTelling,
  reconnectMs,
} from '../../src/client/retry.js';

const decide = (
  code: ErrorCode,
  attempts: number,
  leftMs: number,
  options: QuorateErrorOptions = {},
): ReturnType<typeof decideRetry> =>
  decideRetry({
    error: new QuorateError(code, '', options),
    attempts,
    nowMs: 1000,
    // The caller has waited for as long as it still will.
    startMs: 1000 - leftMs,
    deadlineMs: 1000 + leftMs,
    random: 1,
  });

describe('decideRetry', () => {
  it.each<[ErrorCode, number, number, QuorateErrorOptions, number | 'giveUp']>([
    ['UNAVAILABLE', 1, 5000, {}, 1005],
    ['UNAVAILABLE', 2, 5000, { outcome: 'unknown' }, 1010],
    ['NOT_LEADER', 3, 5000, {}, 1020],
    ['SHARD_UNAVAILABLE', 6, 5000, {}, 1160],
    ['SHARD_UNAVAILABLE', 100, 5000, {}, 1250],
    ['OVERLOADED', 1, 5000, { retryAfterMs: 700 }, 1700],
    ['OVERLOADED', 1, 500, { retryAfterMs: 700 }, 'giveUp'],
    ['UNAVAILABLE', 1, 5, {}, 'giveUp'],
    ['UNAVAILABLE', 1, 7, {}, 1005],
    ['UNAVAILABLE', 1, 6, {}, 'giveUp'],
    ['OVERLOADED', 1, 5000, { retryable: false }, 'giveUp'],
    ['INTERNAL', 1, 5000, { outcome: 'unknown' }, 'giveUp'],
    ['DEADLINE_EXCEEDED', 1, 5000, { outcome: 'unknown' }, 'giveUp'],
    ['INVALID_ARGUMENT', 1, 5000, {}, 'giveUp'],
    ['DISK_FULL', 1, 5000, {}, 'giveUp'],
  ])('%s after %i attempts with %i ms left %j: %s', (code, attempts, leftMs, options, expected) => {
    const decision = decide(code, attempts, leftMs, options);
    if (expected === 'giveUp') expect(decision).toEqual({ type: 'giveUp' });
    else expect(decision).toEqual({ type: 'retry', atMs: expected });
  });

  it.each([
    [1106, { type: 'retry', atMs: 1005 }],
    [1105, { type: 'giveUp' }],
  ])('makes no attempt that a node would not answer before the deadline, which is %i', (deadlineMs, expected) => {
    const error = new QuorateError('UNAVAILABLE', '');
    expect(decideRetry({ error, attempts: 1, startMs: 0, nowMs: 1000, deadlineMs, random: 1 })).toEqual(expected);
  });

  it('makes at least half of the delay random', () => {
    expect(backoffMs(4, 0)).toBe(20);
    expect(backoffMs(4, 0.5)).toBe(30);
  });
});

describe('how a call ends', () => {
  const lastError = new QuorateError('SHARD_UNAVAILABLE', 'no quorum', { shard: ShardId(3) });

  it('at its deadline, with what is known', () => {
    const error = deadlineError(250, { maybeApplied: false, lastError });
    expect(error).toMatchObject({ code: 'SHARD_UNAVAILABLE', outcome: 'notApplied', shard: 3, cause: lastError });
    expect(error.message).toBe('no answer within 250 ms; the last attempt failed with SHARD_UNAVAILABLE: no quorum');
    expect(deadlineError(1, { maybeApplied: true, lastError: undefined })).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      outcome: 'unknown',
    });
    const overloaded = new QuorateError('OVERLOADED', 'full', { shard: ShardId(3), retryAfterMs: 70 });
    expect(deadlineError(1, { maybeApplied: false, lastError: overloaded })).toMatchObject({
      code: 'OVERLOADED',
      retryAfterMs: 70,
    });
  });

  it('cancelled, with the reason', () => {
    const reason = new Error('enough');
    const error = cancelledError(reason, { maybeApplied: true, lastError: undefined });
    expect(error).toMatchObject({ code: 'CANCELLED', outcome: 'unknown', cause: reason, message: 'cancelled: enough' });
  });

  it('with the last error, and the outcome of all attempts', () => {
    expect(finalError(lastError, false)).toBe(lastError);
    expect(finalError(lastError, true)).toMatchObject({ code: 'SHARD_UNAVAILABLE', outcome: 'unknown', shard: 3 });
    expect(finalError(lastError.withUnknownOutcome(), false)).toMatchObject({ outcome: 'notApplied', shard: 3 });
  });
});

describe('moreTelling', () => {
  const ofShard = new QuorateError('SHARD_UNAVAILABLE', 'no leader', { shard: ShardId(3) });
  const unconnected = new QuorateError('UNAVAILABLE', 'no connection');

  it('leaves a node alone for longer the more often it could not be reached, up to five seconds', () => {
    expect([0, 1, 4, 8, 100].map((failures) => reconnectMs(failures, 0.999999))).toEqual(
      [10, 20, 160, 2560, 5000].map((ms) => expect.closeTo(ms, 0) as number),
    );
    expect(reconnectMs(100, 0)).toBe(2500);
  });

  it('keeps what a node said about the shard over a connection or a time that was not had', () => {
    expect(moreTelling(ofShard, unconnected)).toBe(ofShard);
    expect(moreTelling(undefined, unconnected)).toBe(unconnected);
    expect(moreTelling(unconnected, ofShard)).toBe(ofShard);
    expect(moreTelling(ofShard, new QuorateError('DEADLINE_EXCEEDED', 'no time left'))).toBe(ofShard);
    const overloaded = new QuorateError('OVERLOADED', 'full');
    expect(moreTelling(ofShard, overloaded)).toBe(overloaded);
  });
});
