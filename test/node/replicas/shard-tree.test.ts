import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../../src/base/ids.js';
import { silentLogger } from '../../../src/env/logger.js';
import { SharedLog } from '../../../src/log/shared-log.js';
import { TreeBatch } from '../../../src/lsm/tree-batch.js';
import { userKey } from '../../../src/mvcc/keyspace.js';
import { incomingFolder, installFolder } from '../../../src/node/snapshots/folders.js';
import { decideInstall } from '../../../src/node/snapshots/install.js';
import type { ShardTree } from '../../../src/node/replicas/shard-tree.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { newDisk } from '../../lsm/harness.js';
import {
  newIndex,
  oldIndex,
  prepare,
  shard,
  shardFolder,
  shardFolders,
  shardsFolder,
  valueIn,
} from '../snapshots/support.js';

async function openTree(disk: SimDisk): Promise<{ tree: ShardTree; shared: SharedLog }> {
  const sizes = { segmentBytesMax: 64 * 1024, cacheBytesMax: 1024, rewriteBytesMin: 1024 * 1024, spareSegmentsMax: 2 };
  const shared = await SharedLog.open({ disk, directory: 'node/log', ...sizes, logger: silentLogger });
  const sync = (): Promise<void> => Promise.resolve();
  const { tree } = await shardFolders(disk).open(shard, { log: shared.group(shard), sync });
  return { tree, shared };
}

/** Begins to flush, without room on the disk. Resolves to the flush. */
async function flushWithoutSpace(disk: SimDisk, tree: ShardTree): Promise<{ flushed: Promise<void> }> {
  tree.write(new TreeBatch().put(userKey(utf8('other')), Timestamp(101), utf8('x')), LogIndex(oldIndex + 1));
  disk.quotaBytes = disk.usedBytes();
  const flushed = tree.flush();
  await expect.poll(() => tree.outOfSpace).toBe(true);
  return { flushed };
}

describe('a flush that waits for space ends without an error', () => {
  it('where a Raft snapshot takes the place of the tree', async () => {
    const disk = newDisk();
    await prepare(disk, incomingFolder(shardFolder));
    const { tree, shared } = await openTree(disk);
    await decideInstall(disk, shardsFolder, shardFolder);
    const { flushed } = await flushWithoutSpace(disk, tree);

    disk.quotaBytes = Infinity;
    expect(await tree.replaceBy(installFolder(shardFolder))).toBe(newIndex);
    await expect(flushed).resolves.toBeUndefined();
    expect(await valueIn(tree)).toBe('new');

    await tree.close();
    await shared.close();
  });

  it('where the replica goes', async () => {
    const disk = newDisk();
    await prepare(disk, incomingFolder(shardFolder));
    const { tree, shared } = await openTree(disk);
    const { flushed } = await flushWithoutSpace(disk, tree);

    await tree.close();
    await expect(flushed).resolves.toBeUndefined();
    await shared.close();
  });
});
