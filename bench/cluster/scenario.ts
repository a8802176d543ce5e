import type { Latencies } from './latencies.js';
import type { RunningQuorate } from './quorate-system.js';
import type { RunningSystem } from './system.js';

export const partNames = ['unary', 'stream', 'batches', 'mixes', 'rates', 'values'] as const;
export type PartName = (typeof partNames)[number];

/** What a load saw. */
export interface Outcome extends Latencies {
  readonly perSecond: number;
  readonly operations: number;
  /** Keys and values of what was written. */
  readonly payloadBytes: number;
  /** Operations that failed or, in an open loop, for which there was no room; undefined for none. */
  readonly lost?: number | undefined;
}

/** Where a scenario's figures are drawn: one point of one line. */
export interface PlotPlace {
  readonly plot: 'put' | 'get' | 'rate';
  readonly line: string;
  /** In flight, or offered per second. */
  readonly at: number;
}

/** One thing to measure, on both sides or on ours alone. */
export interface Scenario {
  readonly part: PartName;
  readonly name: string;
  readonly unit: 'operations/s' | 'batches/s';
  readonly needsH2load: boolean;
  /** One operation at a time: what wakes a node meanwhile shows in it. */
  readonly isInSeries?: boolean;
  readonly place?: PlotPlace | undefined;
  readonly ours: (running: RunningQuorate, seconds: number) => Promise<Outcome>;
  /**
   * The rival's side; or the name of the scenario whose figures of the rival stand beside ours, where ours is done in a way
   * that the rival does not have; undefined where nothing stands beside ours, for the same is not asked of the rival.
   */
  readonly theirs: ((running: RunningSystem, seconds: number) => Promise<Outcome>) | string | undefined;
}
