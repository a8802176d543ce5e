/**
 * What is left of replicas that were removed from this node: beside the folders of shards an empty one, whose name says which
 * shard, and the smallest replica id that may come after. It is made of the replica's own folder by one rename, which is what
 * decides that the replica is gone; so there is no moment at which it is neither here nor remembered. It stays for ever, or until
 * a later one of the shard takes its place: messages may be held for as long (pitfalls 17, 29).
 */
import { ReplicaId, ShardId } from '../../base/ids.js';
import { syncNames, type Disk } from '../../env/disk.js';
import { dropInstall } from '../snapshots/install.js';

/** Of a replica that was removed. */
export interface Tombstone {
  readonly shard: ShardId;
  /** Replicas of the shard with smaller ids are gone. */
  readonly nextReplica: ReplicaId;
}

export function tombstoneName({ shard, nextReplica }: Tombstone): string {
  return `${shard}.gone-${nextReplica}`;
}

/** Undefined where `name` is that of something else. */
export function tombstoneOf(name: string): Tombstone | undefined {
  const match = /^(\d{1,15})\.gone-(\d{1,15})$/.exec(name);
  return match === null ? undefined : { shard: ShardId(Number(match[1])), nextReplica: ReplicaId(Number(match[2])) };
}

/** Makes a tombstone of the folder of a shard, whose tree nobody has open. @param folder has those of all shards */
export async function bury(disk: Disk, folder: string, tombstone: Tombstone): Promise<void> {
  const shardFolder = `${folder}/${tombstone.shard}`;
  const grave = `${folder}/${tombstoneName(tombstone)}`;
  await dropInstall(disk, folder, shardFolder);
  await disk.rename(shardFolder, grave);
  try {
    await syncNames(disk, folder);
  } catch (error) {
    // Seen after a restart it would be taken for durable, and no later sync would make it so.
    await disk.rename(grave, shardFolder).catch(() => undefined);
    throw error;
  }
  await empty(disk, grave);
}

/** Removes what a crash has left in it. */
export async function empty(disk: Disk, grave: string): Promise<void> {
  for (const name of await disk.list(grave)) await disk.removeTree(`${grave}/${name}`);
}
