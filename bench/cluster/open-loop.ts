/**
 * Load at a fixed rate, whatever the answers do. Latencies count from the time at which an operation was due, so that an
 * answer that holds up the next call is not forgotten ("coordinated omission").
 */
import { build } from 'hdr-histogram-js';
import { setTimeout } from 'node:timers/promises';

import type { Latencies } from './latencies.js';

export interface OpenLoad {
  readonly perSecond: number;
  readonly seconds: number;
  /** With so many open, those that are due count as dropped. */
  readonly openMax: number;
  readonly operation: (n: number) => Promise<unknown>;
}

export interface OpenLoadResult extends Latencies {
  /** That were answered, per second until the last answer. */
  readonly perSecond: number;
  readonly operations: number;
  readonly failed: number;
  readonly dropped: number;
}

export async function runOpenLoad({ perSecond, seconds, openMax, operation }: OpenLoad): Promise<OpenLoadResult> {
  const histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: 600_000_000 });
  let open = 0;
  let failed = 0;
  let dropped = 0;
  const underWay = new Set<Promise<void>>();
  const startMs = performance.now();
  const run = async (n: number, dueMs: number): Promise<void> => {
    try {
      await operation(n);
      histogram.recordValue(Math.max(1, Math.round((performance.now() - dueMs) * 1000)));
    } catch {
      failed++;
    }
    open--;
  };
  const count = Math.round(perSecond * seconds);
  for (let next = 0; next < count; await setTimeout(1)) {
    const dueByNow = Math.min(count, Math.ceil(((performance.now() - startMs) / 1000) * perSecond));
    for (; next < dueByNow; next++) {
      if (open >= openMax) {
        dropped++;
        continue;
      }
      open++;
      const done = run(next, startMs + (next / perSecond) * 1000).finally(() => underWay.delete(done));
      underWay.add(done);
    }
  }
  await Promise.all(underWay);
  const elapsedSeconds = (performance.now() - startMs) / 1000;
  const at = (part: number): number => histogram.getValueAtPercentile(part) / 1000;
  const latencies = { p50Ms: at(50), p99Ms: at(99), p999Ms: at(99.9) };
  const operations = histogram.totalCount;
  return { perSecond: operations / elapsedSeconds, operations, failed, dropped, ...latencies };
}
