/** What a cluster's processes used while something ran. */
import { tmpdir } from 'node:os';

import { readDiskWrittenBytes, readProcessCounters } from './process-counters.js';
import type { CountersNow, LookOptions, MeasuredProcess } from './system.js';

export interface ProcessUsage {
  readonly name: string;
  /** Percent of a core. */
  readonly cpuPercent: number;
  readonly cpuMs: number;
  readonly syncsPerSecond: number;
  /** Percent of the time. */
  readonly gcPercent: number;
  /** How late timers were; undefined where the process does not tell, or nobody watched. */
  readonly loopDelayP99Ms: number | undefined;
  readonly loopDelayMsMax: number | undefined;
  /** At the end. */
  readonly rssMib: number;
}

export interface Used<T> {
  readonly result: T;
  readonly usage: readonly ProcessUsage[];
  /** By the disk that the processes write to; undefined where it does not tell. */
  readonly diskWrittenBytes: number | undefined;
}

export async function whileRunning<T>(
  processes: readonly MeasuredProcess[],
  run: () => Promise<T>,
  options?: LookOptions,
): Promise<Used<T>> {
  const before = await Promise.all(processes.map((one) => countersOf(one, options)));
  const diskBefore = readDiskWrittenBytes(tmpdir());
  const beganMs = performance.now();
  const result = await run();
  const elapsedMs = performance.now() - beganMs;
  const diskAfter = readDiskWrittenBytes(tmpdir());
  const after = await Promise.all(processes.map((one) => countersOf(one, options)));
  const usage = processes.map(({ name }, i) => usageOf({ name, before: before[i], after: after[i], elapsedMs }));
  const isTold = diskBefore !== undefined && diskAfter !== undefined;
  return { result, usage, diskWrittenBytes: isTold ? diskAfter - diskBefore : undefined };
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
    syncsPerSecond: (1000 * (after.syncs - before.syncs)) / elapsedMs,
    gcPercent: (100 * (after.gcMs - before.gcMs)) / elapsedMs,
    loopDelayP99Ms: after.loopDelayP99Ms,
    loopDelayMsMax: after.loopDelayMsMax,
    rssMib: after.rssBytes / 2 ** 20,
  };
}
