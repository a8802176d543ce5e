import type { Prng } from '../base/prng.js';

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
