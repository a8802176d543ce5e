/**
 * Pitfall 11: while a line between two nodes is cut, every node that has a way to the leaders over one other node takes writes, reads and
 * scans. Leaders are on different nodes, as they are by design, and groups fall quiet, as by default.
 */
import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import type { ShardDescriptor } from '../../src/shard/descriptor.js';
import { Scenario } from './scenario.js';

/** Until all groups are quiet. */
const quietMs = 20_000;
/** A line that is cut without a sign is known to be within two seconds; a try that was under way ends with it. */
const knownMs = 3000;
/** Of a call when ways are known: far below an election, or a time limit of anything. */
const callMsMax = 500;

type Line = readonly [number, number];

/** Shard 1 is led by node 3, the placement group by node 1. */
async function ledApart(nodes: number): Promise<Scenario> {
  const scenario = await Scenario.formed({ seed: 11, nodes, replicas: nodes });
  await scenario.leadBy(1, 0);
  await scenario.leadBy(3);
  await scenario.run(quietMs);
  expect([scenario.leaderOf(), scenario.placementLeader]).toEqual([3, 1]);
  return scenario;
}

function cut(scenario: Scenario, lines: readonly Line[], way: 'both ways' | 'one way'): void {
  for (const [one, other] of lines) {
    const [a, b] = [scenario.machine(one).name, scenario.machine(other).name];
    scenario.cluster.network.setLink(a, b, { state: 'blocked' });
    if (way === 'both ways') scenario.cluster.network.setLink(b, a, { state: 'blocked' });
  }
}

/** A write, a read and a scan through each node, each within `msMax`. */
async function useAll(scenario: Scenario, round: string, msMax: number): Promise<void> {
  for (const id of scenario.cluster.machines.map((machine) => machine.id)) {
    const beganAtMs = scenario.nowMs;
    await scenario.written(scenario.put(id, `key-${id}`, round));
    expect(await scenario.value(scenario.get(id, `key-${id}`))).toBe(round);
    expect((await scenario.scan(id)).get(`key-${id}`)).toBe(round);
    expect(scenario.nowMs - beganAtMs, `node ${id}, ${round}`).toBeLessThan(msMax);
  }
}

const ring: readonly Line[] = [
  [1, 3],
  [1, 4],
  [2, 4],
  [2, 5],
  [3, 5],
];

describe.each<[string, number, readonly Line[], 'both ways' | 'one way']>([
  ['between the leaders', 3, [[1, 3]], 'both ways'],
  ['from the placement leader to the leader', 3, [[1, 3]], 'one way'],
  ['from the leader to the placement leader', 3, [[3, 1]], 'one way'],
  ['between the leader and a follower', 3, [[2, 3]], 'both ways'],
  ['between the placement leader and a follower', 3, [[1, 2]], 'both ways'],
  ['of five nodes but those of a ring', 5, ring, 'both ways'],
])('lines that are cut: %s', (_what, nodes, lines, way) => {
  test('all nodes take writes, reads and scans, and the leaders stay', async () => {
    const scenario = await ledApart(nodes);
    cut(scenario, lines, way);
    // Nothing is known of it yet.
    await useAll(scenario, 'cut just now', knownMs + callMsMax);
    await scenario.run(knownMs);
    for (const round of ['first', 'second', 'third']) {
      await useAll(scenario, round, callMsMax);
      await scenario.run(quietMs);
    }
    expect([scenario.leaderOf(), scenario.placementLeader]).toEqual([3, 1]);
    scenario.heal();
    await scenario.run(knownMs);
    await useAll(scenario, 'healed', callMsMax);
    expect(scenario.cluster.violations).toEqual([]);
  });
});

test('also a node without a replica of the shard, cut off from both leaders, takes writes', async () => {
  const scenario = await Scenario.formed({ seed: 11, nodes: 5, replicas: 3 });
  await scenario.run(quietMs);
  const { descriptor } = scenario.replica(scenario.leaderOf());
  const outside = scenario.cluster.machines.map(({ id }): number => id).find((id) => nodeOfNone(descriptor, id)) ?? 0;
  const [leader, placementLeader] = descriptor.replicas.map(({ node }) => node);
  await scenario.leadBy(placementLeader, 0);
  await scenario.leadBy(leader);
  await scenario.run(quietMs);
  const lines: readonly Line[] = [leader, placementLeader].map((node) => [outside, node] as const);
  cut(scenario, lines, 'both ways');
  await scenario.run(knownMs);
  await useAll(scenario, 'cut', callMsMax);
});

function nodeOfNone({ replicas }: ShardDescriptor, id: number): boolean {
  return replicas.every(({ node }) => node !== id);
}

/**
 * As many lines as can be cut so that everybody still has a way to everybody else, over a member of the shard if not directly, and sees a
 * majority of all nodes and, who is a member, of the members.
 */
function drawLines(nodes: readonly number[], members: readonly number[], random: Prng): Line[] {
  const all = nodes.flatMap((one) => nodes.filter((other) => one < other).map((other): Line => [one, other]));
  const cutLines: Line[] = [];
  const isOpen = (a: number, b: number): boolean =>
    !cutLines.some((line) => line.includes(a) && line.includes(b) && a !== b);
  const seesMost = (of: readonly number[]) => (node: number) =>
    of.filter((other) => isOpen(node, other)).length * 2 > of.length;
  const hasWay = (a: number, b: number): boolean =>
    isOpen(a, b) || members.some((over) => isOpen(a, over) && isOpen(over, b));
  for (const line of random.shuffle(all)) {
    cutLines.push(line);
    const isEnough = nodes.every((a) => nodes.every((b) => hasWay(a, b)));
    if (!isEnough || !nodes.every(seesMost(nodes)) || !members.every(seesMost(members))) cutLines.pop();
  }
  return cutLines;
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'lines that are cut at random, also while a leader is lost: seed %i',
  async (seed) => {
    const random = new Prng(seed);
    const scenario = await Scenario.formed({ seed, nodes: random.int(3, 5), replicas: 3 });
    await scenario.run(quietMs);
    const nodes = scenario.cluster.machines.map(({ id }): number => id);
    const members = scenario.replica(scenario.leaderOf()).descriptor.replicas.map(({ node }): number => node);
    const lines = drawLines(nodes, members, random);
    expect(lines.length).toBeGreaterThan(0);
    cut(scenario, lines, random.pick(['both ways', 'one way']));
    await scenario.run(knownMs);
    await useAll(scenario, 'cut', callMsMax);
    const lost = scenario.machine(random.pick([scenario.leaderOf(), scenario.placementLeader]));
    lost.crash('none');
    await scenario.run(random.pick([100, knownMs]));
    lost.start();
    await scenario.run(2 * knownMs);
    await useAll(scenario, 'lost', callMsMax);
    expect(scenario.cluster.violations).toEqual([]);
  },
);
