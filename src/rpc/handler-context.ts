import type { Limits } from '../base/limits.js';
import type { Clock } from '../env/clock.js';
import type { KvBackend } from './backend.js';
import type { Gate } from './gate.js';
import { remainingTimeoutMs, type TimeoutLimits } from './timeouts.js';
import type { UnsentAnswers } from './unsent-answers.js';

/** What every handler of the `Kv` service works with. */
export interface HandlerContext {
  readonly kv: KvBackend;
  readonly gate: Gate;
  readonly unsent: UnsentAnswers;
  readonly limits: Limits;
  readonly timeouts: TimeoutLimits;
  readonly clock: Pick<Clock, 'after' | 'endOfTurn'>;
  readonly nowEpochMs: () => number;
}

export function callTimeoutMs(call: { getDeadline(): Date | number }, context: HandlerContext): number {
  return remainingTimeoutMs(call.getDeadline(), context.nowEpochMs(), context.timeouts);
}
