/** Power loss at every disk operation of the installation of a Raft snapshot, its log included. */
import { expect, it } from 'vitest';
import { LogIndex, Term } from '../../../src/base/ids.js';
import { DiskError, type Disk } from '../../../src/env/disk.js';
import { silentLogger } from '../../../src/env/logger.js';
import type { GroupLog } from '../../../src/log/group-log.js';
import { SharedLog } from '../../../src/log/shared-log.js';
import { logFault } from '../../../src/node/replicas/log-fits-tree.js';
import { incomingFolder, installFolder } from '../../../src/node/snapshots/folders.js';
import { decideInstall, removeManifest, type LogOfShard } from '../../../src/node/snapshots/install.js';
import { manifestName } from '../../../src/node/snapshots/manifest.js';
import type { CrashKeeps, SimDisk } from '../../../src/sim/disk.js';
import { newDisk, processIsDead } from '../../lsm/harness.js';
import {
  newIndex,
  newTerm,
  oldIndex,
  prepare,
  shard,
  shardFolder,
  shardFolders,
  shardsFolder,
  valueIn,
} from './support.js';

const directory = 'node/log';

function openLog(disk: Disk): Promise<SharedLog> {
  const sizes = { segmentBytesMax: 64 * 1024, cacheBytesMax: 1024, rewriteBytesMin: 1024 * 1024, spareSegmentsMax: 2 };
  return SharedLog.open({ disk, directory, ...sizes, logger: silentLogger });
}

function logOf(shared: SharedLog): LogOfShard & { readonly log: GroupLog } {
  const log = shared.group(shard);
  const sync = (): Promise<void> => shared.append(shard, { hardState: log.hardState, entries: [], mustSync: true });
  return { log, sync };
}

/** Entries to {@link oldIndex} and some beyond, which were never committed. */
async function writeLog(disk: SimDisk): Promise<void> {
  const shared = await openLog(disk);
  const entries = Array.from({ length: 8 }, (_, i) => ({
    term: Term(1),
    index: LogIndex(1 + i),
    data: new Uint8Array(10),
  }));
  await shared.append(shard, { hardState: { term: Term(2), vote: 0, commit: oldIndex }, entries, mustSync: true });
  await shared.close();
}

/** As ReplicaSnapshots does it. */
async function install(disk: Disk): Promise<void> {
  const shared = await openLog(disk);
  const { log, sync } = logOf(shared);
  const { tree } = await shardFolders(disk).open(shard, { log, sync });
  await decideInstall(disk, shardsFolder, shardFolder);
  expect(await tree.replaceBy(installFolder(shardFolder))).toBe(newIndex);
  log.truncatePrefix(newIndex, newTerm);
  await sync();
  await removeManifest(disk, shardFolder);
  await tree.close();
  await shared.close();
}

/** What a start finds. */
async function recover(disk: SimDisk): Promise<'old' | 'new'> {
  const shared = await openLog(disk);
  const folders = shardFolders(disk);
  expect(await folders.list()).toEqual([shard]);
  const { log, sync } = logOf(shared);
  const { tree } = await folders.open(shard, { log, sync });
  expect(logFault(log, tree.durableAppliedIndex)).toBeUndefined();
  const isNew = tree.durableAppliedIndex === newIndex;
  expect(await valueIn(tree)).toBe(isNew ? 'new' : 'old');
  expect([log.firstIndex, log.lastIndex]).toEqual(isNew ? [newIndex + 1, newIndex] : [1, 8]);
  expect(log.hardState.term).toBe(2);
  await tree.close();
  await shared.close();
  expect(await disk.list(shardsFolder)).toEqual(['1']);
  expect(await disk.exists(`${shardFolder}/${manifestName}`)).toBe(false);
  return isNew ? 'new' : 'old';
}

it.each(['random', 'none', 'all'] as const satisfies CrashKeeps[])(
  'an installation under power loss gives old or new state, tree and log alike; keeps %s',
  async (keep) => {
    const seen = { old: 0, new: 0 };
    let last: 'old' | 'new' = 'old';
    for (let operation = 1; ; operation++) {
      const disk = newDisk(operation);
      await prepare(disk, incomingFolder(shardFolder));
      await writeLog(disk);
      const first = disk.operationCount;
      disk.crashAtOperation = first + operation;
      await install(disk).catch((error: unknown) => {
        if (!isOfCrash(error)) throw error;
      });
      const isOver = disk.operationCount < first + operation;
      await processIsDead();
      disk.crash({ keep });
      // A start that loses power, too, leaves the rest to the next.
      const found = await recover(disk);
      disk.crash({ keep: 'none' });
      expect(await recover(disk)).toBe(found);
      seen[found]++;
      if (keep !== 'random' && last === 'new') expect(found).toBe('new');
      last = found;
      if (isOver) break;
    }
    expect(last).toBe('new');
    expect(seen.old).toBeGreaterThan(10);
    expect(seen.new).toBeGreaterThan(10);
  },
);

function isOfCrash(error: unknown): boolean {
  if (error instanceof DiskError) return error.code === 'crashed';
  return error instanceof Error && error.cause !== undefined && isOfCrash(error.cause);
}
