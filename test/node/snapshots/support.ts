/** A shard of one node on a simulated disk, and the data of a Raft snapshot of the same shard as of a later entry. */
import { utf8 } from '../../../src/base/bytes.js';
import { LogIndex, NodeId, ReplicaId, ShardId, Term, Timestamp, timestampMax } from '../../../src/base/ids.js';
import { defaultLimits } from '../../../src/base/limits.js';
import type { Disk } from '../../../src/env/disk.js';
import { silentLogger } from '../../../src/env/logger.js';
import { TreeBatch } from '../../../src/lsm/tree-batch.js';
import { Tree } from '../../../src/lsm/tree.js';
import { userKey } from '../../../src/mvcc/keyspace.js';
import { createConfiguration } from '../../../src/raft/config.js';
import { ShardFolders } from '../../../src/node/replicas/shard-folders.js';
import type { ShardTree } from '../../../src/node/replicas/shard-tree.js';
import { encodeManifest, manifestName } from '../../../src/node/snapshots/manifest.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { inlineBackground, ManualClock, treeResources } from '../../lsm/harness.js';

export const shard = ShardId(1);
export const shardsFolder = 'node/shards';
export const shardFolder = `${shardsFolder}/1`;
/** What the shard has applied, and what the snapshot has. */
export const oldIndex = LogIndex(5);
export const newIndex = LogIndex(40);
export const newTerm = Term(3);

export function shardFolders(disk: Disk): ShardFolders {
  const env = { disk, background: inlineBackground(disk), clock: new ManualClock(), logger: silentLogger };
  return new ShardFolders({ env, directory: 'node', nodeId: NodeId(1), limits: defaultLimits });
}

export const descriptor = {
  shard,
  start: utf8(''),
  end: utf8(''),
  epoch: { membership: 1, range: 1 },
  replicas: [1, 2, 3].map((id) => ({ replica: ReplicaId(id), node: NodeId(id) })),
};
/** Of the shard, whose second replica is on the node that offers. */
export const configuration = createConfiguration({ voters: [1, 2, 3].map((id) => ReplicaId(id)) });

const key = userKey(utf8('key'));

/** The shard at {@link oldIndex}, and a checkpoint of it at {@link newIndex} in `folder`, with its manifest. */
export async function prepare(disk: SimDisk, folder: string): Promise<void> {
  await disk.makeDirectory(shardsFolder);
  await disk.syncDirectory('node');
  await disk.syncDirectory('.');
  const folders = shardFolders(disk);
  await folders.create(descriptor);
  const tree = await Tree.open(shardFolder, treeResources(disk));
  tree.write(new TreeBatch().put(key, Timestamp(100), utf8('old')), oldIndex);
  await tree.checkpoint('ahead');
  await tree.close();
  const ahead = await Tree.open('ahead', treeResources(disk));
  ahead.write(new TreeBatch().put(key, Timestamp(200), utf8('new')), newIndex);
  await ahead.checkpoint(folder);
  await ahead.close();
  const names = await disk.list(folder);
  const files = names.map((name) => ({ name, bytes: disk.content(`${folder}/${name}`).length }));
  const manifest = encodeManifest({ shard, index: newIndex, term: newTerm, files });
  const file = await disk.open(`${folder}/${manifestName}`, 'create');
  await file.write(manifest, 0);
  await file.sync();
  await file.close();
  await disk.syncDirectory(folder);
}

export async function valueIn(tree: ShardTree): Promise<string> {
  const found = await tree.get(key, timestampMax);
  return new TextDecoder().decode(found?.value);
}
