import { describe, expect, test } from 'vitest';
import { emptyBytes, utf8 } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import { Timestamp } from '../../src/base/ids.js';
import type { GetOperation } from '../../src/mvcc/operations.js';
import type { ScanSpec } from '../../src/mvcc/scan.js';
import { del, put } from '../mvcc/leader.js';
import { ExecutorBench, descriptor } from './executor-bench.js';

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
    const bench = await ExecutorBench.make();
    const tasks = [bench.start(put('a', '1')), bench.start(put('b', '2')), bench.start(del('c'))];
    await bench.turn();
    expect(bench.asked.map(({ count }) => count)).toEqual([3]);
    await bench.giveTimestamps();
    expect(bench.proposed).toHaveLength(1);
    expect(tasks.map(({ results, begun }) => [results.length, begun])).toEqual([
      [0, true],
      [0, true],
      [0, true],
    ]);
    await bench.apply();
    expect(tasks.map(({ results }) => results)).toEqual([
      [{ type: 'written', version: 1000 }],
      [{ type: 'written', version: 1001 }],
      [{ type: 'nothingDeleted' }],
    ]);
  });

  test('that come meanwhile are the next batch, which does not wait for the first to be applied', async () => {
    const bench = await ExecutorBench.make();
    const first = bench.start(put('a', '1'));
    await bench.turn();
    const second = bench.start(put('a', '2', { type: 'absent' }));
    await bench.turn();
    expect(bench.asked).toHaveLength(1);
    await bench.giveTimestamps();
    await bench.giveTimestamps();
    expect(bench.proposed).toHaveLength(2);
    await bench.apply();
    await bench.apply();
    expect(first.results).toEqual([{ type: 'written', version: 1000 }]);
    // Evaluated on top of the effects in flight.
    expect(second.results).toMatchObject([{ type: 'conditionFailed', current: { version: 1000 } }]);
  });

  test('are cut into entries of at most entryBytesMax, but never below one', async () => {
    const bench = await ExecutorBench.make({ entryBytesMax: 4000 });
    const sizes = [1500, 1500, 3990, 100];
    const tasks = sizes.map((size, i) => bench.start(put(`key-${i}`, 'x'.repeat(size))));
    await bench.turn();
    const counts: number[] = [];
    while (bench.asked.length > 0) {
      counts.push(bench.asked[0].count);
      await bench.giveTimestamps();
      await bench.apply();
    }
    expect(counts).toEqual([2, 1, 1]);
    expect(tasks.map(({ results }) => results[0]?.type)).toEqual(sizes.map(() => 'written'));
  });

  test('that are abandoned before evaluation take no effect, others of their batch do', async () => {
    const bench = await ExecutorBench.make();
    const [queued, waiting, kept] = ['a', 'b', 'c'].map((key) => bench.start(put(key, 'v')));
    queued.abandoned = true;
    await bench.turn();
    expect(bench.asked.map(({ count }) => count)).toEqual([2]);
    waiting.abandoned = true;
    await bench.giveTimestamps();
    await bench.apply();
    expect([queued.begun, waiting.begun, kept.begun]).toEqual([false, false, true]);
    expect(kept.results).toMatchObject([{ type: 'written' }]);
    const reads = ['a', 'b', 'c'].map((key) => bench.start(get(key)));
    await bench.permitReads();
    expect(reads.map(({ results }) => results[0]?.type)).toEqual(['absent', 'absent', 'found']);
  });

  test('fail as not applied when there are no timestamps', async () => {
    const bench = await ExecutorBench.make();
    const task = bench.start(put('a', '1'));
    await bench.turn();
    bench.asked.shift()?.answer.reject(new QuorateError('TIMESTAMP_UNAVAILABLE', 'none'));
    await bench.turn();
    expect(task.results).toMatchObject([{ error: { code: 'TIMESTAMP_UNAVAILABLE', outcome: 'notApplied' } }]);
    const next = bench.start(put('a', '2'));
    await bench.turn();
    await bench.giveTimestamps();
    await bench.apply();
    expect(next.results).toMatchObject([{ type: 'written' }]);
  });

  test('are not proposed in a later term than the one in which they asked for timestamps', async () => {
    const bench = await ExecutorBench.make();
    const task = bench.start(put('a', '1'));
    await bench.turn();
    await bench.changeLeadership(false);
    await bench.changeLeadership(true);
    await bench.giveTimestamps();
    expect(bench.proposed).toEqual([]);
    expect(task.results).toMatchObject([{ error: { code: 'NOT_LEADER', outcome: 'notApplied' } }]);
  });

  test('that wait fail when leadership is lost', async () => {
    const bench = await ExecutorBench.make();
    bench.start(put('a', '1'));
    await bench.turn();
    const queued = bench.start(put('b', '1'));
    await bench.changeLeadership(false);
    expect(queued.results).toMatchObject([{ error: { code: 'NOT_LEADER', outcome: 'notApplied', shard: 5 } }]);
  });

  test('whose entry is lost fail as it says, and leave nothing in flight', async () => {
    const bench = await ExecutorBench.make();
    const lost = bench.start(put('a', '1'));
    await bench.turn();
    await bench.giveTimestamps();
    await bench.lose(new QuorateError('NODE_STOPPING', 'stopping', { outcome: 'unknown' }));
    expect(lost.results).toMatchObject([{ error: { code: 'NODE_STOPPING', outcome: 'unknown' } }]);
    const next = bench.start(put('a', '2', { type: 'absent' }));
    await bench.turn();
    await bench.giveTimestamps();
    await bench.apply();
    expect(next.results).toMatchObject([{ type: 'written' }]);
  });

  test.each([
    ['notLeader', 'NOT_LEADER', 'does not lead'],
    ['transferring', 'NOT_LEADER', 'handing over'],
    ['overloaded', 'OVERLOADED', 'uncommittedBytesMax'],
  ] as const)('that are refused as %s were not applied', async (refusal, code, message) => {
    const bench = await ExecutorBench.make();
    const task = bench.start(put('a', '1'));
    await bench.turn();
    bench.refusal = refusal;
    await bench.giveTimestamps();
    expect(task.results).toMatchObject([{ error: { code, outcome: 'notApplied' } }]);
    expect(task.results).toMatchObject([{ error: { message: expect.stringContaining(message) as string } }]);
  });
});

describe('what does not belong here is refused at once', () => {
  test('beyond the limit of operations in flight, by the limit and with a hint', async () => {
    const bench = await ExecutorBench.make({ shardOperationsInFlightMax: 2 });
    bench.start(put('a', '1'));
    bench.start(get('a'));
    const refused = bench.start(put('b', '1'));
    const error = { code: 'OVERLOADED', outcome: 'notApplied', shard: 5, retryAfterMs: 20 };
    expect(refused.results).toMatchObject([{ error }]);
    expect(refused.results).toMatchObject([
      { error: { message: expect.stringMatching(/2 .*shardOperationsInFlightMax/) as string } },
    ]);
    await bench.permitReads();
    await bench.turn();
    bench.start(put('b', '1'));
    await bench.giveTimestamps();
    expect(bench.start(put('c', '1')).results).toMatchObject([{ error }]);
    await bench.apply();
    expect(bench.start(put('c', '1')).results).toEqual([]);
  });

  test('pages of scans count, from their start to their end', async () => {
    const bench = await ExecutorBench.make({ shardOperationsInFlightMax: 2 });
    const pages = [1, 2].map((at) => bench.executor.scanPage(specAt(at), descriptor.epoch, 'linearizable'));
    const error = { code: 'OVERLOADED', shard: 5, retryAfterMs: 20 };
    for (const consistency of ['linearizable', 'stale'] as const) {
      await expect(bench.executor.scanPage(specAt(3), descriptor.epoch, consistency)).rejects.toMatchObject(error);
    }
    expect(bench.start(put('b', '1')).results).toMatchObject([{ error }]);
    expect(bench.start(get('b')).results).toMatchObject([{ error }]);
    expect(bench.permits).toHaveLength(2);
    await bench.permitReads();
    await Promise.all(pages);
    expect(bench.start(put('b', '1')).results).toEqual([]);
  });

  test('a page that fails counts no more', async () => {
    const bench = await ExecutorBench.make({ shardOperationsInFlightMax: 1 });
    const page = bench.executor.scanPage(specAt(1), descriptor.epoch, 'linearizable');
    page.catch(() => undefined);
    await bench.permitReads(new QuorateError('NOT_LEADER', 'lost'));
    await expect(page).rejects.toMatchObject({ code: 'NOT_LEADER' });
    expect(bench.start(get('b')).results).toEqual([]);
  });

  test('a stale read that has to wait for a round', async () => {
    const bench = await ExecutorBench.make({ shardOperationsInFlightMax: 1, staleReadMsMax: 100 });
    bench.stalenessMs = 101;
    bench.start(get('a'));
    const refused = bench.start(get('a', 'stale'));
    await bench.turn();
    expect(refused.results).toMatchObject([{ error: { code: 'OVERLOADED', shard: 5 } }]);
    expect(bench.permits).toHaveLength(1);
  });

  test('a page beyond those that the node reads at a time, by the limit and with a hint', async () => {
    const bench = await ExecutorBench.make({ scansInFlightMax: 1 });
    const read = bench.executor.scanPage(specAt(1), descriptor.epoch, 'stale');
    const refused = bench.executor.scanPage(specAt(1), descriptor.epoch, 'stale');
    await expect(refused).rejects.toMatchObject({
      code: 'OVERLOADED',
      outcome: 'notApplied',
      retryAfterMs: 20,
      message: expect.stringMatching(/1 pages.*scansInFlightMax/) as string,
    });
    await read;
    await bench.executor.scanPage(specAt(1), descriptor.epoch, 'stale');
  });

  test.each([
    ['a key below the range', put('A', '1'), descriptor.epoch],
    ['a key at its end', put('x', '1'), descriptor.epoch],
    ['another range version', put('a', '1'), { membership: 1, range: 2 }],
    ['another membership, also for a stale read', get('a', 'stale'), { membership: 2, range: 1 }],
  ])('%s', async (_what, operation, epoch) => {
    const bench = await ExecutorBench.make();
    expect(bench.start(operation, epoch).results).toMatchObject([{ error: { code: 'EPOCH_MISMATCH', shard: 5 } }]);
  });

  test('what a follower gets, unless it is a stale read', async () => {
    const bench = await ExecutorBench.make();
    await bench.changeLeadership(false);
    for (const operation of [put('a', '1'), get('a')]) {
      expect(bench.start(operation).results).toMatchObject([{ error: { code: 'NOT_LEADER' } }]);
    }
    const stale = bench.start(get('a', 'stale'));
    await bench.turn();
    expect(stale.results).toEqual([{ type: 'absent' }]);
  });
});

describe('reads', () => {
  test('wait for the gate, and fail as it says', async () => {
    const bench = await ExecutorBench.make();
    const first = bench.start(get('a'));
    await bench.turn();
    expect(first.results).toEqual([]);
    await bench.permitReads();
    expect(first.results).toEqual([{ type: 'absent' }]);
    const second = bench.start(get('a'));
    await bench.permitReads(new QuorateError('NOT_LEADER', 'lost'));
    expect(second.results).toMatchObject([{ error: { code: 'NOT_LEADER' } }]);
  });

  test('that are stale: a follower refuses what could be too old, a leader waits for a round', async () => {
    const bench = await ExecutorBench.make({ staleReadMsMax: 100 });
    bench.stalenessMs = 101;
    const atLeader = bench.start(get('a', 'stale'));
    await bench.turn();
    expect(atLeader.results).toEqual([]);
    await bench.permitReads();
    expect(atLeader.results).toEqual([{ type: 'absent' }]);
    await bench.changeLeadership(false);
    const atFollower = bench.start(get('a', 'stale'));
    await bench.turn();
    expect(atFollower.results).toMatchObject([{ error: { code: 'SHARD_UNAVAILABLE', shard: 5 } }]);
    bench.stalenessMs = 100;
    const fresh = bench.start(get('a', 'stale'));
    await bench.turn();
    expect(fresh.results).toEqual([{ type: 'absent' }]);
  });

  test('at a timestamp wait for batches that had asked for theirs before, and not for later ones', async () => {
    const bench = await ExecutorBench.make();
    bench.start(put('b', 'before'));
    await bench.turn();
    let page: string[] | undefined;
    void bench.executor.scanPage(specAt(5000), descriptor.epoch, 'linearizable').then(({ records }) => {
      page = records.map(({ key }) => new TextDecoder().decode(key));
    });
    await bench.turn();
    await bench.permitReads();
    bench.start(put('c', 'after'));
    await bench.turn();
    expect(page).toBeUndefined();
    await bench.giveTimestamps();
    expect(page, 'proposed is not applied').toBeUndefined();
    await bench.apply();
    expect(page).toEqual(['b']);
    expect(bench.asked).toHaveLength(1);
  });

  test('of a page fail on a follower and under another epoch', async () => {
    const bench = await ExecutorBench.make();
    const other = { membership: 1, range: 9 };
    await expect(bench.executor.scanPage(specAt(1), other, 'stale')).rejects.toMatchObject({ code: 'EPOCH_MISMATCH' });
    await bench.changeLeadership(false);
    const refused = bench.executor.scanPage(specAt(1), descriptor.epoch, 'linearizable');
    await expect(refused).rejects.toMatchObject({ code: 'NOT_LEADER' });
  });
});
