import { describe, expect, test } from 'vitest';
import { equalBytes } from '../../src/base/bytes.js';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { DiskError } from '../../src/env/disk.js';
import type { SharedLog } from '../../src/log/shared-log.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { contentOf, directory, entries, hardState, newDisk, openLog, settle, toText } from './support.js';

const one = ShardId(1);
const two = ShardId(2);

function append(log: SharedLog, id: ShardId, first: number, count = 1, term = 1, bytes = 20): Promise<void> {
  return log.append(id, { entries: entries(first, count, term, bytes), mustSync: true });
}

function drop(log: SharedLog, id: ShardId, upTo: number, term = 1): void {
  log.group(id).truncatePrefix(LogIndex(upTo), Term(term));
}

describe('groups', () => {
  test('are listed once they have a record, and none is written for asking', async () => {
    const disk = newDisk();
    const log = await openLog(disk);
    expect(log.group(two)).toMatchObject({ firstIndex: 1, lastIndex: 0, hardState: hardState(0, 0, 0) });
    expect(log.group(two).term(LogIndex(0))).toBe(0);
    expect(log.groups).toEqual([]);
    await log.append(ShardId(12), { hardState: hardState(1, 2, 0), entries: [], mustSync: true });
    await append(log, two, 1);
    expect(log.groups).toEqual([2, 12]);
    await log.close();
    expect((await openLog(disk)).groups).toEqual([2, 12]);
  });

  test('show what was handed over at once, before it is durable', async () => {
    const disk = newDisk();
    const log = await openLog(disk);
    disk.stall();
    const durable = log.append(one, { hardState: hardState(3, 1, 0), entries: entries(1, 3, 3), mustSync: true });
    const group = log.group(one);
    expect(group).toMatchObject({ lastIndex: 3, hardState: { term: 3 } });
    expect(group.term(LogIndex(2))).toBe(3);
    expect(group.entries(LogIndex(2), LogIndex(3), 1000)).toEqual(entries(2, 2, 3));
    disk.unstall();
    await durable;
    await log.close();
  });

  test('cut what they return after the bytes asked for, but give one entry', async () => {
    const log = await openLog(newDisk(), { cacheBytesMax: 10_000 });
    await append(log, one, 1, 5, 1, 100);
    const group = log.group(one);
    const counts = [0, 100, 299, 300, 1000].map((bytes) => group.entries(LogIndex(1), LogIndex(5), bytes)?.length);
    expect(counts).toEqual([1, 1, 2, 3, 5]);
    await log.close();
  });

  test('refuse gaps and entries that were dropped', async () => {
    const log = await openLog(newDisk());
    await append(log, one, 1, 3);
    expect(() => append(log, one, 5)).toThrow(/gap after 3/);
    drop(log, one, 2);
    expect(() => append(log, one, 2)).toThrow(/was dropped/);
    await log.close();
  });
});

describe('group commit', () => {
  test('takes the appends of a turn together, and those that come during a sync', async () => {
    const disk = newDisk();
    const log = await openLog(disk);
    const order: string[] = [];
    const note = (name: string) => (): void => void order.push(name);
    const first = [append(log, one, 1).then(note('a')), append(log, two, 1).then(note('b'))];
    await Promise.resolve();
    await Promise.resolve();
    const second = [append(log, two, 2).then(note('c')), append(log, one, 2).then(note('d'))];
    await Promise.all([...first, ...second]);
    expect(order).toEqual(['a', 'b', 'c', 'd']);
    expect(log.stats()).toMatchObject({ appends: 4, syncs: 2 });
    await log.close();
  });

  test('resolves only after the sync', async () => {
    const disk = newDisk();
    const log = await openLog(disk);
    const synced: boolean[] = [];
    let isDurable = false;
    disk.fault = (operation) => {
      if (operation === 'sync') synced.push(isDurable);
      return undefined;
    };
    await append(log, one, 1).then(() => (isDurable = true));
    expect(synced).toEqual([false]);
    await log.close();
  });

  test('writes hard states that nobody waits for along with the next batch, or at the end', async () => {
    const disk = newDisk();
    const log = await openLog(disk);
    const commit = (index: number): Promise<void> =>
      log.append(one, { hardState: hardState(1, 1, index), entries: [], mustSync: false });
    await commit(1);
    await commit(2);
    await settle();
    expect(log.stats().syncs).toBe(0);
    await append(log, two, 1);
    expect(log.stats().syncs).toBe(1);
    const killed = disk.clone(new Prng(1));
    expect((await openLog(killed)).group(one).hardState.commit).toBe(2);
    await commit(3);
    await log.close();
    disk.crash({ keep: 'none' });
    expect((await openLog(disk)).group(one).hardState.commit).toBe(3);
  });
});

describe('reading', () => {
  test('finds on disk what is no longer in memory', async () => {
    const log = await openLog(newDisk(), { cacheBytesMax: 600, segmentBytesMax: 2000 });
    for (let i = 0; i < 30; i++) {
      await append(log, one, 2 * i + 1, 2);
      await append(log, two, i + 1, 1, 1, 50);
    }
    expect(log.stats().cachedBytes).toBeLessThanOrEqual(600);
    const group = log.group(one);
    expect(group.entries(LogIndex(1), LogIndex(60), 10_000)).toBeUndefined();
    expect(await group.read(LogIndex(1), LogIndex(60), 10_000)).toEqual(entries(1, 60, 1));
    expect(await group.read(LogIndex(2), LogIndex(5), 10_000)).toEqual(entries(2, 4, 1));
    expect((await group.read(LogIndex(2), LogIndex(60), 90)).length).toBeGreaterThanOrEqual(1);
    expect(await group.read(LogIndex(60), LogIndex(60), 0)).toEqual(entries(60, 1, 1));
    await log.close();
  });

  test('splits large appends into records, and finds each entry', async () => {
    const disk = newDisk();
    const options = { cacheBytesMax: 0, segmentBytesMax: 1024 * 1024 };
    let log = await openLog(disk, options);
    await append(log, one, 1, 9, 1, 100_000);
    await log.close();
    log = await openLog(disk, options);
    for (const index of [1, 3, 4, 9]) {
      const [read, ...more] = await log.group(one).read(LogIndex(index), LogIndex(9), 1);
      expect(more).toEqual([]);
      expect(equalBytes(read.data, entries(index, 1, 1, 100_000)[0].data)).toBe(true);
    }
    await log.close();
  });

  test('sees the log as it was at the call, though entries are replaced and segments dropped meanwhile', async () => {
    const log = await openLog(newDisk(), { cacheBytesMax: 0, segmentBytesMax: 600 });
    for (let i = 1; i <= 20; i++) await append(log, one, i);
    const reading = log.group(one).read(LogIndex(1), LogIndex(20), 10_000);
    const replacing = append(log, one, 15, 1, 2);
    drop(log, one, 14);
    await replacing;
    expect(await reading).toEqual(entries(1, 20, 1));
    await log.close();
  });
});

describe('segments', () => {
  const options = { segmentBytesMax: 1000 };

  async function fill(log: SharedLog, id: ShardId, from: number, to: number): Promise<void> {
    for (let i = from; i <= to; i++) await append(log, id, i, 1, 1, 100);
  }

  test('are dropped when no group needs an entry in them, oldest first', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    await append(log, two, 1);
    await fill(log, one, 1, 50);
    const before = log.stats().segments;
    drop(log, one, 50);
    await settle();
    expect(log.stats().segments).toBe(before);
    drop(log, two, 1);
    await settle();
    expect(log.stats().segments).toBe(1);
    expect(await disk.list(directory)).toHaveLength(1);
    await log.close();
    const reopened = await openLog(disk, options);
    expect(reopened.group(one)).toMatchObject({ firstIndex: 51, lastIndex: 50 });
    expect(reopened.group(one).term(LogIndex(50))).toBe(1);
    expect(reopened.group(two)).toMatchObject({ firstIndex: 2, lastIndex: 1 });
    await reopened.close();
  });

  test('are not kept for the hard state of a quiet group', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    await log.append(two, { hardState: hardState(4, 2, 0), entries: [], mustSync: true });
    drop(log, ShardId(3), 17, 5);
    for (let round = 0; round < 5; round++) {
      await fill(log, one, 1 + round * 20, 20 + round * 20);
      drop(log, one, 20 + round * 20);
      await settle();
      expect(log.stats().segments).toBeLessThanOrEqual(2);
    }
    disk.crash({ keep: 'none' });
    const reopened = await openLog(disk, options);
    expect(reopened.groups).toEqual([1, 2, 3]);
    expect(reopened.group(two).hardState).toEqual(hardState(4, 2, 0));
    expect(reopened.group(ShardId(3))).toMatchObject({ firstIndex: 18, lastIndex: 17 });
    expect(reopened.group(ShardId(3)).term(LogIndex(17))).toBe(5);
    await reopened.close();
  });

  test('hold a batch that is larger than they should be', async () => {
    const disk = newDisk();
    const log = await openLog(disk, options);
    await append(log, one, 1, 40, 1, 100);
    await append(log, one, 41);
    expect(log.stats()).toMatchObject({ segments: 2 });
    await log.close();
    expect((await openLog(disk, options)).group(one).lastIndex).toBe(41);
  });

  test('do not pile up when the log is opened again and again', async () => {
    const disk = newDisk();
    for (let i = 0; i < 5; i++) await (await openLog(disk)).close();
    expect(await disk.list(directory)).toHaveLength(1);
  });
});

describe('failure', () => {
  const failOnce = (disk: SimDisk, operation: string, code: 'io' | 'noSpace'): void => {
    let hasFailed = false;
    disk.fault = (asked) => {
      if (asked !== operation || hasFailed) return undefined;
      hasFailed = true;
      return code;
    };
  };

  test.each(['write', 'sync'])('of a %s ends the log for good, and is not tried again', async (operation) => {
    const disk = newDisk();
    const log = await openLog(disk);
    await append(log, one, 1);
    const failures: Error[] = [];
    log.onFailure((error) => failures.push(error));
    failOnce(disk, operation, 'io');
    const pending = [append(log, one, 2), append(log, two, 1)];
    await Promise.resolve();
    await Promise.resolve();
    pending.push(append(log, one, 3));
    for (const result of await Promise.allSettled(pending)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'DiskError', code: 'io' } });
    }
    expect(log.failed).toBeInstanceOf(DiskError);
    expect(failures).toEqual([log.failed]);
    const { operationCount } = disk;
    await expect(append(log, one, 4)).rejects.toBe(log.failed);
    drop(log, one, 1);
    await settle();
    expect(disk.operationCount).toBe(operationCount);
    log.onFailure((error) => failures.push(error));
    expect(failures).toHaveLength(2);
    await log.close();
    disk.crash({ keep: 'none' });
    expect(toText(await contentOf(await openLog(disk), 1))).toContain('1 in term 1');
  });

  test('to open leaves nothing open and can be repeated', async () => {
    const disk = newDisk();
    await (await openLog(disk)).close();
    failOnce(disk, 'read', 'io');
    await expect(openLog(disk)).rejects.toMatchObject({ code: 'io' });
    await (await openLog(disk)).close();
  });
});
