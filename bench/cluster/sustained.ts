/**
 * Overwrites of random keys for minutes, of data that is several times what the nodes cache: whether there is progress all
 * the time, and whether the rate lasts. Ours alone.
 */
import { build, type Histogram } from 'hdr-histogram-js';
import { setTimeout } from 'node:timers/promises';

import { Prng } from '../../src/base/prng.js';
import { afterFailureMs, percentile, type Row, type SuiteOptions } from '../measure.js';
import { keyOf, valueOf } from './keys.js';
import { startQuorate } from './quorate-system.js';
import { rounded, shardsRow } from './results.js';
import { whileRunning, type ProcessUsage } from './usage.js';

const mib = 1024 * 1024;
const inFlight = 256;
const usualKeys = 1_000_000;
const usualValueBytes = 1024;
const seed = 10;
/** So much of a node's data as fits here may be read from memory: a fraction of {@link usualKeys} values. */
const settings = { limits: { blockCacheBytesMax: 64 * mib, rowCacheBytesMax: 16 * mib } };

/** What the callers saw, second by second. */
export interface Timeline {
  readonly perSecond: readonly number[];
  readonly p50Ms: number;
  readonly p999Ms: number;
  readonly longestMs: number;
  readonly failed: number;
}

export async function sustained(options: SuiteOptions & { readonly minutes: number }): Promise<Row[]> {
  const { quick, minutes, progress, valueBytes = usualValueBytes, keys = quick ? usualKeys / 10 : usualKeys } = options;
  progress(`writing ${keys} keys`);
  await using running = await startQuorate({ keys, valueBytes }, settings);
  const random = new Prng(seed);
  const terms = async (): Promise<number> => {
    const { shards } = await running.client.status();
    return shards.reduce((sum, { term }) => sum + term, 0);
  };
  const termsBefore = await terms();
  const { result, usage } = await whileRunning(running.processes, () =>
    timeline(minutes * 60, progress, () => {
      const drawn = random.u32();
      return running.client.put(keyOf(drawn % keys), valueOf(valueBytes, drawn));
    }),
  );
  const name = `put of random keys, ${keys} of ${valueBytes} B, ${inFlight} in flight, ${minutes} min`;
  return [shardsRow(running.shards), ...rowsOf(name, result, usage, (await terms()) - termsBefore)];
}

async function timeline(
  seconds: number,
  progress: (text: string) => void,
  operation: () => Promise<unknown>,
): Promise<Timeline> {
  const histogram: Histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: 600_000_000 });
  const perSecond = new Array<number>(seconds).fill(0);
  const startMs = performance.now();
  let failed = 0;
  const caller = async (): Promise<void> => {
    for (let nowMs = performance.now(); nowMs - startMs < seconds * 1000; nowMs = performance.now()) {
      try {
        await operation();
      } catch {
        failed++;
        await setTimeout(afterFailureMs);
        continue;
      }
      const doneMs = performance.now();
      histogram.recordValue(Math.max(1, Math.round((doneMs - nowMs) * 1000)));
      const second = Math.floor((doneMs - startMs) / 1000);
      if (second < seconds) {
        if (second > 0 && second % 60 === 0 && perSecond[second] === 0) progress(`${second / 60} min`);
        perSecond[second]++;
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  const at = (part: number): number => histogram.getValueAtPercentile(part) / 1000;
  return { perSecond, p50Ms: at(50), p999Ms: at(99.9), longestMs: histogram.maxValue / 1000, failed };
}

export function rowsOf(
  name: string,
  { perSecond, p50Ms, p999Ms, longestMs, failed }: Timeline,
  usage: readonly ProcessUsage[],
  leaderChanges: number,
): Row[] {
  const average = (seconds: readonly number[]): number => seconds.reduce((sum, one) => sum + one, 0) / seconds.length;
  const last = average(perSecond.slice(-60));
  const first = average(perSecond.slice(0, 60));
  const row = (what: string, unit: string, ours: number): Row => ({ name: name + what, unit, ours: rounded(ours) });
  const byMinute = Array.from({ length: Math.ceil(perSecond.length / 60) }, (_, minute) =>
    rounded(average(perSecond.slice(minute * 60, (minute + 1) * 60))),
  );
  return [
    { ...row('', 'operations/s', average(perSecond)), samples: byMinute },
    row(', slowest second', 'operations/s', Math.min(...perSecond)),
    row(', slowest hundredth of the seconds', 'operations/s', percentile(perSecond, 0.01)),
    row(', last minute, part of the first', '%', (100 * last) / first),
    row(', p50', 'ms', p50Ms),
    row(', p99.9', 'ms', p999Ms),
    row(', p99.9 in medians', 'times p50', p999Ms / p50Ms),
    row(', longest', 'ms', longestMs),
    row(', failed', 'operations', failed),
    row(', changes of leader', 'terms', leaderChanges),
    row(', largest RSS of a node at the end', 'MiB', Math.max(...usage.map(({ rssMib }) => rssMib))),
  ];
}
