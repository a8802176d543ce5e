import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DirectoryLockedError, lockDirectory, type DirectoryLock } from '../../src/platform/directory-lock.js';
import { compile } from './compile.js';

describe('lockDirectory', () => {
  let folder: string;
  let holder: URL;
  let directory: string;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quorate-lock-'));
    holder = await compile(new URL('./lock-holder.ts', import.meta.url), folder);
  });
  afterAll(() => rm(folder, { recursive: true }));
  beforeEach(async () => {
    directory = await mkdtemp(join(folder, 'data-'));
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  async function startHolder(): Promise<ChildProcess> {
    const child = spawn(process.execPath, [fileURLToPath(holder), directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout, 'data');
    return child;
  }

  async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  test('refuses a second user, naming directory and pid, until the first one releases', async () => {
    const lock = await lockDirectory(directory);
    await expect(lockDirectory(directory)).rejects.toMatchObject({
      name: 'DirectoryLockedError',
      directory,
      pid: process.pid,
      message: `${directory} is in use by this process (pid ${process.pid})`,
    });
    await lock.release();
    await lock.release();
    expect(await readdir(directory)).toEqual([]);
    await using again = await lockDirectory(directory);
    expect(again.directory).toBe(directory);
  });

  test('another process holds it until it is killed, also while it is stopped', async () => {
    const child = await startHolder();
    await expect(lockDirectory(directory)).rejects.toMatchObject({ pid: child.pid });
    child.kill('SIGSTOP');
    await expect(lockDirectory(directory)).rejects.toMatchObject({ pid: undefined });
    child.kill('SIGCONT');
    await expect(lockDirectory(directory)).rejects.toMatchObject({ pid: child.pid });
    await end(child, 'SIGKILL');
    expect(await readdir(directory)).toHaveLength(1);
    await using lock = await lockDirectory(directory);
    expect(await readdir(directory)).toHaveLength(1);
    expect(lock.directory).toBe(directory);
  });

  test('what dead processes left is removed; other files are not', async () => {
    await writeFile(join(directory, 'node.json'), '{}');
    await writeFile(join(directory, '.lock-0123456789abcdef.new'), '');
    await end(await startHolder(), 'SIGKILL');
    const lock = await lockDirectory(directory);
    expect((await readdir(directory)).filter((name) => !/^lock-[0-9a-f]{16}\.sock$/.test(name))).toEqual(['node.json']);
    await lock.release();
    expect(await readdir(directory)).toEqual(['node.json']);
  });

  test('of many that try at once at most one gets it, and one at a time gets it in the end', async () => {
    for (let round = 0; round < 5; round++) {
      const results = await Promise.allSettled(Array.from({ length: 6 }, () => lockDirectory(directory)));
      const locks = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(DirectoryLockedError);
      }
      expect(locks.length).toBeLessThanOrEqual(1);
      await Promise.all(locks.map((lock: DirectoryLock) => lock.release()));
      await (await lockDirectory(directory)).release();
    }
  });

  test('a socket that answers nonsense, or not at all, counts as a holder', async () => {
    const server = createServer((socket) => socket.end('nonsense'));
    server.listen(join(directory, 'lock-0123456789abcdef.sock'));
    await once(server, 'listening');
    await expect(lockDirectory(directory)).rejects.toThrow(`${directory} is in use by another process`);
    server.close();
  });

  test('works where the path is too long for a socket', async () => {
    const deep = join(directory, 'd'.repeat(100), 'e'.repeat(100));
    await mkdir(deep, { recursive: true });
    await using lock = await lockDirectory(deep);
    await expect(lockDirectory(deep)).rejects.toBeInstanceOf(DirectoryLockedError);
    expect(lock.directory).toBe(deep);
  });

  test('says when there is no such directory', async () => {
    await expect(lockDirectory(join(directory, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
