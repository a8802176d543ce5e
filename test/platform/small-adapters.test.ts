import fs, { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pinoLogger } from '../../src/platform/logger.js';
import { NodeDisk } from '../../src/platform/disk.js';
import { SystemClock } from '../../src/platform/clock.js';
import { SystemRandom, systemRandomSeed } from '../../src/platform/random.js';

describe('SystemClock', () => {
  const clock = new SystemClock();

  test('timers keep at least their delay, to a fraction of a millisecond', async () => {
    const tooEarly = await Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        const start = clock.monotonicMs();
        const delayMs = 1 + i / 7;
        return new Promise<boolean>((resolve) => {
          clock.after(delayMs, () => resolve(clock.monotonicMs() - start < delayMs));
        });
      }),
    );
    expect(tooEarly).not.toContain(true);
  });

  test('a cancelled timer does not fire, and a very long one does not fire at once', async () => {
    const fired: string[] = [];
    clock.after(1, () => fired.push('cancelled')).cancel();
    const long = clock.after(2 ** 32, () => fired.push('long'));
    await new Promise<void>((resolve) => clock.after(10, resolve));
    long.cancel();
    expect(fired).toEqual([]);
  });

  test('the end of a turn comes after its promise reactions', async () => {
    const seen: string[] = [];
    const over = new Promise<void>((resolve) => {
      clock.endOfTurn(() => {
        seen.push('end');
        resolve();
      });
    });
    for (let i = 0; i < 100; i++) await Promise.resolve();
    seen.push('reactions');
    await over;
    expect(seen).toEqual(['reactions', 'end']);
  });

  test('wall time is in whole microseconds since 1970', () => {
    const before = Date.now();
    const micros = clock.wallMicros();
    expect(Number.isSafeInteger(micros)).toBe(true);
    expect(micros / 1000).toBeGreaterThanOrEqual(before);
    expect(micros / 1000).toBeLessThanOrEqual(Date.now());
  });
});

describe('pinoLogger', () => {
  function capture(level: 'info' | 'debug'): { logger: ReturnType<typeof pinoLogger>; lines: () => unknown[] } {
    const written: string[] = [];
    const logger = pinoLogger({ level, destination: { write: (line) => void written.push(line) } });
    return { logger, lines: () => written.map((line) => JSON.parse(line) as unknown) };
  }

  test('writes a line of JSON for each message, with the fields of the loggers above it', () => {
    const { logger, lines } = capture('info');
    logger.child({ node: 1 }).child({ shard: 2 }).warn('leader lost', { term: 3 });
    expect(lines()).toEqual([
      expect.objectContaining({ level: 'warn', node: 1, shard: 2, term: 3, msg: 'leader lost' }),
    ]);
  });

  test('drops what is below its level', () => {
    const { logger, lines } = capture('info');
    logger.debug('hidden');
    logger.info('shown');
    expect(lines()).toEqual([expect.objectContaining({ msg: 'shown' })]);
  });

  test('writes errors with message, stack and cause', () => {
    const { logger, lines } = capture('debug');
    logger.error('failed', { error: new Error('outer', { cause: new Error('inner') }) });
    expect(lines()).toMatchObject([
      { error: { message: 'outer: inner', stack: expect.stringContaining('outer') as string } },
    ]);
  });
});

describe('a file of durable writes', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quorate-durable-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const modes = ['createDurable', 'readWriteDurable'] as const;
  const canSeeFlags = existsSync('/proc/self/fdinfo');

  test.skipIf(!canSeeFlags).each(modes)('has the system write through to the device: %s', async (mode) => {
    const path = join(folder, 'a');
    if (mode === 'readWriteDurable') writeFileSync(path, 'a');
    const file = await new NodeDisk().open(path, mode);
    const fd = readdirSync('/proc/self/fd').find((name) => {
      const link = `/proc/self/fd/${name}`;
      return existsSync(link) && readlinkSync(link) === path;
    });
    const flags = /^flags:\s*0([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    expect(Number.parseInt(flags ?? '', 8) & fs.constants.O_DSYNC).toBe(fs.constants.O_DSYNC);
    await file.close();
  });

  test.each(modes)('is synced after each write where the system cannot do that: %s', async (mode) => {
    if (mode === 'readWriteDurable') writeFileSync(join(folder, 'a'), 'a');
    const { fdatasync, write } = fs;
    const calls: string[] = [];
    Object.assign(fs, {
      write: (...args: Parameters<typeof write>) => void (calls.push('write'), write(...args)),
      fdatasync: (...args: Parameters<typeof fdatasync>) => void (calls.push('sync'), fdatasync(...args)),
    });
    syncBuiltinESMExports();
    try {
      const file = await new NodeDisk({ hasDurableWrites: false }).open(join(folder, 'a'), mode);
      for (let i = 0; i < 2; i++) await file.write(new Uint8Array(10), 0);
      await file.close();
    } finally {
      Object.assign(fs, { fdatasync, write });
      syncBuiltinESMExports();
    }
    expect(calls).toEqual(['write', 'sync', 'write', 'sync']);
  });
});

test.skipIf(!existsSync('/dev/full'))('a full device is told as such', async () => {
  const file = await new NodeDisk().open('/dev/full', 'readWrite');
  await expect(file.write(new Uint8Array(10), 0)).rejects.toMatchObject({ name: 'DiskError', code: 'noSpace' });
  await file.close();
});

test('below a file there is nothing', async () => {
  expect(await new NodeDisk().exists(`${new URL(import.meta.url).pathname}/CURRENT`)).toBe(false);
});

test('closing a file waits for what is under way', async () => {
  const file = await new NodeDisk().open(new URL(import.meta.url).pathname, 'read');
  const reads = Array.from({ length: 20 }, () => file.read(new Uint8Array(100), 0));
  await file.close();
  expect(await Promise.all(reads)).toEqual(reads.map(() => 100));
});

test('names are not drawn from a seed, which another process may have', () => {
  const names = [1, 2].flatMap(() => {
    const random = new SystemRandom(7);
    return [random.bytes(16), random.split().bytes(16)];
  });
  for (const name of names) expect(name).toHaveLength(16);
  expect(new Set(names.map(String)).size).toBe(4);
});

test('random seeds are safe integers, and differ', () => {
  const seeds = new Set(Array.from({ length: 100 }, systemRandomSeed));
  expect(seeds.size).toBe(100);
  for (const seed of seeds) expect(Number.isSafeInteger(seed) && seed >= 0).toBe(true);
});
