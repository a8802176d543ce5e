/** What a cluster's processes used while something ran. */
import { readProcessCounters } from './process-counters.js';
import type { CountersNow, LookOptions, MeasuredProcess } from './system.js';

export interface ProcessUsage {
  readonly name: string;
  /** Percent of a core. */
  readonly cpuPercent: number;
  readonly cpuMs: number;
  readonly writtenBytes: number;
  readonly syncsPerSecond: number;
  /** Percent of the time. */
  readonly gcPercent: number;
  /** How late timers were; undefined where the process does not tell, or nobody watched. */
  readonly loopDelayP99Ms: number | undefined;
  readonly loopDelayMsMax: number | undefined;
  /** At the end. */
  readonly rssMib: number;
}

export async function whileRunning<T>(
  processes: readonly MeasuredProcess[],
  run: () => Promise<T>,
  options?: LookOptions,
): Promise<{ readonly result: T; readonly usage: readonly ProcessUsage[] }> {
  const before = await Promise.all(processes.map((one) => countersOf(one, options)));
  const beganMs = performance.now();
  const result = await run();
  const elapsedMs = performance.now() - beganMs;
  const after = await Promise.all(processes.map((one) => countersOf(one, options)));
  const usage = processes.map(({ name }, i) => usageOf({ name, before: before[i], after: after[i], elapsedMs }));
  return { result, usage };
}

async function countersOf({ pid, inner }: MeasuredProcess, options?: LookOptions): Promise<CountersNow> {
  return { ...(await inner(options)), ...readProcessCounters(pid) };
}

export function usageOf(of: {
  readonly name: string;
  readonly before: CountersNow;
  readonly after: CountersNow;
  readonly elapsedMs: number;
}): ProcessUsage {
  const { name, before, after, elapsedMs } = of;
  const cpuMs = after.cpuMs - before.cpuMs;
  return {
    name,
    cpuPercent: (100 * cpuMs) / elapsedMs,
    cpuMs,
    writtenBytes: after.writtenBytes - before.writtenBytes,
    syncsPerSecond: (1000 * (after.syncs - before.syncs)) / elapsedMs,
    gcPercent: (100 * (after.gcMs - before.gcMs)) / elapsedMs,
    loopDelayP99Ms: after.loopDelayP99Ms,
    loopDelayMsMax: after.loopDelayMsMax,
    rssMib: after.rssBytes / 2 ** 20,
  };
}
