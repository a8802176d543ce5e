/**
 * A damaged data directory, which the cluster has retired, becomes an empty one with an identity of its own. What it held stays beside,
 * whole, under names with the time: `log.damaged-…`, `shards.damaged-…`, `IDENTITY.damaged-…`.
 *
 * In order, each step durable before the next: the identity is the new one's, and says what is under way; the names change; the
 * identity says so no more. So the old identity is never found with less than all of what it has promised, nor the new one, once it is
 * used, with any of it. A start that finds the first goes on, wherever power was lost.
 */
import { assert } from '../../base/assert.js';
import { replaceFile, syncNames, type Disk } from '../../env/disk.js';
import { damageNoteName } from './damage-note.js';
import { encodeIdentity, identityFileName, readIdentity, type Identity } from './identity.js';

const asideMark = '.damaged-';
const moved = ['log', 'shards', damageNoteName] as const;

/** What an earlier repair has left in the directory, if anything. */
export async function findAside(disk: Disk, directory: string): Promise<string | undefined> {
  return (await disk.list(directory)).find((name) => name.includes(asideMark));
}

/** Nobody has anything of the directory open. @param wallMicros names what is put aside; `storeId`: of the directory that it becomes */
export async function putAside(
  disk: Disk,
  directory: string,
  { identity, storeId, wallMicros }: { identity: Identity; storeId: string; wallMicros: number },
): Promise<void> {
  assert(storeId !== identity.storeId, 'the directory becomes another one');
  const aside = `${asideMark}${new Date(wallMicros / 1000).toISOString().replace(/[-:]|\.\d+/g, '')}`;
  const next = { ...identity, storeId, replaces: identity.storeId, aside };
  await replaceFile(disk, directory, identityFileName, encodeIdentity(next));
  await finishPuttingAside(disk, directory, identity);
}

/**
 * At every start, before anything else; no effect where nothing is under way, or the directory is not of this node. Throws
 * CorruptionError where the identity is damaged.
 */
export async function finishPuttingAside(
  disk: Disk,
  directory: string,
  owner: Pick<Identity, 'clusterId' | 'nodeId'>,
): Promise<void> {
  const stored = await readIdentity(disk, directory);
  if (stored?.aside === undefined || stored.clusterId !== owner.clusterId || stored.nodeId !== owner.nodeId) return;
  const { aside, ...identity } = stored;
  // It may be what a start left whose sync failed: nothing is to be moved on its word before it is durable.
  await replaceFile(disk, directory, identityFileName, encodeIdentity(stored));
  const { replaces: storeId = '', ...rest } = identity;
  const retired = encodeIdentity({ ...rest, storeId, retired: true });
  await replaceFile(disk, directory, `${identityFileName}${aside}`, retired);
  for (const name of moved) await rename(disk, `${directory}/${name}`, `${directory}/${name}${aside}`);
  await syncNames(disk, directory);
  await replaceFile(disk, directory, identityFileName, encodeIdentity(identity));
}

async function rename(disk: Disk, from: string, to: string): Promise<void> {
  // Where a sync failed after the renaming, no later one makes it durable: it is done anew.
  if (!(await disk.exists(from)) && (await disk.exists(to))) await disk.rename(to, from);
  if (await disk.exists(from)) await disk.rename(from, to);
}
