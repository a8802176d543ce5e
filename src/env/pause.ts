import { onAbort } from '../base/abort.js';
import type { Clock } from './clock.js';

/** Resolves after so long; rejects with the signal's reason when that is aborted. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const timer = clock.after(ms, () => {
      stopListening();
      resolve();
    });
    const stopListening = onAbort(signal, () => {
      timer.cancel();
      reject(signal.reason as Error);
    });
  });
}
