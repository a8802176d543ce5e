import { describe, expect, test } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { NodeId, ShardId, Timestamp } from '../../../src/base/ids.js';
import { defaultLimits } from '../../../src/base/limits.js';
import { defined } from '../../../src/base/assert.js';
import { defaultRaftTiming } from '../../../src/node/options.js';
import type { Operation } from '../../../src/mvcc/operations.js';
import type { PeerResponse } from '../../../src/rpc/peer-messages.js';
import { address, Bench, outcomeOf, status } from './peers-bench.js';

describe('a connection', () => {
  test('on which nothing is said stays up', async () => {
    const bench = new Bench();
    const first = await bench.pair();
    await bench.run(20_000);
    expect([bench.unreachable, bench.reasons()]).toEqual([[], []]);
    expect(await bench.reaches(first, 2)).toBe(true);
  });

  test.each(['both ways', 'there', 'back'])(
    'that is cut silently (%s) is given up, and comes back when it can',
    async (ways) => {
      const bench = new Bench();
      const first = await bench.pair();
      const request = outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 60_000));
      if (ways !== 'back') bench.network.setLink('node-1', 'node-2', { state: 'held' });
      if (ways !== 'there') bench.network.setLink('node-2', 'node-1', { state: 'held' });
      await bench.run(1500);
      expect(bench.unreachable).toEqual([]);
      await bench.run(700);
      expect(bench.unreachable.length).toBeGreaterThan(0);
      expect(request.ended).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' });
      const closed = bench.log.lines.filter(({ message: text }) => text === 'closed a silent peer connection');
      if (ways !== 'back') expect(closed.map(({ fields }) => fields.on)).toContain(2);
      await bench.run(10_000);
      bench.network.heal();
      await bench.run(1000);
      expect(await bench.reaches(first, 2)).toBe(true);
    },
  );

  test('to a process that is paused for a moment stays up', async () => {
    const bench = new Bench();
    const first = await bench.pair();
    bench.processes.get(2)?.pause();
    await bench.run(1400);
    bench.processes.get(2)?.resume();
    await bench.run(1000);
    expect([bench.unreachable, bench.reasons()]).toEqual([[], []]);
    expect(await bench.reaches(first, 2)).toBe(true);
  });

  test('is not given up by a process that was itself paused', async () => {
    const bench = new Bench();
    // Only the second can find the other silent.
    const patient = { ...defaultRaftTiming, electionTicksMax: 100_000 };
    const first = await bench.node(1, { timing: patient });
    const second = await bench.node(2);
    first.sendRaft(NodeId(2), []);
    second.sendRaft(NodeId(1), []);
    await bench.run(100);
    bench.processes.get(2)?.pause();
    await bench.run(30_000);
    bench.processes.get(2)?.resume();
    await bench.run(5000);
    expect([bench.unreachable, bench.reasons()]).toEqual([[], []]);
    expect([await bench.reaches(first, 2), await bench.reaches(second, 1)]).toEqual([true, true]);
  });

  test('that is accepted and never says hello is closed', async () => {
    const bench = new Bench();
    await bench.node(2);
    const ends: unknown[] = [];
    bench
      .stranger()
      .connect(address(2))
      .start({ onFrame: () => undefined, onClose: (error) => ends.push(error) });
    await bench.run(1200);
    expect(ends).toHaveLength(1);
  });

  test('that is accepted and never says hello makes room when there are too many of them', async () => {
    const bench = new Bench();
    await bench.node(2);
    const ends: number[] = [];
    const { scheduler } = bench;
    const began = scheduler.nowMs;
    for (let i = 0; i < 67; i++) {
      const connection = bench.stranger().connect(address(2));
      connection.start({ onFrame: () => undefined, onClose: () => ends.push(i) });
    }
    await bench.run(500);
    expect(scheduler.nowMs - began).toBeLessThan(1000);
    expect(ends).toHaveLength(3);
  });
});

describe('the side that answers', () => {
  const response: PeerResponse = {
    type: 'scannedPage',
    records: [{ key: utf8('k'), version: Timestamp(1), value: utf8('v'.repeat(1000)) }],
    resume: undefined,
  };

  test('refuses requests beyond what may be open', async () => {
    const bench = new Bench();
    const limits = { ...defaultLimits, peerRequestsInFlightMax: 2 };
    const first = await bench.pair({}, { limits });
    const requests = [1, 2, 3].map(() => outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000)));
    await bench.run(20);
    expect(requests.map(({ ended }) => ended === undefined)).toEqual([true, true, false]);
    expect(requests[2].ended).toMatchObject({ type: 'failed', error: { code: 'OVERLOADED', outcome: 'notApplied' } });
    defined(bench.responds[0], 'request')(status);
    await bench.run(20);
    expect(outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000)).ended).toBeUndefined();
    await bench.run(20);
    expect(bench.responds).toHaveLength(3);
  });

  test('bounds the answers that wait for a slow connection', async () => {
    const bench = new Bench();
    const first = await bench.pair({}, { limits: { ...defaultLimits, peerQueueBytesMax: 5000 } });
    bench.network.setLink('node-2', 'node-1', { state: 'held' });
    const requests = Array.from({ length: 20 }, () =>
      outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000)),
    );
    await bench.run(20);
    for (const respond of bench.responds) respond(response);
    const late = outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000));
    await bench.run(20);
    bench.network.heal();
    await bench.run(20);
    const answered = requests.filter(({ ended }) => (ended as PeerResponse).type === 'scannedPage');
    expect(answered.length).toBeGreaterThanOrEqual(4);
    expect(answered.length).toBeLessThanOrEqual(6);
    // What was carried out may have had an effect; what came later was not looked at.
    expect(requests.at(-1)?.ended).toMatchObject({ error: { code: 'OVERLOADED', outcome: 'unknown' } });
    expect(late.ended).toMatchObject({ error: { code: 'OVERLOADED', outcome: 'notApplied' } });
  });

  test('closes the connection of a node that asks on and takes no answers', async () => {
    const bench = new Bench();
    const first = await bench.pair({}, { limits: { ...defaultLimits, peerQueueBytesMax: 500 } });
    bench.network.setLink('node-2', 'node-1', { state: 'held' });
    for (let i = 0; i < 100; i++) {
      void outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000));
      await bench.run(1);
      bench.responds.at(-1)?.(response);
    }
    expect(bench.reasons()).toContain('it takes no answers');
  });
});

test('a request that does not fit a frame is refused', async () => {
  const bench = new Bench();
  const first = await bench.pair({ peerFrameBytesMax: 1000 });
  const operation: Operation = {
    type: 'put',
    key: utf8('k'),
    value: new Uint8Array(2000),
    condition: { type: 'none' },
    requestId: { session: new Uint8Array(16), seq: 1 },
  };
  const body = {
    type: 'execute',
    shard: ShardId(1),
    epoch: { membership: 1, range: 1 },
    operations: [operation],
  } as const;
  const request = outcomeOf(first.request(NodeId(2), body, 1000));
  await bench.run(1);
  expect(request.ended).toMatchObject({ code: 'OVERLOADED', outcome: 'notApplied' });
  expect((request.ended as Error).message).toContain('peerFrameBytesMax');
});
