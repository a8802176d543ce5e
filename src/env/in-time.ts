import { onAbort } from '../base/abort.js';
import type { Clock } from './clock.js';

export interface InTimeOptions {
  readonly clock: Clock;
  readonly ms: number;
  readonly signal: AbortSignal;
  /** What it ends with after `ms`. */
  readonly late: () => Error;
}

/**
 * What `promise` comes to, if it does within so long; otherwise rejects as `late` says, or with the signal's reason when that is
 * aborted first. What becomes of the promise then nobody hears. Leaves no timer behind.
 */
export async function inTime<T>(promise: Promise<T>, { clock, ms, signal, late }: InTimeOptions): Promise<T> {
  let end = (): void => undefined;
  const over = new Promise<never>((_resolve, reject) => {
    const timer = clock.after(ms, () => reject(late()));
    const stopListening = onAbort(signal, () => reject(signal.reason as Error));
    end = () => {
      timer.cancel();
      stopListening();
    };
  });
  try {
    return await Promise.race([promise, over]);
  } finally {
    end();
  }
}
