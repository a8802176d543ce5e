/**
 * The steps by which the tree of a Raft snapshot takes the place of a shard's folder, and by which the log follows. Each is
 * durable before the next begins:
 *
 * 1. the folder that was fetched becomes `install`: it is decided;
 * 2. `install` becomes the shard's folder, and what was there goes;
 * 3. the log begins after the snapshot;
 * 4. the manifest, which tells a start to look after 3, goes.
 *
 * A start goes on wherever a crash came: {@link switchFolders} and {@link finishInstall} do what is left.
 */
import { CorruptionError } from '../../base/errors.js';
import { DecodeError } from '../../base/coding.js';
import { readWholeFile, syncNames, type Disk } from '../../env/disk.js';
import type { GroupLog } from '../../log/group-log.js';
import { incomingFolder, installFolder, replacedFolder } from './folders.js';
import { decodeManifest, manifestName } from './manifest.js';

/** Step 1. @param shardsFolder has all of these folders */
export async function decideInstall(disk: Disk, shardsFolder: string, shardFolder: string): Promise<void> {
  const [incoming, install] = [incomingFolder(shardFolder), installFolder(shardFolder)];
  await disk.rename(incoming, install);
  try {
    await syncNames(disk, shardsFolder);
  } catch (error) {
    // Seen after a restart it would be taken for durable, and no later sync would make it so.
    await disk.rename(install, incoming).catch(() => undefined);
    throw error;
  }
}

/** Step 2, wherever it was left. Nobody has the shard's tree open. */
export async function switchFolders(disk: Disk, shardsFolder: string, shardFolder: string): Promise<void> {
  const replaced = replacedFolder(shardFolder);
  if (await disk.exists(shardFolder)) {
    await disk.removeTree(replaced);
    await disk.rename(shardFolder, replaced);
  }
  await disk.rename(installFolder(shardFolder), shardFolder);
  try {
    await syncNames(disk, shardsFolder);
  } catch (error) {
    // As above: it is to be done again.
    await disk.rename(shardFolder, installFolder(shardFolder)).catch(() => undefined);
    throw error;
  }
  await disk.removeTree(replaced);
}

/** What was decided for, or was being fetched, is not wanted any more: a start would put it in the place of what is gone. */
export async function dropInstall(disk: Disk, shardsFolder: string, shardFolder: string): Promise<void> {
  await disk.removeTree(installFolder(shardFolder));
  await disk.removeTree(incomingFolder(shardFolder));
  await syncNames(disk, shardsFolder);
}

/** The shard's part of the log. */
export interface LogOfShard {
  readonly log: Pick<GroupLog, 'firstIndex' | 'truncatePrefix'>;
  /** Resolves when what the log was told is durable. */
  readonly sync: () => Promise<void>;
}

/** Steps 3 and 4, at a start; no effect where there is nothing to do. Rejects with a CorruptionError. */
export async function finishInstall(disk: Disk, shardFolder: string, { log, sync }: LogOfShard): Promise<void> {
  const path = `${shardFolder}/${manifestName}`;
  if (!(await disk.exists(path))) return;
  const { index, term } = decoded(path, await readWholeFile(disk, path));
  if (log.firstIndex <= index) {
    log.truncatePrefix(index, term);
    await sync();
  }
  await removeManifest(disk, shardFolder);
}

/** Step 4. */
export async function removeManifest(disk: Disk, shardFolder: string): Promise<void> {
  await disk.remove(`${shardFolder}/${manifestName}`);
}

function decoded(path: string, bytes: Uint8Array): ReturnType<typeof decodeManifest> {
  try {
    return decodeManifest(bytes);
  } catch (error) {
    if (error instanceof DecodeError) throw new CorruptionError(path, 0, error.message);
    throw error;
  }
}
