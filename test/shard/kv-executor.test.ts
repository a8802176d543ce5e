import { describe, expect, test } from 'vitest';
import { emptyBytes, utf8 } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import { Term, Timestamp } from '../../src/base/ids.js';
import type { GetOperation } from '../../src/mvcc/operations.js';
import type { ScanSpec } from '../../src/mvcc/scan.js';
import { del, put } from '../mvcc/leader.js';
import { ScriptedExecutor, descriptor } from './scripted-executor.js';

const get = (key: string, consistency: GetOperation['consistency'] = 'linearizable'): GetOperation => ({
  type: 'get',
  key: utf8(key),
  consistency,
});

function specAt(at: number): ScanSpec {
  return {
    start: utf8('a'),
    end: emptyBytes,
    at: Timestamp(at),
    reverse: false,
    keysOnly: false,
    bytesMax: 1000,
    recordsMax: 10,
  };
}

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
  });
});

describe('what does not belong here is refused at the end of the turn', () => {
  test('beyond the limit of operations in flight, by the limit and with a hint', async () => {
    const scripted = await ScriptedExecutor.make({ shardOperationsInFlightMax: 2 });
    scripted.start(put('a', '1'));
    scripted.start(get('a'));
    const refused = await scripted.answersTo(put('b', '1'));
    const error = { code: 'OVERLOADED', outcome: 'notApplied', shard: 5, retryAfterMs: 20 };
    expect(refused).toMatchObject([{ error }]);
    expect(refused).toMatchObject([
      { error: { message: expect.stringMatching(/2 .*shardOperationsInFlightMax/) as string } },
    ]);
    await scripted.permitReads();
    await scripted.turn();
    scripted.start(put('b', '1'));
    await scripted.giveTimestamps();
    expect(await scripted.answersTo(put('c', '1'))).toMatchObject([{ error }]);
    await scripted.apply();
    expect(scripted.start(put('c', '1')).results).toEqual([]);
  });

  test('writes that would wait too long, by the target and with a hint; reads are not', async () => {
    const scripted = await ScriptedExecutor.make({ writeWaitMsTarget: 100 });
    for (let i = 0; i < 40; i++) scripted.start(put(`a${i}`, '1'));
    await scripted.turn();
    await scripted.giveTimestamps();
    scripted.nowMs = 200;
    await scripted.apply(); // 40 in 200 ms, so 20 within the target: as few as 32 are always admitted
    const admitted = Array.from({ length: 32 }, (_, i) => scripted.start(put(`b${i}`, '1')));
    expect(admitted.flatMap(({ results }) => results)).toEqual([]);
    const error = { code: 'OVERLOADED', outcome: 'notApplied', shard: 5, retryAfterMs: 100 };
    const refused = await scripted.answersTo(put('c', '1'));
    expect(refused).toMatchObject([{ error }]);
    expect(refused).toMatchObject([{ error: { message: expect.stringMatching(/32 .*writeWaitMsTarget/) as string } }]);
    expect(scripted.start(get('a')).results).toEqual([]);
  });

  test('pages of scans count, from their start to their end', async () => {
    const scripted = await ScriptedExecutor.make({ shardOperationsInFlightMax: 2 });
    const pages = [1, 2].map((at) => scripted.executor.scanPage(specAt(at), descriptor.epoch, 'linearizable'));
    const error = { code: 'OVERLOADED', shard: 5, retryAfterMs: 20 };
    for (const consistency of ['linearizable', 'stale'] as const) {
      await expect(scripted.executor.scanPage(specAt(3), descriptor.epoch, consistency)).rejects.toMatchObject(error);
    }
    expect(await scripted.answersTo(put('b', '1'))).toMatchObject([{ error }]);
    expect(await scripted.answersTo(get('b'))).toMatchObject([{ error }]);
    expect(scripted.permits).toHaveLength(2);
    await scripted.permitReads();
    await Promise.all(pages);
    expect(scripted.start(put('b', '1')).results).toEqual([]);
  });

  test('a page that fails counts no more', async () => {
    const scripted = await ScriptedExecutor.make({ shardOperationsInFlightMax: 1 });
    const page = scripted.executor.scanPage(specAt(1), descriptor.epoch, 'linearizable');
    page.catch(() => undefined);
    await scripted.permitReads(new QuorateError('NOT_LEADER', 'lost'));
    await expect(page).rejects.toMatchObject({ code: 'NOT_LEADER' });
    expect(scripted.start(get('b')).results).toEqual([]);
  });

  test('a stale read that has to wait for a round', async () => {
    const scripted = await ScriptedExecutor.make({ shardOperationsInFlightMax: 1, staleReadMsMax: 100 });
    scripted.stalenessMs = 101;
    scripted.start(get('a'));
    const refused = scripted.start(get('a', 'stale'));
    await scripted.turn();
    expect(refused.results).toMatchObject([{ error: { code: 'OVERLOADED', shard: 5 } }]);
    expect(scripted.permits).toHaveLength(1);
  });

  test('a page beyond those that the node reads at a time, by the limit and with a hint', async () => {
    const scripted = await ScriptedExecutor.make({ scansInFlightMax: 1 });
    const read = scripted.executor.scanPage(specAt(1), descriptor.epoch, 'stale');
    const refused = scripted.executor.scanPage(specAt(1), descriptor.epoch, 'stale');
    await expect(refused).rejects.toMatchObject({
      code: 'OVERLOADED',
      outcome: 'notApplied',
      retryAfterMs: 20,
      message: expect.stringMatching(/1 pages.*scansInFlightMax/) as string,
    });
    await read;
    await scripted.executor.scanPage(specAt(1), descriptor.epoch, 'stale');
  });

  test.each([
    ['a key below the range', put('A', '1'), descriptor.epoch],
    ['a key at its end', put('x', '1'), descriptor.epoch],
    ['another range version', put('a', '1'), { membership: 1, range: 2 }],
    ['another range version, also for a stale read', get('a', 'stale'), { membership: 1, range: 2 }],
  ])('%s', async (_what, operation, epoch) => {
    const scripted = await ScriptedExecutor.make();
    expect(await scripted.answersTo(operation, epoch)).toMatchObject([{ error: { code: 'EPOCH_MISMATCH', shard: 5 } }]);
  });

  test('nothing because of another membership: it makes no difference to an operation', async () => {
    const scripted = await ScriptedExecutor.make();
    const task = scripted.start(get('a', 'stale'), { membership: 2, range: 1 });
    await scripted.turn();
    expect(task.results).toEqual([{ type: 'absent' }]);
  });

  test('what a follower gets, unless it is a stale read', async () => {
    const scripted = await ScriptedExecutor.make();
    await scripted.changeLeadership(false);
    for (const operation of [put('a', '1'), get('a')]) {
      expect(await scripted.answersTo(operation)).toMatchObject([{ error: { code: 'NOT_LEADER' } }]);
    }
    const stale = scripted.start(get('a', 'stale'));
    await scripted.turn();
    expect(stale.results).toEqual([{ type: 'absent' }]);
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
