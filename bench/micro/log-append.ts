/**
 * Ways to make a record durable at the end of a log, one at a time: `O_DSYNC` or `fdatasync`, in files that grow, that were
 * prepared, or that were used before, and from which thread. What docs/decisions/2026-11-21-log-append.md is based on.
 *
 * All ways take turns of a few appends each, so that what else the machine does hits them alike. "Main thread busy" is the
 * part of the time in which it runs or is stopped by a synchronous call; nothing else can happen in it meanwhile.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasync, fsyncSync, openSync, write, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { build } from 'hdr-histogram-js';

import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { silentLogger } from '../../src/env/logger.js';
import { SharedLog } from '../../src/log/shared-log.js';
import { NodeDisk } from '../../src/platform/disk.js';
import type { Row, SuiteOptions } from '../measure.js';
import type { LogWorkerData } from './log-append-worker.js';
import { appendNow, openLog, takeRoom, zeros, zerosDue, type LogFile, type Sync } from './log-file.js';

const mib = 1024 * 1024;
const fileBytes = 64 * mib;
const turnAppends = 20;
const recordBytesMax = 64 * 1024;

/** Appends `bytes`, which stay the caller's; durable when it resolves. */
interface Appender {
  readonly name: string;
  append(bytes: Uint8Array): Promise<void> | undefined;
  close(): Promise<void>;
}

/** How a file is before the first append. */
const preparations = {
  growing: () => undefined,
  'zeros a MiB ahead': () => undefined,
  fallocated: (path: string) => void execFileSync('fallocate', ['-l', `${fileBytes}`, path]),
  'zeros all over': (path: string) => writeFileSync(path, new Uint8Array(fileBytes)),
  recycled: (path: string) => writeFileSync(path, new Uint8Array(fileBytes).fill(7)),
} as const satisfies Readonly<Record<string, (path: string) => void>>;
type Preparation = keyof typeof preparations;

function prepare(path: string, preparation: Preparation, sync: Sync): LogFile {
  closeSync(openSync(path, 'w'));
  preparations[preparation](path);
  const fd = openLog(path, sync);
  fsyncSync(fd);
  const growsByZeros = preparation === 'zeros a MiB ahead';
  const bytesMax = preparation === 'growing' || growsByZeros ? Infinity : fileBytes;
  return { fd, sync, growsByZeros, bytesMax, offset: 0, zerosTo: 0 };
}

/** Calls the thread pool, as `NodeDisk` does. */
function pooled(log: LogFile): Pick<Appender, 'append' | 'close'> {
  const { fd, sync } = log;
  const wrote = (bytes: Uint8Array, offset: number): Promise<void> =>
    new Promise((resolve, reject) => {
      write(fd, bytes, 0, bytes.length, offset, (error) => (error ? reject(error) : resolve()));
    });
  const synced = (): Promise<void> =>
    new Promise((resolve, reject) => fdatasync(fd, (error) => (error ? reject(error) : resolve())));
  return {
    append: async (bytes) => {
      await wrote(bytes, takeRoom(log, bytes.length));
      const from = zerosDue(log, bytes.length);
      if (from !== undefined) await wrote(zeros, from);
      if (sync === 'fdatasync') await synced();
    },
    close: () => Promise.resolve(closeSync(fd)),
  };
}

function inMainThread(log: LogFile): Pick<Appender, 'append' | 'close'> {
  return {
    append: (bytes) => {
      appendNow(log, bytes);
      return undefined;
    },
    close: () => Promise.resolve(closeSync(log.fd)),
  };
}

/** A thread of its own, which is woken by a message or by a futex, and answers the same way. */
async function inWorker(log: LogFile, wakes: 'messages' | 'Atomics'): Promise<Pick<Appender, 'append' | 'close'>> {
  const shared = new SharedArrayBuffer(recordBytesMax);
  const signals = new Int32Array(new SharedArrayBuffer(8));
  const workerData: LogWorkerData = { log, shared, signals, wakes };
  const worker = new Worker(new URL('./log-append-worker.js', import.meta.url), { workerData });
  await new Promise((resolve) => worker.once('message', resolve));
  const target = new Uint8Array(shared);
  let done = 0;
  const append = async (bytes: Uint8Array): Promise<void> => {
    target.set(bytes);
    if (wakes === 'messages') {
      const answered = new Promise((resolve) => worker.once('message', resolve));
      worker.postMessage(bytes.length);
      await answered;
      return;
    }
    Atomics.store(signals, 0, bytes.length);
    Atomics.notify(signals, 0);
    const answered = waitAsync(signals, 1, done);
    if (answered.async) await answered.value;
    done = Atomics.load(signals, 1);
  };
  return {
    append,
    close: async () => {
      await worker.terminate();
      closeSync(log.fd);
    },
  };
}

/** Not yet among the types of the language version that the project is compiled for. */
function waitAsync(
  signals: Int32Array,
  at: number,
  value: number,
): { readonly async: boolean; readonly value: unknown } {
  const atomics = Atomics as unknown as { waitAsync: typeof waitAsync };
  return atomics.waitAsync(signals, at, value);
}

/** The log that nodes have, with all that it does for an append. */
async function sharedLog(directory: string, bytesMax: number): Promise<Appender> {
  const log = await SharedLog.open({
    disk: new NodeDisk(),
    directory,
    segmentBytesMax: fileBytes,
    rewriteBytesMin: Infinity,
    spareSegmentsMax: 0,
    cacheBytesMax: 16 * bytesMax,
    logger: silentLogger,
  });
  let index = 0;
  return {
    name: 'src/log',
    append: (data) =>
      log.append(ShardId(1), { entries: [{ index: LogIndex(++index), term: Term(1), data }], mustSync: true }),
    close: () => log.close(),
  };
}

async function appenders(folder: string, recordBytes: number): Promise<Appender[]> {
  const made: Appender[] = [];
  const add = async (
    how: string,
    preparation: Preparation,
    sync: Sync,
    make: (log: LogFile) => Pick<Appender, 'append' | 'close'> | Promise<Pick<Appender, 'append' | 'close'>>,
  ): Promise<void> => {
    const path = join(folder, `${recordBytes}-${made.length}`);
    made.push({ name: `${how}, ${sync}, ${preparation}`, ...(await make(prepare(path, preparation, sync))) });
  };
  for (const sync of ['fdatasync', 'O_DSYNC'] as const) {
    for (const preparation of Object.keys(preparations) as Preparation[]) {
      if (preparation !== 'fallocated' || hasFallocate()) await add('thread pool', preparation, sync, pooled);
    }
    await add('main thread', 'recycled', sync, inMainThread);
    await add('worker by messages', 'recycled', sync, (log) => inWorker(log, 'messages'));
    await add('worker by Atomics', 'recycled', sync, (log) => inWorker(log, 'Atomics'));
  }
  made.push(await sharedLog(join(folder, `${recordBytes}-log`), recordBytes));
  return made;
}

function hasFallocate(): boolean {
  try {
    execFileSync('fallocate', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** What one way took, over all of its turns. */
class Tally {
  readonly #micros = build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000 });
  #cpuMicros = 0;
  #busyMs = 0;
  #elapsedMs = 0;

  async turn(appender: Appender, records: readonly Uint8Array[]): Promise<void> {
    const [cpuBefore, loopBefore] = [process.cpuUsage(), performance.eventLoopUtilization()];
    for (const record of records) {
      const startMs = performance.now();
      const pending = appender.append(record);
      if (pending !== undefined) await pending;
      this.#micros.recordValue(Math.round((performance.now() - startMs) * 1000));
      await setImmediate();
    }
    const { user, system } = process.cpuUsage(cpuBefore);
    const { active, idle } = performance.eventLoopUtilization(loopBefore);
    this.#cpuMicros += user + system;
    this.#busyMs += active;
    this.#elapsedMs += active + idle;
  }

  rows(name: string): Row[] {
    const micros = this.#micros;
    return [
      { name: `${name}: p50`, unit: 'µs', ours: micros.getValueAtPercentile(50) },
      { name: `${name}: p99`, unit: 'µs', ours: micros.getValueAtPercentile(99) },
      { name: `${name}: time`, unit: 'µs of all cores', ours: Math.round(this.#cpuMicros / micros.totalCount) },
      { name: `${name}: main thread busy`, unit: '%', ours: Math.round((100 * this.#busyMs) / this.#elapsedMs) },
    ];
  }
}

export async function logAppend({ quick, progress }: SuiteOptions): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-'));
  const rows: Row[] = [];
  try {
    for (const recordBytes of [256, 4096, recordBytesMax]) {
      progress(`records of ${recordBytes} B`);
      const records = Array.from({ length: turnAppends }, (_, n) => new Prng(n).bytes(recordBytes));
      const made = await appenders(folder, recordBytes);
      const turns = quick ? 5 : recordBytes > 4096 ? 50 : 100;
      for (const appender of made) await new Tally().turn(appender, records);
      const tallies = new Map(made.map((appender) => [appender, new Tally()]));
      for (let turn = 0; turn < turns; turn++) {
        for (const [appender, tally] of tallies) await tally.turn(appender, records);
      }
      for (const appender of made) await appender.close();
      for (const [{ name }, tally] of tallies) rows.push(...tally.rows(`${recordBytes} B, ${name}`));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return rows;
}
