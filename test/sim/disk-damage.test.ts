import { expect, test } from 'vitest';
import { ShardId } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { recoveryPointName } from '../../src/log/recovery-point.js';
import type { SharedLog } from '../../src/log/shared-log.js';
import { damage, type DamageType } from '../../src/sim/disk-damage.js';
import { entries, newDisk, openLog, perform, settle } from '../log/support.js';

const draws = 200;
const batches = 4;

async function pause(log: SharedLog): Promise<void> {
  log.tick();
  log.tick();
  await settle();
}

/**
 * How a log of a few batches, all acknowledged, is found after a process was killed and its disk damaged, over many draws: refused, or
 * with how many entries.
 */
async function found(type: DamageType, beforeEnd: (log: SharedLog) => Promise<void>): Promise<Set<string>> {
  const ends = new Set<string>();
  const random = new Prng(7);
  for (let i = 0; i < draws; i++) {
    const disk = newDisk();
    const log = await openLog(disk, { segmentBytesMax: 64 * 1024 });
    for (let first = 1; first <= batches; first++) {
      await perform(log, { type: 'append', shard: 1, entries: entries(first, 1, 1, 700) });
    }
    await beforeEnd(log);
    disk.crash({ keep: 'all' });
    damage(disk, type, random);
    const again = await openLog(disk, { segmentBytesMax: 64 * 1024 }).catch(() => undefined);
    ends.add(again === undefined ? 'refused' : `${again.group(ShardId(1)).lastIndex} entries`);
  }
  return ends;
}

test.each<DamageType>(['bitFlip', 'zeroedSector', 'unreadableSector'])(
  'of a log whose last batch has no proof yet, that batch is spared by %s: nobody could tell (seed 1002715)',
  async (type) => {
    expect(await found(type, () => Promise.resolve())).toEqual(new Set(['refused', `${batches} entries`]));
  },
);

test('of a log without a recovery point no blocks are lost, and of one with it all is noticed', async () => {
  expect(await found('zeroedBlocks', pause)).toEqual(new Set([`${batches} entries`]));
  /** Twice, so that each slot protects some blocks. */
  const whenWritten = async (log: SharedLog): Promise<void> => {
    for (let first = batches + 1; first <= 40; first++) {
      await perform(log, { type: 'append', shard: 1, entries: entries(first, 1, 1, 700) });
      if (first === 30) for (let i = 0; i < 5; i++) await pause(log);
    }
    for (let i = 0; i < 5; i++) await pause(log);
  };
  expect(await found('zeroedBlocks', whenWritten)).toEqual(new Set(['refused', '40 entries']));
});

test('while the recovery point is being written nothing is spared by it yet: a power loss takes it back', async () => {
  const disk = newDisk();
  const log = await openLog(disk, { segmentBytesMax: 64 * 1024 });
  const append = (first: number): Promise<void> =>
    perform(log, { type: 'append', shard: 1, entries: entries(first, 1, 1, 700) });
  // Both slots are written, so there are blocks that nothing else protects.
  for (let first = 1; first <= 40; first++) {
    await append(first);
    if (first === 20 || first === 30) for (let i = 0; i < 5; i++) await pause(log);
  }
  disk.fault = (operation, path) => {
    if (operation === 'write' && path.endsWith(recoveryPointName)) disk.stall();
    return undefined;
  };
  for (let i = 0; i < 5; i++) await pause(log);
  expect(disk.isStalled).toBe(true);
  const ends = new Set<string>();
  const random = new Prng(7);
  for (let i = 0; i < draws; i++) {
    const copy = disk.clone(new Prng(i));
    damage(copy, 'zeroedBlocks', random);
    copy.crash({ keep: 'none' });
    const again = await openLog(copy, { segmentBytesMax: 64 * 1024 }).catch(() => undefined);
    ends.add(again === undefined ? 'refused' : `${again.group(ShardId(1)).lastIndex} entries`);
  }
  expect(ends).toEqual(new Set(['40 entries', 'refused']));
});

test('of one whose last batch has its proof nothing is spared, and all is noticed', async () => {
  expect(await found('bitFlip', pause)).toEqual(new Set(['refused', `${batches} entries`]));
});
