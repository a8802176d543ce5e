import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openDataDirectory } from '../../../src/node/directory/data-directory.js';
import { NodeDisk } from '../../../src/platform/disk.js';

async function place(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'quorate-data-directory-'));
  onTestFinished(() => rm(root, { recursive: true }));
  return root;
}

describe('the data directory', () => {
  test('is made with the folders above it, and belongs to one process', async () => {
    const directory = join(await place(), 'a', 'b');
    const lock = await openDataDirectory(new NodeDisk(), directory);
    expect(existsSync(directory)).toBe(true);
    await expect(openDataDirectory(new NodeDisk(), directory)).rejects.toThrow(`${directory} is in use`);
    await lock.release();
  });

  test.each([
    ['file', 'it is a file, not a directory (EEXIST)'],
    ['file/below', 'a part of its path is a file, not a directory (ENOTDIR)'],
    ['file/far/below', 'a part of its path is a file, not a directory (ENOTDIR)'],
  ])('cannot be %s', async (name, reason) => {
    const root = await place();
    await writeFile(join(root, 'file'), '');
    const directory = join(root, name);
    await expect(openDataDirectory(new NodeDisk(), directory)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: `cannot use the data directory ${directory}: ${reason}`,
    });
  });

  test.skipIf(!existsSync('/proc/self'))('cannot be in /proc, which is told at once', async () => {
    for (const directory of ['/proc/quorate', '/proc/quorate/node-1']) {
      await expect(openDataDirectory(new NodeDisk(), directory)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: `cannot use the data directory ${directory}: no directory can be made there (ENOENT)`,
      });
    }
  });
});
