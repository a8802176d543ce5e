import { expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { defaultLimits } from '../../src/base/limits.js';
import type { Task } from '../../src/shard/task.js';
import { ScriptedExecutor, descriptor } from './scripted-executor.js';

const stepMs = 5;
const { writeWaitMsTarget: targetMs } = defaultLimits;

interface Load {
  readonly valueBytes: number;
  /** Of a log that stores one entry after the other. */
  readonly bytesPerSecond: number;
}

/** Far more writes than a log of fixed speed can store. */
class Overload {
  readonly waitsMs: number[] = [];
  /** In flight, at each step. */
  readonly inFlight: number[] = [];
  readonly #scripted: ScriptedExecutor;
  readonly #load: Load;
  readonly #value: Uint8Array;
  #open = 0;
  #seq = 0;
  /** When the log has stored the oldest entry that is proposed. */
  #storedAtMs: number | undefined;

  constructor(scripted: ScriptedExecutor, load: Load) {
    this.#scripted = scripted;
    this.#load = load;
    this.#value = new Uint8Array(load.valueBytes);
  }

  async run(untilMs: number): Promise<void> {
    const scripted = this.#scripted;
    for (; scripted.nowMs < untilMs; scripted.nowMs += stepMs) {
      await this.#storeEntries();
      await this.#offer();
      this.inFlight.push(this.#open);
    }
  }

  /** As many as are let in, and as the node's limit of bytes allows. */
  async #offer(): Promise<void> {
    const { valueBytes } = this.#load;
    const refusals: unknown[] = [];
    for (let i = 0; i < 400 && refusals.length === 0; i++) {
      if ((this.#open + 1) * valueBytes > defaultLimits.nodeBytesInFlightMax) break;
      this.#start(refusals);
      if (i % 50 === 49) await this.#scripted.turn();
    }
    await this.#giveTimestamps();
  }

  #start(refusals: unknown[]): void {
    const scripted = this.#scripted;
    const since = scripted.nowMs;
    const seq = ++this.#seq;
    const task: Task = {
      operation: {
        type: 'put',
        key: utf8(`k${seq % 1000}`),
        value: this.#value,
        condition: { type: 'none' },
        requestId: { session: new Uint8Array(16), seq },
      },
      abandoned: false,
      begun: false,
      settle: (result) => {
        this.#open--;
        if (result.type === 'failed') refusals.push(result);
        else this.waitsMs.push(scripted.nowMs - since);
      },
    };
    this.#open++;
    scripted.executor.execute(task, descriptor.epoch);
  }

  async #storeEntries(): Promise<void> {
    const scripted = this.#scripted;
    while (this.#storedAtMs !== undefined && this.#storedAtMs <= scripted.nowMs) {
      await scripted.apply();
      this.#storeNext(this.#storedAtMs);
      await this.#giveTimestamps();
    }
  }

  async #giveTimestamps(): Promise<void> {
    await this.#scripted.turn();
    while (this.#scripted.asked.length > 0) await this.#scripted.giveTimestamps();
    if (this.#storedAtMs === undefined) this.#storeNext(this.#scripted.nowMs);
  }

  #storeNext(nowMs: number): void {
    const next = this.#scripted.proposed.at(0);
    this.#storedAtMs = next && nowMs + (1000 * next.data.length) / this.#load.bytesPerSecond;
  }
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}

const kib = 1024;
const mib = 1024 * kib;

test.each([
  { valueBytes: 256, bytesPerSecond: 1 * mib },
  { valueBytes: 16 * kib, bytesPerSecond: 10 * mib },
  { valueBytes: 64 * kib, bytesPerSecond: 20 * mib },
  { valueBytes: mib, bytesPerSecond: 40 * mib },
])(
  'values of $valueBytes bytes at $bytesPerSecond bytes a second wait for as long as the target says',
  async (load) => {
    const overload = new Overload(await ScriptedExecutor.make(), load);
    await overload.run(3000);
    expect(Math.max(...overload.waitsMs), 'while it is not known how fast the log is').toBeLessThan(2 * targetMs);
    overload.waitsMs.length = 0;
    overload.inFlight.length = 0;
    await overload.run(7000);
    const { waitsMs, inFlight } = overload;
    expect(percentile(waitsMs, 0.5)).toBeLessThanOrEqual(1.15 * targetMs);
    expect(percentile(waitsMs, 0.99)).toBeLessThanOrEqual(1.2 * targetMs);
    expect(Math.max(...inFlight), 'it does not swing').toBeLessThan(1.5 * Math.min(...inFlight));
    expect(waitsMs.length * load.valueBytes, 'the log is always busy').toBeGreaterThan(4 * 0.7 * load.bytesPerSecond);
  },
);
