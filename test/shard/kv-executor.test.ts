import { describe, expect, test, vi } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';
import { Term } from '../../src/base/ids.js';
import { keyPrefix } from '../../src/mvcc/keyspace.js';
import { del, put } from '../mvcc/leader.js';
import { CommonStarts } from '../../src/shard/common-starts.js';
import { ScriptedExecutor, descriptor, get, specAt } from './scripted-executor.js';

describe('writes', () => {
  test('of one turn share one request for timestamps and one entry, and are answered when it is applied', async () => {
    const scripted = await ScriptedExecutor.make();
    const tasks = [scripted.start(put('a', '1')), scripted.start(put('b', '2')), scripted.start(del('c'))];
    await scripted.turn();
    expect(scripted.asked.map(({ count }) => count)).toEqual([3]);
    await scripted.giveTimestamps();
    expect(scripted.proposed).toHaveLength(1);
    expect(tasks.map(({ results, begun }) => [results.length, begun])).toEqual([
      [0, true],
      [0, true],
      [0, true],
    ]);
    await scripted.apply();
    expect(tasks.map(({ results }) => results)).toEqual([
      [{ type: 'written', version: 1000 }],
      [{ type: 'written', version: 1001 }],
      [{ type: 'nothingDeleted' }],
    ]);
  });

  test('that come meanwhile are the next batch, which does not wait for the first to be applied', async () => {
    const scripted = await ScriptedExecutor.make();
    const first = scripted.start(put('a', '1'));
    await scripted.turn();
    const second = scripted.start(put('a', '2', { type: 'absent' }));
    await scripted.turn();
    expect(scripted.asked).toHaveLength(1);
    await scripted.giveTimestamps();
    await scripted.giveTimestamps();
    expect(scripted.proposed).toHaveLength(2);
    await scripted.apply();
    await scripted.apply();
    expect(first.results).toEqual([{ type: 'written', version: 1000 }]);
    // Evaluated on top of the effects in flight.
    expect(second.results).toMatchObject([{ type: 'conditionFailed', current: { version: 1000 } }]);
  });

  test('wait for what is in flight while they are fewer, and for nothing when they are as many', async () => {
    const scripted = await ScriptedExecutor.make();
    const start = (count: number): void => {
      for (let i = 0; i < count; i++) scripted.start(put('a', 'v'));
    };
    const begun = async (): Promise<number[]> => {
      await scripted.turn();
      const counts = scripted.asked.map(({ count }) => count);
      while (scripted.asked.length > 0) await scripted.giveTimestamps();
      return counts;
    };
    start(3);
    expect(await begun()).toEqual([3]);
    start(2);
    expect(await begun()).toEqual([]);
    start(1);
    expect(await begun()).toEqual([3]);
    start(4);
    expect(await begun()).toEqual([]);
    // Three are in flight when the first entry is applied, and four wait.
    await scripted.apply();
    expect(await begun()).toEqual([4]);
    start(2);
    await scripted.apply();
    expect(await begun()).toEqual([]);
    await scripted.lose(new QuorateError('NODE_STOPPING', 'stopping', { outcome: 'unknown' }));
    expect(await begun()).toEqual([2]);
  });

  test('that come before the leader may evaluate begin when it may', async () => {
    const scripted = await ScriptedExecutor.make();
    scripted.ready = false;
    scripted.start(put('a', '1'));
    await scripted.turn();
    expect(scripted.asked).toEqual([]);
    scripted.ready = true;
    await scripted.changeLeadership(true);
    expect(scripted.asked.map(({ count }) => count)).toEqual([1]);
  });

  describe('beside those of other shards of the node', () => {
    const shards = async (count: number): Promise<ScriptedExecutor[]> => {
      const starts = new CommonStarts();
      return Promise.all(Array.from({ length: count }, () => ScriptedExecutor.make({}, starts)));
    };
    const start = (scripted: ScriptedExecutor, count: number): void => {
      for (let i = 0; i < count; i++) scripted.start(put('a', 'v'));
    };
    /** Of each shard the batches that began. */
    const begun = async (...all: readonly ScriptedExecutor[]): Promise<number[][]> => {
      for (const scripted of all) await scripted.turn();
      return Promise.all(
        all.map(async (scripted) => {
          const counts = scripted.asked.map(({ count }) => count);
          while (scripted.asked.length > 0) await scripted.giveTimestamps();
          return counts;
        }),
      );
    };

    test('begin with theirs, where they wait for those in flight', async () => {
      const [one, two, other] = await shards(3);
      start(one, 3);
      start(two, 2);
      expect(await begun(one, two)).toEqual([[3], [2]]);
      start(one, 2);
      start(two, 1);
      expect(await begun(one, two)).toEqual([[], []]);
      start(other, 1);
      expect(await begun(one, two, other)).toEqual([[2], [1], [1]]);
      // Five and three are in flight, and nothing waits any more.
      start(other, 1);
      expect(await begun(one, two, other)).toEqual([[], [], [1]]);
      start(one, 4);
      start(two, 1);
      expect(await begun(one, two)).toEqual([[], []]);
      start(other, 2);
      expect(await begun(one, two, other)).toEqual([[4], [1], [2]]);
    });

    test('wait on when they are less than a quarter of those in flight, until they are', async () => {
      const [hot, cold] = await shards(2);
      start(hot, 9);
      expect(await begun(hot)).toEqual([[9]]);
      start(hot, 2);
      start(cold, 1);
      expect(await begun(hot, cold)).toEqual([[], [1]]);
      start(hot, 1);
      start(cold, 1);
      expect(await begun(hot, cold)).toEqual([[3], [1]]);
    });

    test('do not begin when leadership was lost', async () => {
      const [one, other] = await shards(2);
      start(one, 2);
      expect(await begun(one)).toEqual([[2]]);
      const waiting = one.start(put('c', '3'));
      await one.changeLeadership(false);
      expect(waiting.results).toMatchObject([{ type: 'failed', error: { code: 'NOT_LEADER', outcome: 'notApplied' } }]);
      start(other, 1);
      expect(await begun(other, one)).toEqual([[1], []]);
    });
  });

  test('are cut into entries of at most entryBytesMax, but never below one', async () => {
    const scripted = await ScriptedExecutor.make({ entryBytesMax: 5000 });
    const sizes = [1500, 1500, 4990, 100];
    const tasks = sizes.map((size, i) => scripted.start(put(`key-${i}`, 'x'.repeat(size))));
    await scripted.turn();
    const counts: number[] = [];
    while (scripted.asked.length > 0) {
      counts.push(scripted.asked[0].count);
      await scripted.giveTimestamps();
      await scripted.apply();
    }
    expect(counts).toEqual([2, 1, 1]);
    expect(tasks.map(({ results }) => results[0]?.type)).toEqual(sizes.map(() => 'written'));
  });

  test('that are abandoned before evaluation take no effect, others of their batch do', async () => {
    const scripted = await ScriptedExecutor.make();
    const [queued, waiting, kept] = ['a', 'b', 'c'].map((key) => scripted.start(put(key, 'v')));
    queued.abandoned = true;
    await scripted.turn();
    expect(scripted.asked.map(({ count }) => count)).toEqual([2]);
    waiting.abandoned = true;
    await scripted.giveTimestamps();
    await scripted.apply();
    expect([queued.begun, waiting.begun, kept.begun]).toEqual([false, false, true]);
    expect(kept.results).toMatchObject([{ type: 'written' }]);
    const reads = ['a', 'b', 'c'].map((key) => scripted.start(get(key)));
    await scripted.permitReads();
    expect(reads.map(({ results }) => results[0]?.type)).toEqual(['absent', 'absent', 'found']);
  });

  test('fail as not applied when there are no timestamps', async () => {
    const scripted = await ScriptedExecutor.make();
    const task = scripted.start(put('a', '1'));
    await scripted.turn();
    scripted.asked.shift()?.answer.reject(new QuorateError('TIMESTAMP_UNAVAILABLE', 'none'));
    await scripted.turn();
    expect(task.results).toMatchObject([{ error: { code: 'TIMESTAMP_UNAVAILABLE', outcome: 'notApplied' } }]);
    const next = scripted.start(put('a', '2'));
    await scripted.turn();
    await scripted.giveTimestamps();
    await scripted.apply();
    expect(next.results).toMatchObject([{ type: 'written' }]);
  });

  test('are not proposed in a later term than the one in which they asked for timestamps', async () => {
    const scripted = await ScriptedExecutor.make();
    const task = scripted.start(put('a', '1'));
    await scripted.turn();
    await scripted.changeLeadership(false);
    await scripted.changeLeadership(true);
    await scripted.giveTimestamps();
    expect(scripted.proposed).toEqual([]);
    expect(task.results).toMatchObject([{ error: { code: 'NOT_LEADER', outcome: 'notApplied' } }]);
  });

  test('that wait fail when leadership is lost', async () => {
    const scripted = await ScriptedExecutor.make();
    scripted.start(put('a', '1'));
    await scripted.turn();
    const queued = scripted.start(put('b', '1'));
    await scripted.changeLeadership(false);
    expect(queued.results).toMatchObject([{ error: { code: 'NOT_LEADER', outcome: 'notApplied', shard: 5 } }]);
  });

  test('whose entry is lost fail as it says, and leave nothing in flight', async () => {
    const scripted = await ScriptedExecutor.make();
    const lost = scripted.start(put('a', '1'));
    await scripted.turn();
    await scripted.giveTimestamps();
    await scripted.lose(new QuorateError('NODE_STOPPING', 'stopping', { outcome: 'unknown' }));
    expect(lost.results).toMatchObject([{ error: { code: 'NODE_STOPPING', outcome: 'unknown' } }]);
    const next = scripted.start(put('a', '2', { type: 'absent' }));
    await scripted.turn();
    await scripted.giveTimestamps();
    await scripted.apply();
    expect(next.results).toMatchObject([{ type: 'written' }]);
  });

  test.each([
    ['notLeader', 'NOT_LEADER', 'does not lead'],
    ['transferring', 'NOT_LEADER', 'handing over'],
    ['overloaded', 'OVERLOADED', 'uncommittedBytesMax'],
  ] as const)('that are refused as %s were not applied', async (refusal, code, message) => {
    const scripted = await ScriptedExecutor.make();
    const task = scripted.start(put('a', '1'));
    await scripted.turn();
    scripted.refusal = refusal;
    await scripted.giveTimestamps();
    expect(task.results).toMatchObject([{ error: { code, outcome: 'notApplied' } }]);
    expect(task.results).toMatchObject([{ error: { message: expect.stringContaining(message) as string } }]);
    // Nothing of it is in flight, nor counted as an entry that will be applied.
    scripted.refusal = undefined;
    const next = scripted.start(put('a', '2', { type: 'absent' }));
    await scripted.turn();
    await scripted.giveTimestamps();
    await scripted.apply();
    expect(next.results).toMatchObject([{ type: 'written' }]);
  });

  test('are not kept in memory when they are applied: the next one looks at the tree', async () => {
    const scripted = await ScriptedExecutor.make();
    const looked = vi.spyOn(scripted.executor.replica.machine, 'get');
    const looksAtKey = async (): Promise<boolean> => {
      looked.mockClear();
      scripted.start(del('a'));
      await scripted.turn();
      await scripted.giveTimestamps();
      return looked.mock.calls.some(([key]) => key[0] === keyPrefix.user);
    };
    expect(await looksAtKey()).toBe(true);
    await scripted.apply();
    scripted.start(put('a', '1'));
    await scripted.turn();
    await scripted.giveTimestamps();
    expect(await looksAtKey(), 'while it is in flight').toBe(false);
    while (scripted.proposed.length > 0) await scripted.apply();
    expect(await looksAtKey()).toBe(true);
  });
});

describe('reads', () => {
  test('wait for the gate, and fail as it says', async () => {
    const scripted = await ScriptedExecutor.make();
    const first = scripted.start(get('a'));
    await scripted.turn();
    expect(first.results).toEqual([]);
    await scripted.permitReads();
    expect(first.results).toEqual([{ type: 'absent' }]);
    const second = scripted.start(get('a'));
    await scripted.permitReads(new QuorateError('NOT_LEADER', 'lost'));
    expect(second.results).toMatchObject([{ error: { code: 'NOT_LEADER' } }]);
  });

  test('by a lease count only if it holds when the value was read', async () => {
    const scripted = await ScriptedExecutor.make();
    scripted.leaseTerm = Term(7);
    const held = scripted.start(get('a'));
    await scripted.permitReads(undefined, Term(7));
    expect(held.results).toEqual([{ type: 'absent' }]);

    // Lost, and got again by a later election of the same replica: others may have written between.
    const lost = scripted.start(get('a'));
    await scripted.permitReads(undefined, Term(6));
    expect(lost.results).toEqual([]);
    expect(scripted.permits).toHaveLength(1);
    await scripted.permitReads();
    expect(lost.results).toEqual([{ type: 'absent' }]);
  });

  test('that are stale: a follower refuses what could be too old, a leader waits for a round', async () => {
    const scripted = await ScriptedExecutor.make({ staleReadMsMax: 100 });
    scripted.stalenessMs = 101;
    const atLeader = scripted.start(get('a', 'stale'));
    await scripted.turn();
    expect(atLeader.results).toEqual([]);
    await scripted.permitReads();
    expect(atLeader.results).toEqual([{ type: 'absent' }]);
    await scripted.changeLeadership(false);
    const atFollower = scripted.start(get('a', 'stale'));
    await scripted.turn();
    expect(atFollower.results).toMatchObject([{ error: { code: 'SHARD_UNAVAILABLE', shard: 5 } }]);
    expect(scripted.timesWoken, 'the group may be quiet').toBe(1);
    scripted.stalenessMs = 100;
    const fresh = scripted.start(get('a', 'stale'));
    await scripted.turn();
    expect(fresh.results).toEqual([{ type: 'absent' }]);
  });

  test('at a timestamp wait for batches that had asked for theirs before, and not for later ones', async () => {
    const scripted = await ScriptedExecutor.make();
    scripted.start(put('b', 'before'));
    await scripted.turn();
    let page: string[] | undefined;
    void scripted.executor.scanPage(specAt(5000), descriptor.epoch, 'linearizable').then(({ records }) => {
      page = records.map(({ key }) => new TextDecoder().decode(key));
    });
    await scripted.turn();
    await scripted.permitReads();
    scripted.start(put('c', 'after'));
    await scripted.turn();
    expect(page).toBeUndefined();
    await scripted.giveTimestamps();
    expect(page, 'proposed is not applied').toBeUndefined();
    await scripted.apply();
    expect(page).toEqual(['b']);
    expect(scripted.asked).toHaveLength(1);
  });

  test('of a page fail on a follower and under another epoch', async () => {
    const scripted = await ScriptedExecutor.make();
    const other = { membership: 1, range: 9 };
    await expect(scripted.executor.scanPage(specAt(1), other, 'stale')).rejects.toMatchObject({
      code: 'EPOCH_MISMATCH',
    });
    await scripted.changeLeadership(false);
    const refused = scripted.executor.scanPage(specAt(1), descriptor.epoch, 'linearizable');
    await expect(refused).rejects.toMatchObject({ code: 'NOT_LEADER' });
  });
});
