/** Shared by the suites: closed-loop load with a histogram of latencies, and the form of results. */
import { arch, cpus, platform, totalmem } from 'node:os';
import { setTimeout } from 'node:timers/promises';

import { build, type Histogram } from 'hdr-histogram-js';

/** One figure; `ratio` above 1 means that we are better, also for latencies. Rival fields only where one was measured. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly rival?: string;
  readonly theirs?: number;
  readonly ratio?: number;
  /** What `ours` was made of, in the order of time; only where there are few. */
  readonly samples?: readonly number[];
  /** The same of `theirs`. */
  readonly theirSamples?: readonly number[];
  /** In the file, and not in the table that is printed. */
  readonly isDetail?: boolean;
}

export interface SuiteOptions {
  /** Shorter runs. */
  readonly quick: boolean;
  readonly progress: (text: string) => void;
  /** Of the data, where a suite has such; undefined for its own. */
  readonly keys?: number | undefined;
  readonly valueBytes?: number | undefined;
  /** Values from this size on are in files of their own, where a suite has a tree; undefined for none. */
  readonly largeValueBytesMin?: number | undefined;
  /** Of the data (1e9 bytes), where a suite is of such; undefined for its own. */
  readonly gigabytes?: number | undefined;
  /** Of the load, where a suite has such; undefined for its own. */
  readonly minutes?: number | undefined;
  /** Leaders that are killed, where a suite kills some; undefined for its own. */
  readonly kills?: number | undefined;
  /** Parts of the suite, where it has such; undefined for all. */
  readonly only?: readonly string[] | undefined;
  /** File for a page with plots, where a suite has such. */
  readonly html?: string | undefined;
  /** Folder for processor profiles of the nodes, where a suite has such. */
  readonly profile?: string | undefined;
  /** Minutes of load on data beyond the caches, instead of the rest, where a suite has such. */
  readonly sustained?: number | undefined;
}

export interface Report {
  readonly suite: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryGiB: number;
    readonly node: string;
    readonly os: string;
  };
  readonly rows: readonly Row[];
}

export function report(suite: string, rows: readonly Row[]): Report {
  const [first] = cpus();
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  const os = `${platform()} ${arch()}`;
  return {
    suite,
    machine: { cpu: first?.model ?? '?', cores: cpus().length, memoryGiB, node: process.version, os },
    rows,
  };
}

export interface Load {
  /** Operations that are under way at a time. */
  readonly inFlight: number;
  readonly seconds: number;
  /** The n-th operation. */
  readonly operation: (n: number) => Promise<unknown>;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly operations: number;
  /** Of which nothing else is counted. */
  readonly failed: number;
}

/** A caller whose operation failed waits for so long: a node that refuses is not asked again at once. */
export const afterFailureMs = 10;

/**
 * Runs a closed loop: each of `inFlight` callers starts its next operation when its last has ended. Operations may fail, as they
 * do under overload; rejects with the last failure when nothing else came of all.
 */
export async function runLoad({ inFlight, seconds, operation }: Load): Promise<LoadResult> {
  const histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  });
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  let next = 0;
  let failed = 0;
  let lastFailure: unknown;
  const caller = async (): Promise<void> => {
    for (let nowMs = performance.now(); nowMs < endMs; nowMs = performance.now()) {
      try {
        await operation(next++);
        histogram.recordValue(Math.max(1, Math.round((performance.now() - nowMs) * 1000)));
      } catch (error) {
        failed++;
        lastFailure = error;
        await setTimeout(afterFailureMs);
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  if (failed > 0 && histogram.totalCount === 0) throw lastFailure;
  const elapsedSeconds = (performance.now() - startMs) / 1000;
  return {
    operations: histogram.totalCount,
    failed,
    perSecond: Math.round(histogram.totalCount / elapsedSeconds),
    p50Ms: histogram.getValueAtPercentile(50) / 1000,
    p99Ms: histogram.getValueAtPercentile(99) / 1000,
    p999Ms: histogram.getValueAtPercentile(99.9) / 1000,
  };
}

/** Of few samples: the smallest that at least so much of them (0 to 1) is not above. */
export function percentile(samples: readonly number[], part: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
}
