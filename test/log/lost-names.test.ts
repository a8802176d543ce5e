/**
 * A sync of the folder that fails may have lost the names of all files that were new, whoever made them, and the next one
 * succeeds all the same (`syncNames`). So whatever goes to a segment that is new meanwhile is not acknowledged.
 */
import { expect, test } from 'vitest';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import type { SharedLog } from '../../src/log/shared-log.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { entries, newDisk, openLog, settle } from './support.js';

const shard = ShardId(1);
const options = { segmentBytesMax: 4096, spareSegmentsMax: 2 };
/** More than the steps that a new segment takes. */
const leads = 120;

/** A log whose next batch needs a new segment. */
async function nearlyFull(batches: number): Promise<{ disk: SimDisk; log: SharedLog }> {
  const disk = newDisk();
  const log = await openLog(disk, options);
  for (let i = 1; i <= batches; i++) await log.append(shard, { entries: entries(i, 1, 1, 3500), mustSync: true });
  await settle();
  return { disk, log };
}

function failNextFolderSync(disk: SimDisk, code: 'io' | 'noSpace'): void {
  let failures = 1;
  disk.fault = (operation) => (operation === 'syncDirectory' && failures-- > 0 ? code : undefined);
}

/** Appends that entry so many turns later, then the power goes. */
async function appendAndLosePower(
  { disk, log }: { disk: SimDisk; log: SharedLog },
  { index, lead }: { index: number; lead: number },
): Promise<'refused' | 'kept' | 'lost'> {
  for (let i = 0; i < lead; i++) await Promise.resolve();
  const isAcknowledged = await log.append(shard, { entries: entries(index, 1, 1, 3500), mustSync: true }).then(
    () => true,
    () => false,
  );
  await settle();
  expect(isAcknowledged && log.failed !== undefined, 'acknowledged by a log that had failed').toBe(false);
  disk.fault = undefined;
  disk.crash({ keep: 'none' });
  await using again = await openLog(disk, options);
  if (!isAcknowledged) return 'refused';
  return again.group(shard).lastIndex === index ? 'kept' : 'lost';
}

test.each(['io', 'noSpace'] as const)('where segments are retired: %s', async (code) => {
  const ends = new Set<string>();
  for (let lead = 0; lead < leads; lead++) {
    const made = await nearlyFull(4);
    failNextFolderSync(made.disk, code);
    made.log.group(shard).truncatePrefix(LogIndex(3), Term(1));
    ends.add(await appendAndLosePower(made, { index: 5, lead }));
  }
  expect([...ends]).toEqual(['refused']);
});

test.each(['io', 'noSpace'] as const)('where the recovery point is made: %s', async (code) => {
  const ends = new Set<string>();
  for (let lead = 0; lead < leads; lead++) {
    const made = await nearlyFull(1);
    failNextFolderSync(made.disk, code);
    // The recovery point is made with the last of them.
    for (let i = 0; i < 10; i++) made.log.tick();
    ends.add(await appendAndLosePower(made, { index: 2, lead }));
  }
  expect([...ends]).toEqual(['refused']);
});

test('after a restart nothing rests on a name that was lost', async () => {
  for (let lead = 0; lead < leads; lead++) {
    const { disk, log } = await nearlyFull(4);
    failNextFolderSync(disk, 'io');
    log.group(shard).truncatePrefix(LogIndex(3), Term(1));
    for (let i = 0; i < lead; i++) await Promise.resolve();
    await log.append(shard, { entries: entries(5, 1, 1, 3500), mustSync: true }).catch(() => undefined);
    await settle();
    disk.fault = undefined;
    disk.crash({ keep: 'all' });
    const second = await openLog(disk, options);
    const next = second.group(shard).lastIndex + 1;
    await second.append(shard, { entries: entries(next, 1, 1, 10), mustSync: true });
    disk.crash({ keep: 'none' });
    await using third = await openLog(disk, options);
    expect(third.group(shard).lastIndex).toBe(next);
  }
});
