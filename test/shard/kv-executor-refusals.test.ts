import { describe, expect, test } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';
import { del, put } from '../mvcc/leader.js';
import { ScriptedExecutor, descriptor, get, specAt } from './scripted-executor.js';

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
    expect(await scripted.answersTo(put('c', '1'))).toEqual([]);
  });

  test('writes that would wait too long, by the target and with a hint; reads are not', async () => {
    const scripted = await ScriptedExecutor.make({ writeWaitMsTarget: 100 });
    for (let i = 0; i < 40; i++) scripted.start(put(`a${i}`, '1'));
    await scripted.turn();
    await scripted.giveTimestamps();
    scripted.nowMs = 200;
    await scripted.apply(); // 40 in 200 ms, so 20 within the target: as few as 32 are always admitted
    const admitted = Array.from({ length: 32 }, (_, i) => scripted.start(put(`b${i}`, '1')));
    await scripted.turn();
    expect(admitted.flatMap(({ results }) => results)).toEqual([]);
    const error = { code: 'OVERLOADED', outcome: 'notApplied', shard: 5, retryAfterMs: 100 };
    const refused = await scripted.answersTo(put('c', '1'));
    expect(refused).toMatchObject([{ error }]);
    expect(refused).toMatchObject([
      { error: { message: expect.stringMatching(/24576 bytes .*writeWaitMsTarget/) as string } },
    ]);
    expect(await scripted.answersTo(get('a'))).toEqual([]);
  });

  test('writes beyond a window that is as small as the wait of the oldest of a batch says, not that of the last', async () => {
    const scripted = await ScriptedExecutor.make({ writeWaitMsTarget: 100 });
    for (let i = 0; i < 40; i++) scripted.start(put(`a${i}`, '1'));
    await scripted.turn();
    await scripted.giveTimestamps();
    scripted.start(put('b', '1'));
    scripted.nowMs = 190;
    scripted.start(put('c', '1'));
    scripted.nowMs = 200;
    await scripted.apply();
    await scripted.giveTimestamps();
    scripted.nowMs = 210;
    await scripted.apply();
    for (let i = 0; i < 32; i++) scripted.start(put(`d${i}`, '1'));
    expect(await scripted.answersTo(put('e', '1'))).toMatchObject([{ error: { code: 'OVERLOADED' } }]);
  });

  test('writes while the disk is full; reads are not', async () => {
    const scripted = await ScriptedExecutor.make();
    scripted.space.isDiskFull = true;
    const error = { code: 'DISK_FULL', outcome: 'notApplied', shard: 5, retryAfterMs: 1000 };
    expect(await scripted.answersTo(put('a', '1'))).toMatchObject([{ error }]);
    expect(await scripted.answersTo(del('a'))).toMatchObject([{ error }]);
    expect(await scripted.answersTo(get('a'))).toEqual([]);
    scripted.space.isDiskFull = false;
    expect(await scripted.answersTo(put('a', '1'))).toEqual([]);
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
    expect(await scripted.answersTo(put('b', '1'))).toEqual([]);
  });

  test('a page that fails counts no more', async () => {
    const scripted = await ScriptedExecutor.make({ shardOperationsInFlightMax: 1 });
    const page = scripted.executor.scanPage(specAt(1), descriptor.epoch, 'linearizable');
    page.catch(() => undefined);
    await scripted.permitReads(new QuorateError('NOT_LEADER', 'lost'));
    await expect(page).rejects.toMatchObject({ code: 'NOT_LEADER' });
    expect(await scripted.answersTo(get('b'))).toEqual([]);
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
