/** Pitfall 11: lines that are cut between some nodes only, or in one direction only, leave one leader, and a stable one. */
import { describe, expect, test } from 'vitest';
import { Scenario } from './scenario.js';

const nodes = [1, 2, 3, 4, 5];
/** A leader finds out within an election timeout that nobody answers; the next election takes another or two. */
const electMsMax = 5000;
const stableMs = 15_000;

/** Whether what `from` sends gets to `to`. Node 1 leads at first. */
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

describe.each(topologies)('%s', (_name, isOpen) => {
  test('has one leader within a bounded time, who stays; healed, every node takes writes', async () => {
    // A group that is quiet has a leader that is not heard: who is cut off from it may replace it once.
    const raft = { quiesceTicks: 0 };
    const scenario = await Scenario.formed({ seed: 11, nodes: nodes.length, replicas: nodes.length, raft });
    const { network } = scenario.cluster;
    await scenario.leadBy(1);
    for (const from of nodes) {
      for (const to of nodes) {
        if (from === to || isOpen(from, to)) continue;
        network.setLink(scenario.machine(from).name, scenario.machine(to).name, { state: 'blocked' });
      }
    }
    await scenario.run(electMsMax);
    const leader = scenario.leaderOf();
    const { term } = scenario.replica(leader);
    await scenario.run(stableMs);
    expect(scenario.leaderOf()).toBe(leader);
    expect(Math.max(...nodes.map((id) => scenario.replica(id).term))).toBe(term);
    expect(nodes.filter((id) => scenario.replica(id).isLeader)).toEqual([leader]);

    scenario.heal();
    await scenario.run(electMsMax);
    for (const id of nodes) await scenario.written(scenario.put(id, `key-${id}`, 'healed'));
    expect(scenario.cluster.raftChecks.violations).toEqual([]);
  });
});
