import { describe, expect, test } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { QuorateError } from '../../src/base/errors.js';
import { NodeId, Timestamp } from '../../src/base/ids.js';
import { PlacementBench } from './placement-bench.js';

const second = 1_000_000;
const node = { id: NodeId(1), storeId: 's', clientAddress: 'c:1', peerAddress: 'p:1' };

describe('the first leader', () => {
  test('tries to form the cluster until it is done', async () => {
    const bench = await PlacementBench.make();
    bench.refusal = 'overloaded';
    await bench.lead();
    for (let i = 0; i < 4; i++) await bench.pass(1000);
    expect(bench.proposed).toEqual([]);
    bench.refusal = undefined;
    await bench.pass(2000);
    await bench.apply();
    expect((await bench.state()).shardMap.shards).toHaveLength(2);
    await bench.pass(10_000);
    expect(bench.proposed).toEqual([]);
  });

  test('gives up forming the cluster when it leads no more', async () => {
    const bench = await PlacementBench.make();
    bench.refusal = 'transferring';
    await bench.lead();
    await bench.loseLeadership();
    bench.refusal = undefined;
    await bench.pass(10_000);
    expect(bench.proposed).toEqual([]);
  });
});

describe('a leader whose disk answers no more', () => {
  test('hands over after five seconds: its log has nothing to write, and every shard waits for timestamps', async () => {
    const bench = await PlacementBench.formed();
    bench.ask();
    await bench.turn();
    await bench.apply();
    bench.stallDisk();
    await bench.pass(4000);
    expect(bench.ask().first, 'not above what is committed').toBeUndefined();
    await bench.turn();
    expect(bench.proposed).toEqual([]);
    await bench.pass(4999);
    expect(bench.handOvers).toBe(0);
    await bench.pass(1);
    expect(bench.handOvers).toBe(1);
  });

  test('hands over before it has begun, too', async () => {
    const bench = await PlacementBench.make();
    bench.stallDisk();
    await bench.lead();
    await bench.pass(5000);
    expect(bench.handOvers).toBe(1);
  });

  test('hands nothing over while all that is read comes, however rarely', async () => {
    const bench = await PlacementBench.formed();
    for (let i = 0; i < 10; i++) {
      bench.ask();
      await bench.turn();
      if (bench.proposed.length > 0) await bench.apply();
      await bench.pass(6000);
    }
    expect(bench.handOvers).toBe(0);
  });
});

describe('timestamps', () => {
  test('wait for the first high water, and for no later one while requests keep coming', async () => {
    const bench = await PlacementBench.formed();
    const first = bench.ask();
    await bench.turn();
    expect(first.first).toBeUndefined();
    await bench.apply();
    expect(first.first).toBe(1 * second);
    let raises = 0;
    for (let i = 0; i < 100; i++) {
      await bench.pass(100);
      const asked = bench.ask();
      await bench.turn();
      expect(asked.first, `request ${i}`).toBe(1 * second + (i + 1) * 100_000);
      // A raise takes as long as it takes; meanwhile no other is begun.
      expect(bench.proposed.length).toBeLessThanOrEqual(1);
      if (i % 10 === 9 && bench.proposed.length > 0) {
        await bench.apply();
        raises++;
      }
    }
    expect(raises).toBeGreaterThan(3);
    expect(raises).toBeLessThan(8);
  });

  test('go on after a raise ahead was refused', async () => {
    const bench = await PlacementBench.formed();
    bench.ask();
    await bench.turn();
    await bench.apply();
    bench.refusal = 'transferring';
    await bench.pass(2000);
    const covered = bench.ask();
    await bench.turn();
    expect(covered.first).toBe(3 * second);
    bench.refusal = undefined;
    await bench.pass(100);
    bench.ask();
    await bench.turn();
    expect(bench.proposed).toHaveLength(1);
  });

  test('of an old reign raise nothing: the committed high water never goes back', async () => {
    const bench = await PlacementBench.formed();
    // A raise waits behind the registration of a node. Another leads and raises it further. Then this one leads again,
    // and applies in one go what the other wrote in place of the registration, and an entry of its own term.
    const registered = bench.leader.register(node).catch((error: unknown) => QuorateError.from(error));
    const waiting = bench.ask();
    await bench.turn();
    await bench.loseLeadership();
    bench.replaceByOthersHighWater(Timestamp(100 * second));
    await bench.lead();
    expect(await registered).toMatchObject({ code: 'NOT_LEADER' });
    expect(waiting.error).toMatchObject({ code: 'NOT_LEADER', outcome: 'notApplied' });
    expect(bench.proposed).toEqual([]);
    const later = bench.ask();
    await bench.turn();
    await bench.apply();
    expect(later.first).toBe(100 * second);
    expect((await bench.state()).highWater).toBe(103 * second + 1);
  });

  test('of a leader whose clock is ahead run at most twice as fast as time, from the committed high water', async () => {
    const bench = await PlacementBench.formed();
    bench.ask();
    await bench.turn();
    await bench.apply();
    const { highWater } = await bench.state();
    await bench.loseLeadership();
    const hour = 3_600_000;
    bench.wallMs += hour;
    await bench.lead();
    for (const seconds of [10, 20]) {
      await bench.pass(10_000);
      const asked = bench.ask();
      await bench.turn();
      if (bench.proposed.length > 0) await bench.apply();
      const first = defined(asked.first, 'timestamp');
      expect(first).toBeGreaterThan(highWater);
      expect(first).toBeLessThanOrEqual(highWater + 2 * seconds * second);
    }
  });

  test('are issued without a round to a node whose own replica vouches for the leader', async () => {
    const bench = await PlacementBench.formed();
    bench.ask();
    await bench.turn();
    await bench.apply();
    const { rounds, term } = bench;
    const vouched = bench.ask(5, { replica: 2, term });
    await bench.turn();
    expect(vouched.first).toBeDefined();
    expect(bench.rounds).toBe(rounds);
    for (const by of [
      undefined,
      { replica: 2, term: term - 1 },
      { replica: 2, term: term + 1 },
      { replica: 3, term },
    ]) {
      const asked = bench.ask(1, by);
      await bench.turn();
      expect(asked.first).toBeGreaterThanOrEqual(Number(vouched.first) + 5);
    }
    expect(bench.rounds).toBe(rounds + 4);
  });

  test('are not issued on a voucher by a leader that was deposed, or has not applied an entry of its term', async () => {
    const bench = await PlacementBench.formed();
    const { term } = bench;
    await bench.loseLeadership();
    const refused = bench.ask(1, { replica: 2, term });
    await bench.turn();
    expect(refused.error).toMatchObject({ code: 'NOT_LEADER', outcome: 'notApplied' });
  });

  test('that wait when leadership is lost fail as not applied', async () => {
    const bench = await PlacementBench.formed();
    await bench.loseLeadership();
    const refused = bench.ask();
    await bench.turn();
    expect(refused.error).toMatchObject({ code: 'NOT_LEADER', outcome: 'notApplied' });
  });
});

test('a node that comes back with another data directory is refused', async () => {
  const bench = await PlacementBench.formed();
  const registered = bench.leader.register(node);
  await bench.turn();
  await bench.apply();
  await registered;
  await expect(bench.leader.register({ ...node, storeId: 'other' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    retryable: false,
  });
});
