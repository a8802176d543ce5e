import { describe, expect, test } from 'vitest';
import { fromUtf8 } from '../../src/base/bytes.js';
import { defined } from '../../src/base/assert.js';
import { ShardId } from '../../src/base/ids.js';
import { preferredLeaders } from '../../src/placement/preferred-leaders.js';
import { Scenario } from './scenario.js';

interface ShardPlace {
  readonly shard: number;
  readonly key: string;
  readonly preferred: number;
}

/** Every shard with a key of its own. */
function places(scenario: Scenario): ShardPlace[] {
  const descriptors = (scenario.machine(1).node?.shardMap().shards ?? []).map(({ descriptor }) => descriptor);
  const preferred = preferredLeaders(descriptors);
  return descriptors.map(({ shard, start }) => {
    return { shard, key: `${fromUtf8(start)}!`, preferred: defined(preferred.get(shard), `leader of ${shard}`) };
  });
}

function isLedAsPreferred(scenario: Scenario): boolean {
  return places(scenario).every(({ shard, preferred }) => {
    return scenario.machine(preferred).node?.host.shard(ShardId(shard))?.replica.isReadyLeader ?? false;
  });
}

/** How often some node began to lead a shard (not the placement group) since line `from` of the log. */
function beginnings(scenario: Scenario, from: number): number {
  const { lines } = scenario.cluster.log;
  return lines.slice(from).filter(({ message, fields }) => message === 'leads' && fields.shard !== 0).length;
}

/** Has the node hand over as a stopping one does; returns how to see whether that is over. */
function handOver(scenario: Scenario, id: number): () => boolean {
  const { node, process } = scenario.machine(id);
  let isOver = false;
  process?.enter(() => {
    void node?.handOver(2500).then(() => {
      isOver = true;
    });
  });
  return () => isOver;
}

describe('five nodes', () => {
  test('are ready without a replica of every shard, and each serves every key', async () => {
    const scenario = await Scenario.formed({ seed: 71, nodes: 5, shards: 5 });
    const all = places(scenario);
    for (const { node } of scenario.cluster.machines) {
      // The placement group and some shards, but not all.
      expect(node?.host.shards.length).toBeLessThan(1 + all.length);
    }
    for (const id of [1, 2, 3, 4, 5]) {
      for (const { key } of all) {
        await scenario.written(scenario.put(id, key, `by ${id}`));
        expect(await scenario.value(scenario.get((id % 5) + 1, key))).toBe(`by ${id}`);
      }
    }
  });
});

describe('leaders', () => {
  test('are spread again some seconds after a node has come back, and then stay; no write fails meanwhile', async () => {
    const scenario = await Scenario.formed({ seed: 72, shards: 6 });
    const all = places(scenario);
    await scenario.until('every shard is led by its preferred node', () => isLedAsPreferred(scenario), 30_000);
    expect(new Set(all.map(({ preferred }) => preferred)).size).toBe(3);

    scenario.machine(3).crash('all');
    await scenario.run(3000);
    scenario.machine(3).start();
    await scenario.ready();
    expect(isLedAsPreferred(scenario)).toBe(false);
    const backAtMs = scenario.nowMs;
    for (let i = 0; !isLedAsPreferred(scenario); i++) {
      expect(scenario.nowMs - backAtMs).toBeLessThan(15_000);
      const { key } = all[i % all.length];
      await scenario.written(scenario.put(1 + (i % 2), key, String(i)));
    }
    expect(scenario.nowMs - backAtMs).toBeGreaterThan(3000);

    const logged = scenario.cluster.log.lines.length;
    await scenario.run(30_000);
    expect(beginnings(scenario, logged)).toBe(0);
    expect(isLedAsPreferred(scenario)).toBe(true);
  });

  test('stay although their process comes to tick only every half of an election timeout', async () => {
    const raft = { quiesceTicks: 0, electionTicksMin: 10, electionTicksMax: 20 };
    const scenario = await Scenario.formed({ seed: 76, shards: 3, raft });
    await scenario.until('every shard is led by its preferred node', () => isLedAsPreferred(scenario), 30_000);
    await scenario.run(5000);
    const { process } = scenario.machine(1);
    for (let i = 0; i < 100; i++) {
      process?.pause();
      await scenario.run(270);
      process?.resume();
      await scenario.run(20);
      expect(isLedAsPreferred(scenario)).toBe(true);
    }
  });

  test('are not given to a node that is cut off', async () => {
    const scenario = await Scenario.formed({ seed: 73, shards: 3 });
    await scenario.until('every shard is led by its preferred node', () => isLedAsPreferred(scenario), 30_000);
    scenario.isolate(3);
    await scenario.run(5000);
    const logged = scenario.cluster.log.lines.length;
    await scenario.run(30_000);
    expect(beginnings(scenario, logged)).toBe(0);
    scenario.heal();
    await scenario.until('every shard is led by its preferred node', () => isLedAsPreferred(scenario), 30_000);
  });
});

describe('a stop', () => {
  test('of one node moves each of its leaderships once, and none comes back', async () => {
    const scenario = await Scenario.formed({ seed: 74, shards: 6 });
    await scenario.until('every shard is led by its preferred node', () => isLedAsPreferred(scenario), 30_000);
    const logged = scenario.cluster.log.lines.length;
    const isOver = handOver(scenario, 1);
    await scenario.until('node 1 has handed over', isOver, 400);
    expect(scenario.machine(1).node?.host.shards.filter(({ replica }) => replica.isLeader)).toEqual([]);
    await scenario.run(20_000);
    expect(beginnings(scenario, logged)).toBe(2);
    expect(scenario.machine(1).node?.host.shards.filter(({ replica }) => replica.isLeader)).toEqual([]);
  });

  test('of all nodes at once is over within a second, moves next to nothing, and loses nothing', async () => {
    const scenario = await Scenario.formed({ seed: 75, shards: 6 });
    await scenario.until('every shard is led by its preferred node', () => isLedAsPreferred(scenario), 30_000);
    const all = places(scenario);
    for (const { key } of all) await scenario.written(scenario.put(1, key, 'kept'));
    const logged = scenario.cluster.log.lines.length;
    const calls = all.map(({ key }, i) => scenario.put(1 + (i % 3), key, 'last'));
    const ends = [1, 2, 3].map((id) => handOver(scenario, id));
    await scenario.until('all nodes have handed over', () => ends.every((isOver) => isOver()), 1000);
    expect(beginnings(scenario, logged)).toBe(0);
    for (const call of calls) await scenario.written(call);
    for (const id of [1, 2, 3]) scenario.machine(id).crash('all');
    for (const id of [1, 2, 3]) scenario.machine(id).start();
    await scenario.ready();
    for (const { key } of all) expect(await scenario.value(scenario.get(2, key))).toBe('last');
  });
});
