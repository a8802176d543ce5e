import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AssertionError } from '../../src/base/assert.js';
import { fromUtf8 } from '../../src/base/bytes.js';
import { CorruptionError } from '../../src/base/errors.js';
import { DiskError } from '../../src/env/disk.js';
import { WorkerPool } from '../../src/platform/worker-pool.js';
import { compile } from './compile.js';

const job = (type: string, input?: unknown): { type: string; input: unknown } => ({ type, input });

describe('WorkerPool', () => {
  let folder: string;
  let entry: URL;
  /** For tests that leave it as it was. */
  let shared: WorkerPool;
  const pools: WorkerPool[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quorate-pool-'));
    entry = await compile(new URL('./worker-jobs.ts', import.meta.url), folder);
    shared = new WorkerPool({ entry, size: 1 });
  });
  afterEach(async () => {
    for (const pool of pools.splice(0)) await pool[Symbol.asyncDispose]();
  });
  afterAll(async () => {
    await shared[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  function newPool(size: number): WorkerPool {
    const pool = new WorkerPool({ entry, size });
    pools.push(pool);
    return pool;
  }

  test('runs jobs with data in and out, and a disk', async () => {
    expect(await shared.run(job('double', 21))).toBe(42);
    expect(await shared.run(job('bytes', new Uint8Array([0, 1])))).toEqual(new Uint8Array([255, 254]));
    expect(fromUtf8(await shared.run(job('file', `${folder}/a`)))).toBe('by a worker');
  });

  test('gives away the memory that a job names, and no thread keeps it for good', async () => {
    const [bytes, jobs] = [16 * 1024 * 1024, 100];
    for (let n = 0; n < jobs; n++) {
      const input = new ArrayBuffer(bytes);
      expect(await shared.run({ type: 'length', input, transfer: [input] })).toBe(bytes);
      expect(input.byteLength).toBe(0);
    }
    expect(process.memoryUsage().arrayBuffers).toBeLessThan((bytes * jobs) / 4);
  });

  test('gives threads the memory for young objects that it is told', async () => {
    await using pool = new WorkerPool({ entry, size: 1, youngGenerationMiB: 100 });
    expect(await pool.run(job('youngGenerationMiB'))).toBe(100);
  });

  test('errors keep class, fields and message', async () => {
    const thrown = async (kind: string): Promise<unknown> => {
      try {
        return await shared.run(job('fail', kind));
      } catch (error) {
        return error;
      }
    };
    expect(await thrown('disk')).toBeInstanceOf(DiskError);
    expect(await thrown('disk')).toMatchObject({
      code: 'noSpace',
      path: '/data/1.sst',
      message: 'write /data/1.sst: noSpace',
    });
    expect(await thrown('corruption')).toBeInstanceOf(CorruptionError);
    expect(await thrown('corruption')).toMatchObject({
      file: '/data/1.sst',
      offset: 4096,
      message: '/data/1.sst is damaged at offset 4096: checksum',
    });
    expect(await thrown('assertion')).toBeInstanceOf(AssertionError);
    expect(await thrown('coded')).toMatchObject({ name: 'RangeError', code: 'ERR_FAR', message: 'too far' });
    expect(await thrown('text')).toMatchObject({ message: 'just text' });
    expect(await thrown('other')).toMatchObject({ stack: expect.stringContaining('worker-jobs') as string });
  });

  test('rejects for an unknown type, and for data that cannot cross threads', async () => {
    await expect(shared.run(job('unknown'))).rejects.toThrow('the code of background job unknown');
    await expect(shared.run(job('double', () => undefined))).rejects.toThrow('could not be cloned');
    await expect(shared.run(job('notCloneable'))).rejects.toThrow('could not be cloned');
    expect(await shared.run(job('double', 1))).toBe(2);
  });

  test('a thread that dies rejects its job alone, and is replaced', async () => {
    const pool = newPool(1);
    const before = await pool.run(job('thread'));
    const [died, next] = await Promise.allSettled([pool.run(job('die')), pool.run(job('thread'))]);
    expect(died).toMatchObject({ status: 'rejected', reason: { message: 'a worker thread died with exit code 7' } });
    expect(next.status).toBe('fulfilled');
    expect(next).not.toMatchObject({ value: before });
    await expect(pool.run(job('throwLater'))).rejects.toMatchObject({
      cause: { message: 'thrown outside of the job' },
    });
  });

  test('has jobs wait, however many, and runs them in their order', async () => {
    const order: number[] = [];
    const jobs = Array.from({ length: 2000 }, async (_, n) => {
      expect(await shared.run(job('double', n))).toBe(2 * n);
      order.push(n);
    });
    await Promise.all(jobs);
    expect(order).toEqual(Array.from(order.keys()));
    expect(order).toHaveLength(2000);
  });

  test('cancels jobs that run or wait', async () => {
    const pool = newPool(1);
    const running = new AbortController();
    const waiting = new AbortController();
    const first = pool.run(job('untilCancelled'), running.signal);
    const second = pool.run(job('double', 1), waiting.signal);
    const third = pool.run(job('double', 2));
    waiting.abort(new Error('no longer wanted'));
    await expect(second).rejects.toThrow('no longer wanted');
    running.abort();
    await expect(first).rejects.toThrow('the job was cancelled');
    expect(await third).toBe(4);
    await expect(pool.run(job('double', 1), AbortSignal.abort(new Error('already')))).rejects.toThrow('already');
  });

  test('runs as many jobs at a time as it has threads', async () => {
    const pool = newPool(2);
    const stop = new AbortController();
    const blocked = pool.run(job('untilCancelled'), stop.signal);
    expect(await pool.run(job('double', 4))).toBe(8);
    stop.abort();
    await expect(blocked).rejects.toThrow('cancelled');
  });

  test('has one thread more for an urgent job, which goes before those that wait', async () => {
    const pool = newPool(1);
    const stop = new AbortController();
    const blocked = pool.run(job('untilCancelled'), stop.signal);
    const order: number[] = [];
    const ordinary = pool.run(job('double', 1)).then(() => order.push(1));
    const urgent = { ...job('double', 2), isUrgent: true };
    await Promise.all([urgent, urgent].map((each) => pool.run(each).then(() => order.push(2))));
    expect(order).toEqual([2, 2]);
    stop.abort();
    await expect(blocked).rejects.toThrow('cancelled');
    await ordinary;
  });

  test('has a thread for a job that is not urgent while urgent ones run', async () => {
    const pool = newPool(1);
    const stop = new AbortController();
    const flush = pool.run({ ...job('untilCancelled'), isUrgent: true }, stop.signal);
    expect(await pool.run(job('double', 1))).toBe(2);
    stop.abort();
    await expect(flush).rejects.toThrow('cancelled');
  });

  test('closing has threads end by themselves, also one that has just begun to start', async () => {
    const pool = newPool(2);
    const note = `${folder}/note`;
    await pool.run(job('noteAtExit', note));
    const stop = new AbortController();
    const first = pool.run(job('untilCancelled'), stop.signal);
    const starting = pool.run(job('noteAtExit', `${note}-2`));
    const results = Promise.allSettled([first, starting]);
    await pool[Symbol.asyncDispose]();
    expect(await results).toMatchObject([{ reason: { message: 'the job was cancelled' } }, { status: 'fulfilled' }]);
    for (const path of [note, `${note}-2`]) expect(await readFile(path, 'utf8')).toBe('by itself');
  });

  test('closing refuses what waits, cancels what runs, and ends what does not listen', async () => {
    const pool = new WorkerPool({ entry, size: 2, stopMsMax: 500 });
    expect(await pool.run(job('double', 1))).toBe(2);
    const jobs = [pool.run(job('untilCancelled')), pool.run(job('forever')), pool.run(job('double', 1))];
    const results = Promise.allSettled(jobs);
    await pool[Symbol.asyncDispose]();
    expect(await results).toMatchObject([
      { reason: { message: 'the job was cancelled' } },
      { reason: { message: 'a worker thread died with exit code 1' } },
      { reason: { code: 'NODE_STOPPING' } },
    ]);
    await expect(pool.run(job('double', 1))).rejects.toMatchObject({ code: 'NODE_STOPPING' });
  });
});
