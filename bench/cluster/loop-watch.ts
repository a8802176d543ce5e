import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';

/**
 * A timer so often, and how late each is: what holds the loop up for longer is seen. Each wakes the process, which took up to 7 %
 * of what one client in series gets; and ten times fewer would be 50 in a measurement, between which whole stalls fit. So
 * it is either these or none.
 */
const resolutionMs = 10;

export interface LoopDelays {
  readonly loopDelayP99Ms: number;
  readonly loopDelayMsMax: number;
}

/** How late timers were between two looks. */
export class LoopWatch {
  #histogram: IntervalHistogram | undefined;

  /** Begins anew, or does not watch until the next look. Undefined: nobody has watched since the last. */
  look({ watches }: { readonly watches: boolean }): LoopDelays | undefined {
    const before = this.#histogram;
    before?.disable();
    this.#histogram = watches ? monitorEventLoopDelay({ resolution: resolutionMs }) : undefined;
    this.#histogram?.enable();
    if (before === undefined) return undefined;
    const late = (nanos: number): number => Math.max(0, nanos / 1e6 - resolutionMs);
    return { loopDelayP99Ms: late(before.percentile(99)), loopDelayMsMax: late(before.max) };
  }
}
