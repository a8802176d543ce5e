import { expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { silentLogger } from '../../src/env/logger.js';
import { SharedLog } from '../../src/log/shared-log.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { userKey } from '../../src/mvcc/keyspace.js';
import { incomingFolder, installFolder } from '../../src/node/snapshots/folders.js';
import { decideInstall } from '../../src/node/snapshots/install.js';
import { newDisk } from '../lsm/harness.js';
import {
  newIndex,
  oldIndex,
  prepare,
  shard,
  shardFolder,
  shardFolders,
  shardsFolder,
  valueIn,
} from './snapshots/support.js';

it('flushes without an error where a Raft snapshot takes the place of what waits for space', async () => {
  const disk = newDisk();
  await prepare(disk, incomingFolder(shardFolder));
  const sizes = { segmentBytesMax: 64 * 1024, cacheBytesMax: 1024, rewriteBytesMin: 1024 * 1024 };
  const shared = await SharedLog.open({ disk, directory: 'node/log', ...sizes, logger: silentLogger });
  const { tree } = await shardFolders(disk).open(shard, {
    log: shared.group(shard),
    sync: () => Promise.resolve(),
  });
  tree.write(new TreeBatch().put(userKey(utf8('other')), Timestamp(101), utf8('x')), LogIndex(oldIndex + 1));
  await decideInstall(disk, shardsFolder, shardFolder);

  disk.quotaBytes = disk.usedBytes();
  const flushed = tree.flush();
  await expect.poll(() => tree.outOfSpace).toBe(true);
  disk.quotaBytes = Infinity;
  expect(await tree.replaceBy(installFolder(shardFolder))).toBe(newIndex);
  await expect(flushed).resolves.toBeUndefined();
  expect(await valueIn(tree)).toBe('new');

  await tree.close();
  await shared.close();
});
