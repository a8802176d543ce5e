import { marks } from './coverage.js';
import { faultTypes } from './fault-types.js';
import type { SimRunResult } from './run.js';

/** From so many runs on, a fault or a mark that none of them has met means that they do not test what they should. */
export const coverageSeedsMin = 500;

/** What many runs came to; plain data, for a line of JSON. */
export class Summary {
  seeds = 0;
  readonly failed: number[] = [];
  virtualMs = 0;
  events = 0;
  /** Operations that the checker of linearizability was given. */
  operationsChecked = 0;
  readonly operations: Record<string, number> = {};
  /** How often each fault really happened. */
  readonly faults: Record<string, number> = {};
  /** How often each rare path was taken. */
  readonly coverage: Record<string, number> = {};

  add(result: SimRunResult): void {
    this.seeds++;
    if (result.failure !== undefined) this.failed.push(result.seed);
    this.virtualMs += result.virtualMs;
    this.events += result.events;
    this.operationsChecked += result.operationsChecked;
    addAll(this.operations, result.operations);
    addAll(this.faults, result.faults);
    addAll(this.coverage, result.coverage);
  }

  /** The run of this seed ended without a result. */
  broken(seed: number): void {
    this.seeds++;
    this.failed.push(seed);
  }

  /** Faults and marks that no run has met. */
  get neverMet(): string[] {
    const isMissing = (counts: Record<string, number>) => (name: string) => (counts[name] ?? 0) === 0;
    return [...faultTypes.filter(isMissing(this.faults)), ...marks.filter(isMissing(this.coverage))];
  }

  get isGood(): boolean {
    return this.failed.length === 0 && (this.seeds < coverageSeedsMin || this.neverMet.length === 0);
  }
}

function addAll(sums: Record<string, number>, counts: object): void {
  for (const [name, count] of Object.entries(counts) as [string, number][]) sums[name] = (sums[name] ?? 0) + count;
}
