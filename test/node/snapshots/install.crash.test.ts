/** Power loss, and failed syncs, at every disk operation from the offer of a Raft snapshot to the end of its installation. */
import { describe, expect, it } from 'vitest';
import { maskedCrc32 } from '../../../src/base/checksum.js';
import { LogIndex, Term } from '../../../src/base/ids.js';
import { silentLogger } from '../../../src/env/logger.js';
import { SharedLog } from '../../../src/log/shared-log.js';
import { TreeInspection } from '../../../src/lsm/tree-inspection.js';
import { manifestName } from '../../../src/node/snapshots/manifest.js';
import type { CrashKeeps, SimDisk } from '../../../src/sim/disk.js';
import { ManualClock, newDisk, processIsDead } from '../../lsm/harness.js';
import { Follower, logOf, offerOf, shardOf } from './follower.js';
import { newIndex, oldIndex, prepare, shard, shardFolder, shardsFolder, valueIn } from './support.js';

/** What the leader sends, by name. */
type Files = ReadonlyMap<string, Uint8Array>;

/** Entries to {@link oldIndex} and some beyond, which were never committed. */
async function writeLog(disk: SimDisk): Promise<void> {
  const sizes = { segmentBytesMax: 64 * 1024, cacheBytesMax: 1024, rewriteBytesMin: 1024 * 1024, spareSegmentsMax: 2 };
  const shared = await SharedLog.open({ disk, directory: 'node/log', ...sizes, logger: silentLogger });
  const entries = Array.from({ length: 8 }, (_, i) => ({
    term: Term(1),
    index: LogIndex(1 + i),
    data: new Uint8Array(10),
  }));
  await shared.append(shard, { hardState: { term: Term(2), vote: 0, commit: oldIndex }, entries, mustSync: true });
  await shared.close();
}

async function prepareAll(disk: SimDisk): Promise<Files> {
  const source = 'checkpoint';
  await prepare(disk, source);
  await writeLog(disk);
  const names = await disk.list(source);
  return new Map(names.map((name) => [name, disk.content(`${source}/${name}`)]));
}

/** A start, the whole transfer, and the end of the process. Does not reject: what became of it is on the disk. */
async function fetchAndInstall(disk: SimDisk, files: Files): Promise<void> {
  const offer = offerOf(7, files.get(manifestName)?.length ?? 0);
  try {
    const follower = await Follower.start(disk, new ManualClock(), (_node, body) => {
      if (body.type !== 'readSnapshot') return Promise.reject(new Error(body.type));
      const bytes = files.get(body.file)?.slice(body.offset, body.offset + body.bytesMax) ?? new Uint8Array(0);
      return Promise.resolve({ type: 'snapshotChunk', bytes, checksum: maskedCrc32(bytes) });
    });
    await follower.offer(offer).catch(() => undefined);
    await follower.stop();
  } catch {
    // The disk has failed.
  }
}

/** What a start finds. */
async function recover(disk: SimDisk): Promise<'old' | 'new'> {
  const follower = await Follower.start(disk, new ManualClock());
  const { tree, replica } = shardOf(follower.host);
  const isNew = tree.durableAppliedIndex === newIndex;
  expect(await valueIn(tree)).toBe(isNew ? 'new' : 'old');
  expect(logOf(follower)).toEqual(isNew ? [newIndex + 1, newIndex] : [1, 8]);
  expect(replica.term).toBeGreaterThanOrEqual(2);
  await follower.stop();
  expect(follower.failures).toEqual([]);
  expect(await disk.list(shardsFolder)).toEqual(['1']);
  expect(await disk.exists(`${shardFolder}/${manifestName}`)).toBe(false);
  await using files = await TreeInspection.open(disk, shardFolder);
  expect(await files.verify()).toEqual([]);
  return isNew ? 'new' : 'old';
}

describe('a Raft snapshot that is fetched and installed', () => {
  it.each(['random', 'none', 'all'] as const satisfies CrashKeeps[])(
    'under power loss gives old or new state, tree and log alike; keeps %s',
    async (keep) => {
      const seen = { old: 0, new: 0 };
      let last: 'old' | 'new' = 'old';
      for (let operation = 1; ; operation++) {
        const disk = newDisk(operation);
        const files = await prepareAll(disk);
        const first = disk.operationCount;
        disk.crashAtOperation = first + operation;
        await fetchAndInstall(disk, files);
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
      expect(seen.old).toBeGreaterThan(20);
      expect(seen.new).toBeGreaterThan(10);
    },
    60_000,
  );

  it('of which a sync fails is never taken for durable by a later start', async () => {
    const seen = { old: 0, new: 0 };
    for (let failing = 1; ; failing++) {
      const disk = newDisk(failing);
      const files = await prepareAll(disk);
      let syncs = 0;
      disk.fault = (operation) => {
        const isSync = operation === 'sync' || operation === 'syncDirectory';
        return isSync && ++syncs === failing ? 'io' : undefined;
      };
      await fetchAndInstall(disk, files);
      await processIsDead();
      disk.fault = undefined;
      disk.crash({ keep: 'all' });
      const found = await recover(disk);
      const names = await disk.list(shardsFolder);
      // Names that the disk forgot then stay forgotten, whatever is synced afterwards.
      await disk.syncDirectory(shardsFolder);
      disk.crash({ keep: 'none' });
      expect(await disk.list(shardsFolder)).toEqual(names);
      expect(await recover(disk)).toBe(found);
      seen[found]++;
      if (syncs < failing) break;
    }
    expect(seen.old).toBeGreaterThan(5);
    expect(seen.new).toBeGreaterThan(2);
  });
});
