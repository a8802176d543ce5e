import { expect, test } from 'vitest';
import { emptyBytes, utf8 } from '../../../src/base/bytes.js';
import { LogIndex, NodeId, placementShardId, ReplicaId, ShardId, Timestamp } from '../../../src/base/ids.js';
import { defaultLimits } from '../../../src/base/limits.js';
import { makeDurableDirectory } from '../../../src/env/disk.js';
import { silentLogger } from '../../../src/env/logger.js';
import { userKey } from '../../../src/mvcc/keyspace.js';
import { encodeWriteBatch } from '../../../src/mvcc/write-batch-writer.js';
import { machineOptions, ShardFolders } from '../../../src/node/replicas/shard-folders.js';
import { incomingFolder, installFolder } from '../../../src/node/snapshots/folders.js';
import { SystemClock } from '../../../src/platform/clock.js';
import { encodeHighWater, highWaterKey } from '../../../src/placement/placement-format.js';
import { loadPlacementState } from '../../../src/placement/placement-state.js';
import { inlineBackground, ManualClock, newDisk } from '../../lsm/harness.js';

test('the trees of shards keep values apart from the size on that the limits say, by default none', async () => {
  for (const limits of [defaultLimits, { ...defaultLimits, largeValueBytesMin: 1 }]) {
    const disk = newDisk();
    await disk.makeDirectory('node/shards');
    const env = { disk, background: inlineBackground(disk), logger: silentLogger, clock: new ManualClock() };
    const folders = new ShardFolders({ env, directory: '/node', nodeId: NodeId(1), limits });
    const replicas = [{ replica: ReplicaId(1), node: NodeId(1) }];
    const epoch = { membership: 1, range: 1 };
    await folders.create({ shard: ShardId(1), start: utf8(''), end: utf8(''), epoch, replicas });
    const files = disk.paths().filter((path) => path.endsWith('.val'));
    expect(files.length > 0).toBe(limits.largeValueBytesMin === 1);
  }
});

test('versions are kept as long as the limits say; of the placement group, as many as its page says', () => {
  const limits = { versionRetentionMs: 600_000 };
  expect(machineOptions(ShardId(1), limits)).toEqual({ retention: 600_000_000 });
  expect(machineOptions(placementShardId, limits)).toEqual({ retention: 1000 });
});

test('what the placement group has replaced is dropped: who reads its state steps over what is there', async () => {
  const bytesAfter = async (changes: number): Promise<number> => {
    const disk = newDisk();
    await makeDurableDirectory(disk, 'node/shards');
    const env = { disk, background: inlineBackground(disk), logger: silentLogger, clock: new SystemClock() };
    const folders = new ShardFolders({ env, directory: 'node', nodeId: NodeId(1), limits: defaultLimits });
    const replicas = [{ replica: ReplicaId(1), node: NodeId(1) }];
    const epoch = { membership: 1, range: 1 };
    const descriptor = { shard: placementShardId, start: emptyBytes, end: emptyBytes, epoch, replicas };
    await folders.create(descriptor);
    const log = { firstIndex: LogIndex(2), truncatePrefix: () => undefined };
    const { tree, machine } = await folders.open(placementShardId, { log, sync: () => Promise.resolve() });
    for (let version = 1; version <= changes; version++) {
      const put = {
        key: userKey(highWaterKey),
        version: Timestamp(version),
        value: encodeHighWater(Timestamp(version)),
      };
      machine.apply(LogIndex(machine.appliedIndex + 1), encodeWriteBatch([{ type: 'put', ...put }]));
      if (version % 100 === 0) await new Promise(setImmediate);
      await tree.writeStall();
    }
    expect((await loadPlacementState(machine)).highWater).toBe(changes);
    const { bytes, memtableBytes } = tree.stats();
    await tree.close();
    return bytes + memtableBytes;
  };
  const bytes = await bytesAfter(10_000);
  expect(bytes).toBeLessThan(300_000);
  expect(await bytesAfter(50_000)).toBeLessThan(1.5 * bytes);
});

test("what a Raft snapshot has left for a replica that goes is in nobody's place after the next start", async () => {
  const disk = newDisk();
  await makeDurableDirectory(disk, 'node/shards');
  const env = { disk, background: inlineBackground(disk), logger: silentLogger, clock: new ManualClock() };
  const open = (): ShardFolders =>
    new ShardFolders({ env, directory: 'node', nodeId: NodeId(1), limits: defaultLimits });
  const folders = open();
  const shard = ShardId(4);
  for (const end of ['discard', 'bury'] as const) {
    await folders.createUnfilled(shard, ReplicaId(2));
    for (const left of [installFolder('node/shards/4'), incomingFolder('node/shards/4')]) {
      await disk.makeDirectory(left);
      await disk.syncDirectory('node/shards');
    }
    if (end === 'discard') await folders.discard(shard);
    else await folders.bury({ shard, nextReplica: ReplicaId(3) });
    disk.crash({ keep: 'none' });
    expect(await open().list(), `after ${end}`).toEqual([]);
  }
});

test('a name whose sync found no room is taken back, and the node is to stop: names of other shards may be lost with it', async () => {
  const disk = newDisk();
  await makeDurableDirectory(disk, 'node/shards');
  const env = { disk, background: inlineBackground(disk), logger: silentLogger, clock: new ManualClock() };
  const open = (): ShardFolders =>
    new ShardFolders({ env, directory: 'node', nodeId: NodeId(1), limits: defaultLimits });
  const folders = open();
  const [shard, replica] = [ShardId(4), ReplicaId(2)];
  const isNamed = (): boolean => disk.paths().some((path) => path.includes('node/shards/4/'));
  disk.fault = (operation) => (operation === 'syncDirectory' && isNamed() ? 'noSpace' : undefined);
  await expect(folders.createUnfilled(shard, replica)).rejects.toMatchObject({ code: 'io' });
  disk.fault = undefined;
  // A process that starts anew, without a loss of power, sees what was not durable: it must not count on it.
  expect(await open().list()).toEqual([]);
  await folders.createUnfilled(shard, replica);
  disk.crash({ keep: 'none' });
  expect(await open().list()).toEqual([shard]);
});
