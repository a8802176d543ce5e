import type { Clock, Timer } from '../env/clock.js';
import { TurnEnds } from './turn-ends.js';

/** Longest delay that `setTimeout` takes; it fires at once for more. */
const timeoutMsMax = 2 ** 31 - 1;

/** The clocks and the event loop of this process. */
export class SystemClock implements Clock {
  readonly #turnEnds = new TurnEnds();

  monotonicMs(): number {
    return performance.now();
  }

  wallMicros(): number {
    return Date.now() * 1000;
  }

  after(delayMs: number, callback: () => void): Timer {
    const dueMs = performance.now() + delayMs;
    let timeout: NodeJS.Timeout;
    // Node's timers count whole milliseconds of another clock and may fire a fraction early.
    const arm = (restMs: number): void => {
      timeout = setTimeout(
        () => {
          const lackMs = dueMs - performance.now();
          if (lackMs > 0) arm(lackMs);
          else callback();
        },
        Math.min(Math.ceil(restMs), timeoutMsMax),
      );
    };
    arm(Math.max(0, delayMs));
    return { cancel: () => clearTimeout(timeout) };
  }

  endOfTurn(callback: () => void): void {
    this.#turnEnds.add(callback);
  }
}
