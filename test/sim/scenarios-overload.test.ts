/** Nothing is wrong but that far more is asked for than the disks can write. */
import { expect, test } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { utf8 } from '../../src/base/bytes.js';
import type { QuorateError } from '../../src/base/errors.js';
import type { Limits } from '../../src/base/limits.js';
import type { OperationResult } from '../../src/mvcc/operations.js';
import { Scenario } from './scenario.js';

const kib = 1024;
const mib = 1024 * kib;
const timeoutMs = 5000;
const closedLoopCallers = 16;
const overloadMs = 4000;

class Writers {
  readonly acknowledged = new Map<string, string>();
  /** Of all puts that were not done. */
  readonly refused: QuorateError[] = [];
  /** Of all that were. */
  readonly waitsMs: number[] = [];
  readonly #scenario: Scenario;
  readonly #filler: string;
  #next = 0;
  #open = 0;

  constructor(scenario: Scenario, valueBytes: number) {
    this.#scenario = scenario;
    this.#filler = 'x'.repeat(valueBytes);
  }

  /** Puts a second, by callers each of whom waits for its answer before it goes on. */
  async closedLoop(ms: number): Promise<number> {
    const before = this.acknowledged.size;
    const untilMs = this.#scenario.nowMs + ms;
    const goOn = (): void => {
      if (this.#scenario.nowMs < untilMs) this.#put(goOn);
    };
    for (let i = 0; i < closedLoopCallers; i++) goOn();
    await this.#scenario.run(ms);
    const done = this.acknowledged.size - before;
    await this.#answered();
    return (1000 * done) / ms;
  }

  /** So many puts a second, whatever becomes of them. */
  async openLoop(perSecond: number, ms: number): Promise<void> {
    const { scheduler } = this.#scenario.cluster;
    const untilMs = this.#scenario.nowMs + ms;
    const goOn = (): void => {
      this.#put(() => undefined);
      if (scheduler.nowMs < untilMs) scheduler.schedule(1000 / perSecond, 'the next put is due', goOn);
    };
    goOn();
    await this.#scenario.run(ms);
    await this.#answered();
  }

  async #answered(): Promise<void> {
    await this.#scenario.until('all puts are answered', () => this.#open === 0);
  }

  #put(done: () => void): void {
    const { cluster } = this.#scenario;
    const i = this.#next++;
    const key = `key-${i}`;
    const value = `${i} ${this.#filler}`;
    const since = this.#scenario.nowMs;
    const ended = (result: OperationResult): void => {
      this.#open--;
      if (result.type === 'failed') this.refused.push(result.error);
      else {
        this.acknowledged.set(key, value);
        this.waitsMs.push(this.#scenario.nowMs - since);
      }
      done();
    };
    // Each of a session of its own, so that it takes the same in an entry, whatever becomes of those before it.
    const session = new Uint8Array(16);
    new DataView(session.buffer).setUint32(0, i);
    const requestId = { session, seq: 1 };
    const operation = {
      type: 'put',
      key: utf8(key),
      value: utf8(value),
      condition: { type: 'none' },
      requestId,
    } as const;
    this.#open++;
    cluster.submit(1 + (i % cluster.machines.length), operation, timeoutMs, ended);
  }
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return defined(sorted.at(Math.min(sorted.length - 1, Math.floor(part * sorted.length))), 'value');
}

/** Of each replica of each shard. */
function terms({ cluster }: Scenario): number[] {
  return cluster.machines.flatMap(({ node }) => (node?.host.shards ?? []).map(({ replica }): number => replica.term));
}

/** A shard at rest takes in a second or two of what the disks write, and there are no flushes of small values meanwhile. */
const limits: Partial<Limits> = {
  requestBytesMax: mib,
  batchOperationsMax: 128,
  shardOperationsInFlightMax: 512,
  nodeOperationsInFlightMax: 1024,
  logBytesFlush: 8 * mib,
  logBytesRewrite: 16 * mib,
  shardLogBytesMax: 4 * mib,
  memtableBytesMax: 8 * mib,
  nodeMemtableBytesMax: 32 * mib,
};

const largeLimits: Partial<Limits> = {
  ...limits,
  valueBytesMax: 20 * kib,
  entryBytesMax: 64 * kib,
  appendBytesMax: 64 * kib,
  segmentBytesMax: mib,
  memtableBytesMax: mib,
};

const loads = [
  { nodes: 3, valueBytes: 100, bytesPerSecond: 256 * kib, limits },
  { nodes: 5, valueBytes: 16 * kib, bytesPerSecond: 8 * mib, limits: largeLimits },
];

test.each(loads)('ten times what $nodes nodes can do, in values of $valueBytes bytes', async (load) => {
  const { nodes, valueBytes, bytesPerSecond, limits } = load;
  const scenario = await Scenario.formed({ seed: 61, nodes, limits });
  const { cluster } = scenario;
  const { writeWaitMsTarget: targetMs } = cluster.limits;
  for (const { disk } of cluster.machines) disk.bytesPerSecond = bytesPerSecond;
  const termsBefore = terms(scenario);
  const writers = new Writers(scenario, valueBytes);
  const before = await writers.closedLoop(3000);
  expect(writers.refused).toEqual([]);

  writers.waitsMs.length = 0;
  await writers.openLoop(10 * before, overloadMs);
  expect(writers.waitsMs.length, 'done meanwhile').toBeGreaterThan((0.75 * before * overloadMs) / 1000);
  expect(percentile(writers.waitsMs, 0.5)).toBeLessThan(1.5 * targetMs);
  expect(percentile(writers.waitsMs, 0.99)).toBeLessThan(3 * targetMs);
  expect(writers.refused.length).toBeGreaterThan((7 * before * overloadMs) / 1000);
  for (const { code, retryAfterMs } of writers.refused.splice(0)) {
    expect(code).toBe('OVERLOADED');
    expect(retryAfterMs).toBeGreaterThan(0);
  }

  // New segments of the log hold such slow disks up for a quarter of a second: now of all nodes at once, now of each by itself.
  expect(await writers.closedLoop(3000)).toBeGreaterThan(0.5 * before);
  expect(writers.refused).toEqual([]);
  expect(terms(scenario), 'no election').toEqual(termsBefore);
  const found = await scenario.scan(1);
  expect([...writers.acknowledged].filter(([key, value]) => found.get(key) !== value)).toEqual([]);
  expect(cluster.failures).toEqual([]);
  expect(cluster.violations).toEqual([]);
});
