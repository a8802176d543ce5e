import { percentile } from '../measure.js';

/** Of all operations of a measurement, in milliseconds; NaN of none. */
export interface Latencies {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

export function latenciesOf(samplesMs: readonly number[]): Latencies {
  if (samplesMs.length === 0) return { p50Ms: NaN, p99Ms: NaN, p999Ms: NaN };
  return {
    p50Ms: percentile(samplesMs, 0.5),
    p99Ms: percentile(samplesMs, 0.99),
    p999Ms: percentile(samplesMs, 0.999),
  };
}
