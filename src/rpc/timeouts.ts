/** How long an operation may take: pure arithmetic on deadlines. */

export interface TimeoutLimits {
  /** Where the caller set no deadline. */
  readonly defaultMs: number;
  /** A caller who asks for more gets this. */
  readonly maxMs: number;
}

/** The timeout that a message carries; 0 is "not set". */
export function cappedTimeoutMs(timeoutMs: number, limits: TimeoutLimits): number {
  return Math.min(timeoutMs === 0 ? limits.defaultMs : timeoutMs, limits.maxMs);
}

/**
 * What a call's deadline leaves for the answer; 0 or less when it has passed.
 *
 * @param deadline as grpc-js has it: Unix milliseconds or a Date; infinite when the caller set none
 */
export function remainingTimeoutMs(deadline: Date | number, nowEpochMs: number, limits: TimeoutLimits): number {
  const deadlineMs = typeof deadline === 'number' ? deadline : deadline.getTime();
  if (!Number.isFinite(deadlineMs)) return limits.defaultMs;
  return Math.min(answerTimeoutMs(deadlineMs - nowEpochMs), limits.maxMs);
}

/**
 * A little less than the caller will wait, so that an error which says what is wrong arrives before the caller's own
 * clock ends the call with one that does not.
 */
export function answerTimeoutMs(remainingMs: number): number {
  return remainingMs - Math.min(100, remainingMs / 10);
}
