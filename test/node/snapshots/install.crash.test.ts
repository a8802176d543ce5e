/** Power loss, and failed syncs, at every disk operation from the offer of a Raft snapshot to the end of its installation. */
import { describe, expect, it } from 'vitest';
import { QuorateError } from '../../../src/base/errors.js';
import { TreeInspection } from '../../../src/lsm/tree-inspection.js';
import { manifestName } from '../../../src/node/snapshots/manifest.js';
import type { CrashKeeps, SimDisk } from '../../../src/sim/disk.js';
import { ManualClock, newDisk, processIsDead } from '../../lsm/harness.js';
import { answerTo, Follower, logOf, offerOf, prepareFollower, type Sent, shardOf } from './follower.js';
import { newIndex, shardFolder, shardsFolder, valueIn } from './support.js';

const broken = new QuorateError('UNAVAILABLE', 'the connection broke', { retryable: false });
/** Reads after which the first transfer breaks, in the middle of a file, and another goes on. */
const readsBeforeBreak = 4;

/** A start, the transfer as often as it fails because of others, and the end of the process. Does not reject: what became of it is on the disk. */
async function fetchAndInstall(disk: SimDisk, files: Sent): Promise<void> {
  const offer = offerOf(7, files.get(manifestName)?.length ?? 0);
  let reads = 0;
  try {
    const follower = await Follower.start(disk, new ManualClock(), (_node, body) =>
      ++reads === readsBeforeBreak ? Promise.reject(broken) : Promise.resolve(answerTo(body, files)),
    );
    const isTaken = (): Promise<boolean> =>
      follower.offer(offer).then(
        () => true,
        () => false,
      );
    for (let offers = 0; offers < 3 && follower.failures.length === 0; offers++) if (await isTaken()) break;
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
        const files = await prepareFollower(disk);
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

  it.each(['io', 'noSpace'] as const)(
    'of which a sync fails (%s) is never taken for durable by a later start',
    async (code) => {
      const seen = { old: 0, new: 0 };
      for (let failing = 1; ; failing++) {
        const disk = newDisk(failing);
        const files = await prepareFollower(disk);
        let syncs = 0;
        disk.fault = (operation) => {
          const isSync = operation === 'sync' || operation === 'syncDirectory';
          return isSync && ++syncs === failing ? code : undefined;
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
      expect(seen.old).toBeGreaterThan(3);
      expect(seen.new).toBeGreaterThan(2);
    },
  );
});
