import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import type { Timestamp } from '../../src/base/ids.js';
import { Scenario } from './scenario.js';

describe('one request id', () => {
  test('sent to two nodes at once, and again after the leader died, applies once', async () => {
    const scenario = await Scenario.formed({ seed: 41 });
    const leader = scenario.leaderOf();
    const requestId = scenario.newRequestId();
    const condition = { type: 'absent' } as const;
    const [one, two] = [1, 2].map((node) => scenario.put(node, 'k', 'once', { requestId, condition }));
    const version = await scenario.written(one);
    expect(await scenario.written(two)).toBe(version);

    await scenario.written(scenario.put(leader, 'k', 'later'));
    scenario.machine(leader).crash('none');
    const [other] = scenario.others(leader);
    const again = scenario.put(other, 'k', 'once', { requestId, condition, timeoutMs: 20_000 });
    expect(await scenario.written(again)).toBe(version);
    expect(await scenario.value(scenario.get(other, 'k'))).toBe('later');
  });

  test('of a write whose outcome was unknown tells what became of it', async () => {
    const scenario = await Scenario.formed({ seed: 42 });
    const leader = scenario.leaderOf();
    const [other] = scenario.others(leader);
    const requestId = scenario.newRequestId();
    const lastIndex = scenario.replica(leader).lastIndex;
    scenario.put(leader, 'k', 'maybe', { requestId, condition: { type: 'absent' } });
    await scenario.until('the entry is in the log', () => scenario.replica(leader).lastIndex > lastIndex);
    await scenario.run(0.5);
    scenario.machine(leader).crash('random');
    const again = scenario.put(other, 'k', 'maybe', { requestId, condition: { type: 'absent' }, timeoutMs: 20_000 });
    const version = await scenario.written(again);
    expect(await scenario.answer(scenario.get(other, 'k'))).toMatchObject({ type: 'found', version });
  });
});

describe('versions', () => {
  test('increase from write to write, although the wall clock of each placement leader jumps back an hour', async () => {
    const scenario = await Scenario.formed({ seed: 43 });
    const versions: Timestamp[] = [];
    const leaders = new Set<number>();
    for (let round = 0; round < 3; round++) {
      const leader = scenario.placementLeader;
      leaders.add(leader);
      scenario.machine(leader).clock.jumpWall(-3_600_000);
      for (let i = 0; i < 5; i++) {
        const [other] = scenario.others(leader);
        versions.push(await scenario.written(scenario.put(other, 'k', `${round}-${i}`)));
      }
      // The next one begins to lead with a clock that is behind as well.
      for (const id of scenario.others(leader)) scenario.machine(id).clock.jumpWall(-3_600_000);
      scenario.machine(leader).crash('none');
      await scenario.until('another leads the placement group', () =>
        scenario.others(leader).some((id) => scenario.replica(id, 0).isReadyLeader),
      );
      scenario.machine(leader).start();
      await scenario.ready();
    }
    expect(leaders.size).toBeGreaterThan(1);
    expect(versions).toHaveLength(15);
    for (let i = 1; i < versions.length; i++) expect(versions[i]).toBeGreaterThan(versions[i - 1]);
  });
});

describe('a scan over several shards', () => {
  test('shows one moment while writers change them', async () => {
    const scenario = await Scenario.formed({ seed: 44, shards: 3 });
    const { shards } = scenario.machine(1).node?.shardMap() ?? { shards: [] };
    expect(shards).toHaveLength(3);
    // Fillers give the scans many pages between the first key and the last.
    for (let i = 0; i < 30; i++)
      await scenario.written(scenario.put(1, String.fromCharCode(0x30 + 2 * i), 'x'.repeat(100)));
    const [first, last] = ['!counter', '~counter'];
    for (const key of [first, last]) await scenario.written(scenario.put(1, key, '0'));

    let isOver = false;
    const write = async (): Promise<void> => {
      // Each step is acknowledged before the next: the last key is never ahead of the first, nor behind by more than one.
      for (let count = 0; !isOver; count++) {
        const key = count % 2 === 0 ? first : last;
        const value = String(Math.floor(count / 2) + 1);
        await done(scenario, scenario.put((count % 3) + 1, key, value));
      }
    };
    const writing = write();
    const seen: { first: number; last: number; keys: number }[] = [];
    for (let i = 0; i < 24; i++) {
      const found = await scenario.scan((i % 3) + 1, { pageBytes: 300, reverse: i % 2 === 1 });
      seen.push({ first: Number(found.get(first)), last: Number(found.get(last)), keys: found.size });
    }
    isOver = true;
    await scenario.cluster.scheduler.complete(writing);
    for (const { first: ahead, last: behind, keys } of seen) {
      expect(keys).toBe(32);
      expect([0, 1]).toContain(ahead - behind);
    }
    expect(new Set(seen.map(({ first: ahead }) => ahead)).size).toBeGreaterThan(8);
  });

  test('finds a token that is moved between two shards, with a conditional write each way', async () => {
    const scenario = await Scenario.formed({ seed: 45, shards: 2 });
    const places = ['!left', '~right'];
    await scenario.written(scenario.put(1, places[0], 'token'));
    let isOver = false;
    let moves = 0;
    const move = async (): Promise<void> => {
      for (; !isOver; moves++) {
        const [from, to] = moves % 2 === 0 ? places : [places[1], places[0]];
        const node = (moves % 3) + 1;
        await done(scenario, scenario.put(node, to, 'token', { condition: { type: 'absent' } }));
        const requestId = scenario.newRequestId();
        const condition = { type: 'valueEquals', value: utf8('token') } as const;
        await done(scenario, scenario.call(node, { type: 'delete', key: utf8(from), condition, requestId }));
      }
    };
    const moving = move();
    const totals: number[] = [];
    for (let i = 0; i < 40; i++) totals.push((await scenario.scan((i % 3) + 1, { reverse: i % 2 === 1 })).size);
    isOver = true;
    await scenario.cluster.scheduler.complete(moving);
    // Put before it is taken away: it is in both places for a moment, and never in none.
    expect(totals.filter((total) => total !== 1 && total !== 2)).toEqual([]);
    expect(moves).toBeGreaterThan(10);
  });
});

/** For what runs beside the test's own steps: waits without moving virtual time itself. */
async function done(scenario: Scenario, call: ReturnType<Scenario['put']>): Promise<void> {
  while (call.result === undefined) {
    await new Promise<void>((resolve) => {
      scenario.cluster.scheduler.schedule(0.2, 'a client waits', resolve);
    });
  }
  expect(call.result.type).toBe('written');
}
