import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { AssertionError } from '../../src/base/assert.js';
import { openTree } from '../../src/node/open-tree.js';

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
