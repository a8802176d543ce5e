/** What stays broken when a quorum is healed first, and what must work then. */
import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { NodeId, placementShardId } from '../../src/base/ids.js';
import { firstShardMap } from '../../src/placement/bootstrap.js';
import { runTurns } from '../../src/platform/turns.js';
import { SimCluster } from '../../src/sim/cluster.js';
import type { SimMachine } from '../../src/sim/machine.js';
import { breakMinority, drawLine, drawMinority, killMinority, type Minority } from '../../src/sim/minority.js';
import { waysToBreak, type WayToBreak } from '../../src/sim/ways-to-break.js';
import { requireQuorumProgress, type HealedQuorum } from '../../src/sim/quorum-progress.js';
import { requireRecovery } from '../../src/sim/recovery.js';
import { simulate } from '../../src/sim/run.js';
import { Scenario } from './scenario.js';

const shards = 3;
const all = (): boolean => true;

interface Shape {
  readonly nodes: number;
  readonly replicas: number;
}

function drawn({ nodes, replicas }: Shape, isAble: (machine: SimMachine) => boolean = all): Minority[] {
  return Array.from({ length: 200 }, (_, seed) => {
    const cluster = new SimCluster({ seed, runTurns, nodes, replicas, shards });
    return drawMinority(cluster, isAble, new Prng(seed));
  });
}

const ids = (minority: Minority): number[] => [...minority.keys()].map(({ id }) => id).sort();
const sizes = (minorities: readonly Minority[]): number[] => [...new Set(minorities.map(({ size }) => size))].sort();

describe('what stays broken', () => {
  test('is any one of three machines, in any way', () => {
    const minorities = drawn({ nodes: 3, replicas: 3 });
    expect(sizes(minorities)).toEqual([1]);
    expect(new Set(minorities.flatMap(ids))).toEqual(new Set([1, 2, 3]));
    expect(new Set(minorities.flatMap((minority) => [...minority.values()]))).toEqual(new Set(waysToBreak));
  });

  test('is any one or two of five, where all have replicas of all shards', () => {
    const minorities = drawn({ nodes: 5, replicas: 5 });
    expect(sizes(minorities)).toEqual([1, 2]);
    expect(new Set(minorities.map((minority) => ids(minority).join()))).toHaveLength(5 + 10);
  });

  test('leaves every shard a majority of its replicas', () => {
    const nodes = [1, 2, 3, 4, 5].map((id) => NodeId(id));
    const onNodes = firstShardMap({ nodes, shardCount: shards, replicationFactor: 3 }).map(({ replicas }) =>
      replicas.map(({ node }): number => node),
    );
    const minorities = drawn({ nodes: 5, replicas: 3 });
    expect(sizes(minorities)).toEqual([1, 2]);
    const broken = minorities.flatMap((minority) =>
      onNodes.map((on) => ids(minority).filter((id) => on.includes(id)).length),
    );
    expect(Math.max(...broken)).toBe(1);
  });

  test('has room for one fewer where one is being replaced', () => {
    const isAble = ({ id }: SimMachine): boolean => id !== 2;
    expect(sizes(drawn({ nodes: 3, replicas: 3 }, isAble))).toEqual([0]);
    const minorities = drawn({ nodes: 5, replicas: 5 }, isAble);
    expect(sizes(minorities)).toEqual([1]);
    expect(new Set(minorities.flatMap(ids))).toEqual(new Set([1, 3, 4, 5]));
  });

  test('may be the only replica of a shard', () => {
    expect(sizes(drawn({ nodes: 3, replicas: 1 }))).toEqual([1]);
  });
});

/** Of three nodes the one that leads the shard and the placement group breaks. */
async function withBrokenLeader(way: WayToBreak): Promise<Broken> {
  const scenario = await Scenario.formed({ seed: 61 });
  const { cluster } = scenario;
  const leader = scenario.leaderOf();
  await scenario.leadBy(leader, placementShardId);
  const minority = new Map([[scenario.machine(leader), way]]);
  const through = cluster.machines.filter(({ id }) => id !== leader);
  killMinority(minority, new Prng(62));
  const mend = breakMinority(cluster, minority, new Prng(63));
  return { scenario, mend, healed: { minority, line: [], isAble: (machine) => through.includes(machine), through } };
}

interface Broken {
  readonly scenario: Scenario;
  readonly mend: () => void;
  readonly healed: HealedQuorum;
}

describe.each(waysToBreak)('a leader in the %s', (way) => {
  test('keeps nobody from a write and a read through the other nodes, and is mended', async () => {
    const { scenario, mend, healed } = await withBrokenLeader(way);
    const { cluster } = scenario;
    expect(await requireQuorumProgress(cluster, healed)).toBeUndefined();
    expect(cluster.coverage.counts[way]).toBe(1);
    mend();
    scenario.heal();
    // What is under way ends, nodes look for space, connections come up.
    await scenario.run(7000);
    expect(await requireRecovery(cluster)).toBeUndefined();
  });
});

test('a machine that an operator takes out of service while it is dead stays out of service (seed 8060235)', async () => {
  const { scenario, mend, healed } = await withBrokenLeader('deadMinority');
  const [[dead]] = healed.minority;
  dead.start();
  expect(dead.isUp).toBe(false);
  dead.withdraw();
  mend();
  dead.start();
  expect(dead).toMatchObject({ isWithdrawn: true, isUp: false });
  dead.putInService(dead.disk);
  dead.start();
  expect(dead.isUp).toBe(true);
  expect(scenario.cluster.inService).toContain(dead);
});

test('a line between two machines is any, and keeps nobody from a write and a read through any node', async () => {
  const lines = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    const cluster = new SimCluster({ seed, runTurns, nodes: 3 });
    lines.add(
      drawLine(cluster, all, new Prng(seed))
        .map(({ id }) => id)
        .sort()
        .join(),
    );
    expect(drawLine(cluster, ({ id }) => id !== 2, new Prng(seed))).toEqual([]);
  }
  expect([...lines].sort()).toEqual(['1,2', '1,3', '2,3']);

  const { cluster } = await Scenario.formed({ seed: 64, shards: 3 });
  const line = drawLine(cluster, all, new Prng(64));
  cluster.network.partition(line.map(({ name }) => [name]));
  const healed = { minority: new Map(), line, isAble: all, through: cluster.machines };
  expect(await requireQuorumProgress(cluster, healed)).toBeUndefined();
});

test('what does not work without the minority is told', async () => {
  const { scenario, healed } = await withBrokenLeader('deadMinority');
  const [{ id, name }, other] = healed.through;
  scenario.isolate(id);
  const failure = await requireQuorumProgress(scenario.cluster, healed);
  expect(failure).toMatch(/^15000 ms after a quorum was healed, without node-\d \(deadMinority\): /);
  for (const each of [name, other.name]) expect(failure).toMatch(new RegExp(`shard 1 through ${each}: put: `));
});

test('a run heals a quorum first where its plan says so', async () => {
  const plan = { nodes: 3, replicas: 3, shards: 2, faults: { types: [], gapMsMax: 1000, lastsMsMax: 1000 } };
  const options = { seed: 3, runTurns, nowMs: () => performance.now(), faultMs: 2000 };
  const broken = async (healsQuorumFirst: boolean): Promise<number> => {
    const { failure, coverage } = await simulate({ ...options, plan: { ...plan, healsQuorumFirst } });
    expect(failure).toBeUndefined();
    return [...waysToBreak, 'cutLine' as const].reduce((sum, mark) => sum + coverage[mark], 0);
  };
  expect(await broken(true)).toBe(1);
  expect(await broken(false)).toBe(0);
});
