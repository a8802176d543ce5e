/**
 * Pitfall 11: lines that are cut between some nodes only, or in one direction only, leave one leader, and a stable one; and every
 * node takes writes that has a way to it.
 */
import { describe, expect, test } from 'vitest';
import { placementShardId } from '../../src/base/ids.js';
import { Scenario } from './scenario.js';

const nodes = [1, 2, 3, 4, 5];
/** A leader finds out within an election timeout that nobody answers; the next election takes another or two. */
const electMsMax = 5000;
/** Who was elected hands over to the preferred leader, if it is another one and has been well for so long. */
const handOverMsMax = 10_000;
const stableMs = 15_000;
/** Long enough for groups to fall quiet in between. */
const writesEveryMs = 5000;
const writeMsMax = 1000;

/** Whether what `from` sends gets to `to`. Node 1 leads the shard at first, node 4 the placement group. */
type Topology = (from: number, to: number) => boolean;

const topologies: readonly (readonly [string, Topology])[] = [
  [
    'a bridge: two halves see each other through node 3 only',
    (from, to) => from === 3 || to === 3 || from < 3 === to < 3,
  ],
  ['a bridge that leads', (from, to) => from === 1 || to === 1 || from < 4 === to < 4],
  ['a ring: each sees its two neighbours', (from, to) => [1, 4].includes(Math.abs(from - to))],
  ['a leader that hears nobody', (_from, to) => to !== 1],
  ['a leader that nobody hears', (from) => from !== 1],
  ['a follower that hears nobody', (_from, to) => to !== 2],
  ['a follower that nobody hears', (from) => from !== 2],
];

/** What is asked and answered needs both directions. From a node to the next ones, and over one of them, is a way. */
function hasWay(isOpen: Topology, from: number, to: number): boolean {
  const isLine = (a: number, b: number): boolean => a === b || (isOpen(a, b) && isOpen(b, a));
  return nodes.some((over) => isLine(from, over) && isLine(over, to));
}

describe.each(topologies)('%s', (_name, isOpen) => {
  test('has one leader within a bounded time, who stays; writes go on through all who have a way, and healed, through all', async () => {
    const scenario = await Scenario.formed({ seed: 11, nodes: nodes.length, replicas: nodes.length });
    const { network } = scenario.cluster;
    await scenario.leadBy(4, placementShardId);
    await scenario.leadBy(1);
    for (const from of nodes) {
      for (const to of nodes) {
        if (from === to || isOpen(from, to)) continue;
        network.setLink(scenario.machine(from).name, scenario.machine(to).name, { state: 'blocked' });
      }
    }
    await scenario.run(electMsMax);
    expect(scenario.leaderOf()).toBeGreaterThan(0);
    await scenario.run(handOverMsMax);
    const leader = scenario.leaderOf();
    const { term } = scenario.replica(leader);
    const writers = nodes.filter((id) => hasWay(isOpen, id, leader));
    expect(writers.length).toBeGreaterThanOrEqual(4);
    for (let atMs = 0; atMs < stableMs; atMs += writesEveryMs) {
      for (const id of writers)
        await scenario.written(scenario.put(id, `key-${id}`, `cut, ${atMs}`, { timeoutMs: writeMsMax }));
      await scenario.run(writesEveryMs);
    }
    expect(scenario.leaderOf()).toBe(leader);
    expect(Math.max(...nodes.map((id) => scenario.replica(id).term))).toBe(term);
    expect(nodes.filter((id) => scenario.replica(id).isLeader)).toEqual([leader]);

    scenario.heal();
    await scenario.run(electMsMax);
    for (const id of nodes) await scenario.written(scenario.put(id, `key-${id}`, 'healed'));
    expect(scenario.cluster.violations).toEqual([]);
  });
});
