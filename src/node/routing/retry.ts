import { QuorateError } from '../../base/errors.js';
import type { ShardId } from '../../base/ids.js';
import type { Prng } from '../../base/prng.js';

const delayMsMin = 10;
const delayMsMax = 200;
const answerMsMin = 1000;

/**
 * Milliseconds until the next try after `tries` of them: doubling, with jitter, and never less than the hint that the
 * failed try gave.
 */
export function retryDelayMs(tries: number, hintMs: number | undefined, random: Prng): number {
  const exponential = Math.min(delayMsMax, delayMsMin * 2 ** Math.min(tries - 1, 10));
  return Math.max(hintMs ?? 0, exponential * (0.5 + random.float() / 2));
}

/**
 * Milliseconds that another node has to answer try number `tries`. It may be cut off or paused and its shard have a new
 * leader, so the first waits are short; they double, so that a slow node is not asked more often than it can answer.
 */
export function answerMsMax(tries: number): number {
  return answerMsMin * 2 ** Math.min(tries - 1, 10);
}

/**
 * How an operation on `shard` ends at its deadline. What kept it from being done tells the caller more than that its
 * time is over: `lastError` is that of the last try, one that another try could have mended.
 */
export function endAtDeadline(shard: ShardId | undefined, lastError: QuorateError | undefined): QuorateError {
  if (lastError === undefined || lastError.code === 'DEADLINE_EXCEEDED') {
    return new QuorateError('DEADLINE_EXCEEDED', `shard ${shard ?? '?'} did not answer before the deadline`, { shard });
  }
  const { code, message, retryAfterMs } = lastError;
  return new QuorateError(code === 'OVERLOADED' ? code : 'SHARD_UNAVAILABLE', `${message}; given up at the deadline`, {
    shard,
    retryAfterMs,
    cause: lastError,
  });
}
