/**
 * An edit of the manifest was in place when making its name durable failed; a verification of the tree, which was
 * still open, took the state on disk for that of the tree and stopped on an assertion. Found by the simulator of the engine.
 */
import { expect, test } from 'vitest';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, put, treeDirectory, treeResources } from '../lsm/harness.js';

test('a tree whose edit has failed can be verified: either state may be on disk', async () => {
  const disk = newDisk();
  await disk.makeDirectory('node');
  await using tree = await Tree.create(treeDirectory, treeResources(disk));
  let isInPlace = false;
  disk.fault = (operation) => {
    isInPlace ||= operation === 'rename';
    return isInPlace && operation === 'syncDirectory' ? 'io' : undefined;
  };
  put(tree, 'k', 1, 'value');
  await expect(tree.flush()).rejects.toThrow('io');
  disk.fault = undefined;
  await tree.verify();
});
