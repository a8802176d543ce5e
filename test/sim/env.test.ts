import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { Prng } from '../../src/base/prng.js';
import type { JobTable } from '../../src/env/background.js';
import { readWholeFile, type Disk } from '../../src/env/disk.js';
import type { Env } from '../../src/env/env.js';
import { runTurns } from '../../src/platform/turns.js';
import { MachineClock } from '../../src/sim/clock.js';
import { SimDisk } from '../../src/sim/disk.js';
import { simEnv } from '../../src/sim/env.js';
import { SimLog } from '../../src/sim/logger.js';
import { SimNetwork } from '../../src/sim/network.js';
import { SimProcess } from '../../src/sim/process.js';
import { Scheduler } from '../../src/sim/scheduler.js';

const jobs: JobTable = {
  write: async (path: string, disk: Disk) => {
    const file = await disk.open(path, 'create');
    for (let i = 0; i < 10; i++) await file.write(utf8(`${i}`), i);
    await file.sync();
    await file.close();
    return path.length;
  },
  fail: () => Promise.reject(new Error('the job failed')),
  length: (input: ArrayBuffer) => Promise.resolve(input.byteLength),
  mutate: (input: number[]) => {
    input.push(2);
    return Promise.resolve(input);
  },
  wait: (_input: undefined, _disk: Disk, signal: AbortSignal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('cancelled')))),
};

class Machine {
  readonly scheduler = new Scheduler(runTurns);
  readonly random = new Prng(3);
  readonly disk = new SimDisk({ random: this.random.split('disk') });
  readonly log = new SimLog(this.scheduler);
  readonly clock = new MachineClock(this.scheduler);
  readonly network = new SimNetwork(this.scheduler, { random: this.random.split('network') });
  process = new SimProcess(this.scheduler, 'n1');
  env: Env = this.start();

  start(): Env {
    this.process = new SimProcess(this.scheduler, 'n1');
    this.env = simEnv({
      scheduler: this.scheduler,
      process: this.process,
      machine: { clock: this.clock, disk: this.disk },
      network: this.network,
      jobs,
      logger: this.log.logger({ node: 1 }),
      random: this.random.split('incarnation'),
    });
    return this.env;
  }
}

describe('simEnv', () => {
  test('disk operations take virtual time, more of it on a slow disk', async () => {
    const { env, disk, scheduler } = new Machine();
    const write = async (path: string): Promise<number> => {
      const startMs = env.clock.monotonicMs();
      const file = await env.disk.open(path, 'create');
      await file.write(utf8('x'), 0);
      await file.sync();
      return env.clock.monotonicMs() - startMs;
    };
    expect(await scheduler.complete(write('/a'))).toBeLessThan(5);
    disk.slowness = 1000;
    expect(await scheduler.complete(write('/b'))).toBeGreaterThan(200);
  });

  test('a disk of limited speed writes one after the other, so many bytes a second', async () => {
    const { env, disk, scheduler } = new Machine();
    disk.bytesPerSecond = 10_000;
    const write = async (path: string): Promise<number> => {
      const file = await env.disk.open(path, 'create');
      await file.write(new Uint8Array(1000), 0);
      return scheduler.nowMs;
    };
    const [first, second] = await scheduler.complete(Promise.all([write('/a'), write('/b')]));
    expect([first, second].map((ms) => Math.floor(ms / 100)).toSorted()).toEqual([1, 2]);
    await scheduler.run(scheduler.nowMs + 1000);
    const sinceMs = scheduler.nowMs;
    expect(Math.floor((await scheduler.complete(write('/c'))) - sinceMs)).toBe(100);
  });

  test('a killed process learns nothing more; what it had begun happens; the next one finds it', async () => {
    const machine = new Machine();
    const { scheduler } = machine;
    const seen: string[] = [];
    const write = async (): Promise<void> => {
      const file = await machine.env.disk.open('/a', 'create');
      seen.push('created');
      await file.write(utf8('begun'), 0);
      seen.push('written');
    };
    const writing = write().catch(() => seen.push('told'));
    await scheduler.runUntil(() => seen.length === 1);
    // The write is under way.
    machine.process.kill();
    await scheduler.run(scheduler.nowMs + 100);
    expect(seen).toEqual(['created']);
    const { disk } = machine.start();
    expect(await scheduler.complete(readWholeFile(disk, '/a'))).toEqual(utf8('begun'));
    void writing;
  });

  test('a stalled disk holds back its operations, not the clock', async () => {
    const { env, disk, scheduler } = new Machine();
    disk.stall();
    let opened = false;
    let fired = false;
    const opening = env.disk.open('/a', 'create').then(() => (opened = true));
    env.clock.after(1000, () => (fired = true));
    await scheduler.run(2000);
    expect([opened, fired]).toEqual([false, true]);
    disk.unstall();
    await scheduler.complete(opening);
    expect(opened).toBe(true);
  });

  test('background jobs run one at a time on the disk of the process, with cloned data', async () => {
    const { env, scheduler } = new Machine();
    const input = [1];
    const given = new ArrayBuffer(3);
    const all = Promise.allSettled([
      env.background.run({ type: 'write', input: '/job' }),
      env.background.run({ type: 'fail', input: undefined }),
      env.background.run({ type: 'mutate', input }),
      env.background.run({ type: 'length', input: given, transfer: [given] }),
    ]);
    const [written, failed, mutated, length] = await scheduler.complete(all);
    expect(written).toEqual({ status: 'fulfilled', value: 4 });
    expect(failed).toMatchObject({ reason: { message: 'the job failed' } });
    expect(mutated).toMatchObject({ value: [1, 2] });
    expect(input).toEqual([1]);
    expect(length).toMatchObject({ value: 3 });
    expect(given.byteLength).toBe(0);
    expect(await scheduler.complete(readWholeFile(env.disk, '/job'))).toEqual(utf8('0123456789'));
  });

  test('background jobs can be cancelled while they wait and while they run', async () => {
    const { env, scheduler } = new Machine();
    const running = new AbortController();
    const waiting = new AbortController();
    const results = Promise.allSettled([
      env.background.run({ type: 'wait', input: undefined }, running.signal),
      env.background.run({ type: 'write', input: '/never' }, waiting.signal),
    ]);
    waiting.abort(new Error('no longer wanted'));
    await scheduler.run(100);
    running.abort();
    expect(await scheduler.complete(results)).toMatchObject([
      { reason: { message: 'cancelled' } },
      { reason: { message: 'no longer wanted' } },
    ]);
    expect(await scheduler.complete(env.disk.exists('/never'))).toBe(false);
  });

  test('a background job ends with its process, wherever it is', async () => {
    const machine = new Machine();
    const { scheduler } = machine;
    let told = false;
    const job = machine.env.background.run({ type: 'write', input: '/job' }).finally(() => (told = true));
    await scheduler.runUntil(() => machine.disk.paths().includes('/job') && machine.disk.content('/job').length >= 3);
    machine.process.kill();
    await scheduler.run(scheduler.nowMs + 1000);
    expect(told).toBe(false);
    expect(machine.disk.content('/job').length).toBeLessThan(5);
    void job;
  });

  test('log lines carry virtual time and the fields of the loggers above; the oldest go first', async () => {
    const { env, scheduler, log } = new Machine();
    await scheduler.run(12.5);
    env.logger.child({ shard: 2 }).warn('leader lost', { error: new Error('why') });
    expect(log.lines).toMatchObject([
      { timeMs: 12.5, level: 'warn', message: 'leader lost', fields: { node: 1, shard: 2 } },
    ]);
    expect(log.text()).toBe('      12.500 warn  leader lost node=1 shard=2 error="Error: why"');
    const small = new SimLog(scheduler, { linesMax: 3 });
    for (let i = 0; i < 20; i++) small.logger().info(`${i}`);
    expect(small.lines.length).toBeLessThan(6);
    expect(small.lines.at(-1)?.message).toBe('19');
  });

  test('the draws of one part do not depend on those of another', () => {
    const first = new Machine().env.random.u32();
    const other = new Machine();
    other.disk.stall();
    void other.env.disk.exists('/a');
    expect(other.env.random.u32()).toBe(first);
  });
});
