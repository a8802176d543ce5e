/**
 * Clients that read, write, delete and compare-and-set a few registers, alone, in batches or in atomic ones, scan them, and
 * read them stale. What they saw is recorded: linearizable operations for the checker of histories, and all of it for
 * `checkObservations`.
 */
import { fromUtf8, utf8 } from '../base/bytes.js';
import { Timestamp } from '../base/ids.js';
import type { Prng } from '../base/prng.js';
import type { Condition } from '../mvcc/operations.js';
import { HistoryRecorder } from '../../jepsen-lite/checker/history.js';
import type { RegisterInput, RegisterOutput } from '../../jepsen-lite/checker/models/register-operation.js';
import { Bursts } from './bursts.js';
import type { SimCluster } from './cluster.js';
import { Observations } from './observations.js';
import type { ClientAction, WorkloadPlan } from './swarm.js';

/** How the calls ended that came to an end, and what they were. */
export interface WorkloadCounts {
  /** Single operations, of batches too, that were answered. */
  done: number;
  notApplied: number;
  unknown: number;
  /** Writes with an unknown outcome that were sent again. */
  sentAgain: number;
  /** Writes that were sent again although they had been answered. */
  duplicates: number;
  batches: number;
  /** Atomic ones that took effect, and those of which a condition failed. */
  atomicBatches: number;
  atomicBatchesRefused: number;
  scans: number;
  scansFailed: number;
  staleReads: number;
  staleReadsRefused: number;
}

export class Workload {
  readonly counts: WorkloadCounts = {
    done: 0,
    notApplied: 0,
    unknown: 0,
    sentAgain: 0,
    duplicates: 0,
    batches: 0,
    atomicBatches: 0,
    atomicBatchesRefused: 0,
    scans: 0,
    scansFailed: 0,
    staleReads: 0,
    staleReadsRefused: 0,
  };
  readonly cluster: SimCluster;
  readonly random: Prng;
  readonly recorder: HistoryRecorder<RegisterInput, RegisterOutput>;
  readonly seen = new Observations();
  readonly bursts: Bursts;
  /** In the order of their bytes. */
  readonly keys: readonly string[];
  readonly #plan: WorkloadPlan;
  #nextClient = 0;
  #nextValue = 0;
  #stopped = false;

  constructor(cluster: SimCluster, plan: WorkloadPlan) {
    this.cluster = cluster;
    this.#plan = plan;
    this.random = cluster.random.split('workload');
    this.recorder = new HistoryRecorder({ now: () => cluster.scheduler.nowMs });
    this.bursts = new Bursts(cluster.scheduler, this.random.split('bursts'), plan.bursts);
    this.keys = Array.from({ length: plan.keys }, (_, i) => `k${String(i).padStart(2, '0')}`);
  }

  /** How many make calls at the same time. */
  get clients(): number {
    return this.#plan.clients;
  }

  /** Clients make no further calls; those under way may still end. */
  stop(): void {
    this.#stopped = true;
    this.bursts.stop();
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** A client that does not know what became of its operation goes on under another: a history's threads are never ahead of themselves. */
  nextClient(): number {
    return this.#nextClient++;
  }

  drawThinkMs(): number {
    return this.random.float() * this.#plan.thinkMsMax;
  }

  drawNode(): number {
    return this.random.int(1, this.cluster.machines.length);
  }

  drawAction(): ClientAction {
    const actions = Object.entries(this.#plan.actions) as [ClientAction, number][];
    let left = this.random.float() * actions.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [action, weight] of actions) {
      left -= weight;
      if (left < 0) return action;
    }
    return 'one';
  }

  drawKey(): string {
    return this.random.pick(this.keys);
  }

  drawInput(): RegisterInput {
    const draw = this.random.float();
    if (draw < 0.4) return { type: 'read' };
    const value = this.drawValue();
    if (draw < 0.7) return { type: 'write', value };
    if (draw < 0.8) return { type: 'delete' };
    if (this.random.chance(0.3)) return { type: 'cas', expected: null, value };
    const expected = `v${this.random.int(Math.max(0, this.#nextValue - 8), this.#nextValue)}`;
    return { type: 'cas', expected, value: this.random.chance(0.8) ? value : null };
  }

  /** Every value is written once. */
  drawValue(): string {
    return `v${this.#nextValue++}`;
  }

  // ---- names and bytes

  /** Spread over the whole key space, so that keys fall into different shards. */
  keyBytes(key: string): Uint8Array {
    const spread = Math.floor((this.keys.indexOf(key) * 256) / this.keys.length);
    return Uint8Array.of(spread, ...utf8(key));
  }

  /** The key of these bytes; undefined when they are none of the workload's. */
  keyOf(bytes: Uint8Array): string | undefined {
    const key = fromUtf8(bytes.subarray(1));
    return this.keys.includes(key) ? key : undefined;
  }

  readonly valueBytes = (value: string): Uint8Array => {
    return utf8(value.padEnd(this.#plan.valueBytes, padding));
  };

  /** That the register has this value, null when it is absent. Of one key, a value's version names it as well as its bytes. */
  toCondition(key: string, expected: string | null): Condition {
    if (expected === null) return { type: 'absent' };
    const version = this.seen.versionOf(key, expected);
    if (version !== undefined && this.random.chance(0.5)) return { type: 'versionEquals', version: Timestamp(version) };
    return { type: 'valueEquals', value: this.valueBytes(expected) };
  }

  /** What was padded; another text, and a violation, when the value is not one that was written. */
  valueOf(bytes: Uint8Array): string {
    const text = fromUtf8(bytes);
    const value = text.replace(/\.+$/, '');
    if (!/^v\d+$/.test(value) || value.padEnd(this.#plan.valueBytes, padding) !== text)
      this.seen.violated(`nobody wrote the value ${JSON.stringify(text.slice(0, 80))}`);
    return value;
  }
}

const padding = '.';
