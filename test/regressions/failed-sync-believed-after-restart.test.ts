/**
 * A tree's new CURRENT was in place, and making its name durable failed: the node stopped. Started again it believed what
 * it saw and dropped the log up to there; the power went, the old CURRENT was back, and the entries between were gone
 * from this node. Found by seeds 94030 and 94038 of the simulator.
 */
import { expect, test } from 'vitest';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, put, treeDirectory, treeResources } from '../lsm/harness.js';

test('what a tree says to be durable after a failed sync and a restart survives the loss of power', async () => {
  const disk = newDisk();
  await disk.makeDirectory('node');
  await disk.syncDirectory('.');
  const first = await Tree.create(treeDirectory, treeResources(disk), {});
  put(first, 'k', 1, 'one');
  await first.flush();
  put(first, 'k', 2, 'two');
  let isRenamed = false;
  disk.fault = (operation, path) => {
    isRenamed ||= operation === 'rename';
    return isRenamed && operation === 'syncDirectory' && path === treeDirectory ? 'io' : undefined;
  };
  await expect(first.flush()).rejects.toThrow('syncDirectory');
  await first.close().catch(() => undefined);
  disk.fault = undefined;

  const second = await Tree.open(treeDirectory, treeResources(disk), {});
  const durable = second.durableAppliedIndex;
  expect(durable, 'the new state is seen').toBe(2);
  await second.close();
  disk.crash({ keep: 'none' });

  const third = await Tree.open(treeDirectory, treeResources(disk), {});
  expect(third.durableAppliedIndex).toBeGreaterThanOrEqual(durable);
  await third.close();
});
