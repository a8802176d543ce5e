import { percentile } from '../measure.js';

/** Of all operations of a measurement, in milliseconds. */
export interface Latencies {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

export function latenciesOf(samplesMs: readonly number[]): Latencies {
  return {
    p50Ms: percentile(samplesMs, 0.5),
    p99Ms: percentile(samplesMs, 0.99),
    p999Ms: percentile(samplesMs, 0.999),
  };
}
