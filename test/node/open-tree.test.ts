import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { AssertionError } from '../../src/base/assert.js';
import { openTree } from '../../src/node/open-tree.js';
import { lockDirectory } from '../../src/platform/directory-lock.js';

test('who was refused for an option, or has closed the tree, does not keep the folder', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'quorate-open-tree-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  for (const wrong of [{ backgroundThreads: 0 }, { blockBytes: 0 }, { memtablesBytesMax: 1 }]) {
    await expect(openTree(directory, wrong)).rejects.toThrow(AssertionError);
  }
  for (let times = 0; times < 2; times++) {
    const tree = await openTree(directory);
    await expect(openTree(directory)).rejects.toThrow(`in use by this process (pid ${process.pid})`);
    await Promise.all([tree.close(), tree.close()]);
  }
});

test('a tree of a node is opened with the data directory of the node, and not while the node runs', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'quorate-open-tree-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  await mkdir(join(directory, 'shards'));
  await writeFile(join(directory, 'IDENTITY'), 'of a node');
  const path = join(directory, 'shards', '1');
  {
    await using _running = await lockDirectory(directory);
    await expect(openTree(path)).rejects.toThrow(`${directory} is in use`);
    // A folder without a tree would keep the node from starting again.
    expect(existsSync(path)).toBe(false);
  }
  {
    await using _tree = await openTree(path);
    await expect(lockDirectory(directory)).rejects.toThrow(`${directory} is in use`);
    await expect(lockDirectory(path)).rejects.toThrow(`${path} is in use`);
  }
  await using _again = await lockDirectory(directory);
});

test('trees in folders that are named like those of a node, but are not, can be open at one time', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'quorate-open-tree-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  await using _one = await openTree(join(directory, 'shards', '1'));
  await using _other = await openTree(join(directory, 'shards', '2'));
});
