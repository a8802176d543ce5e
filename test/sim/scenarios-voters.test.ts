/** Shards whose voters change, in whole nodes. */
import { describe, expect, test } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';
import { NodeId } from '../../src/base/ids.js';
import { Scenario, type Wish } from './scenario.js';

function formed(seed: number, shards = 1): Promise<Scenario> {
  return Scenario.formed({ seed, nodes: 5, replicas: 5, shards });
}

/** Begins at the leader, and goes on at the next one where it hands over; the others learn. */
function change(scenario: Scenario, voters: readonly number[], shard = 1): Wish {
  return scenario.changeMembers({ voters, learners: all.filter((node) => !voters.includes(node)) }, shard);
}

async function changed(scenario: Scenario, voters: readonly number[], shard = 1): Promise<void> {
  await scenario.ready();
  const wish = change(scenario, voters, shard);
  await scenario.until('the voters have changed', () => wish.isDone, 20_000);
}

function votersOn(scenario: Scenario, node: number, shard = 1): number[] {
  const { replicas, configuration } = scenario.replica(node, shard).descriptor;
  const voters = replicas.filter(({ replica }) => configuration.voters.includes(replica)).map(({ node: on }) => on);
  return voters.sort((a, b) => a - b);
}

const all = [1, 2, 3, 4, 5];

describe('the voters of a shard', () => {
  test.each([
    ['one less', [[1, 2, 3, 4], all]],
    ['several less, and others', [[1, 2, 3], [3, 4, 5], all]],
    ['one alone, then another', [[2], [4], all]],
  ])('%s: replicas agree on them, writes go on', async (_, sets) => {
    const scenario = await formed(21);
    let n = 0;
    for (const voters of sets) {
      await changed(scenario, voters);
      for (const node of all) await scenario.written(scenario.put(node, `key-${n}`, String(++n)));
      const know = (): boolean => all.every((node) => votersOn(scenario, node).join() === voters.join());
      await scenario.until('all know', know);
      expect(voters).toContain(scenario.leaderOf());
    }
    await scenario.run(2000);
    expect(await scenario.cluster.scheduler.complete(scenario.cluster.checkReplicasAgree())).toBe(true);
  });

  test('of the placement group change too', async () => {
    const scenario = await formed(22);
    await changed(scenario, [1, 2, 3], 0);
    await changed(scenario, [3, 4, 5], 0);
    await scenario.written(scenario.put(1, 'a', '1'));
  });

  test('are remembered over a loss of power of all machines, and decide', async () => {
    const scenario = await formed(23);
    const voters = [1, 2, 3];
    await changed(scenario, voters);
    await scenario.written(scenario.put(1, 'a', '1'));
    for (const machine of scenario.cluster.machines) machine.crash('none');
    // Three of five replicas, but one of three voters.
    for (const node of [3, 4, 5]) scenario.machine(node).start();
    await scenario.run(10_000);
    for (const node of [3, 4, 5]) expect(scenario.replica(node).isReadyLeader).toBe(false);
    scenario.machine(2).start();
    await scenario.until('it has opened', () => scenario.machine(2).node !== undefined);
    await scenario.until('a voter leads', () => [2, 3].some((node) => scenario.replica(node).isReadyLeader));
    expect(await scenario.value(scenario.get(5, 'a'))).toBe('1');
  });

  test('are not those who lag: a learner votes when it has caught up', async () => {
    const scenario = await formed(24);
    await changed(scenario, [1, 2, 3]);
    scenario.isolate(4);
    await scenario.run(3000);
    await scenario.written(scenario.put(1, 'a', '1'));
    const wish = change(scenario, [1, 2, 3, 4]);
    await scenario.run(3000);
    expect(wish.isDone).toBe(false);
    scenario.heal();
    await scenario.until('it votes', () => wish.isDone, 20_000);
  });

  test('in a joint configuration whose leader died are what it was to become', async () => {
    const scenario = await formed(25);
    const leader = scenario.leaderOf();
    const stay = scenario.others(leader).slice(0, 2);
    const voters = [leader, ...stay].sort((a, b) => a - b);
    let end: QuorateError | undefined;
    const learners = all.filter((node) => !voters.includes(node)).map((node) => NodeId(node));
    scenario.replica(leader).changeMembers({ voters: voters.map((node) => NodeId(node)), learners }, (error) => {
      end = error;
    });
    const isJoint = (node: number): boolean =>
      scenario.replica(node).descriptor.configuration.votersOutgoing.length > 0;
    await scenario.until('somebody has the joint configuration', () => stay.some(isJoint));
    scenario.machine(leader).crash('none');
    await scenario.until('it is left', () => stay.every((node) => votersOn(scenario, node).join() === voters.join()));
    // Nobody asked the next leader to.
    expect(end).toBeUndefined();
    await scenario.written(scenario.put(stay[0], 'a', '1'));
  });

  test('are not said to be those that are wished for by a leader that a majority may have left', async () => {
    const scenario = await formed(26);
    const leader = scenario.leaderOf();
    const voters = votersOn(scenario, leader).map((node) => NodeId(node));
    const learners = all.filter((node) => !voters.includes(NodeId(node))).map((node) => NodeId(node));
    const ends: (QuorateError | undefined)[] = [];
    const ask = (): void => {
      scenario.replica(leader).changeMembers({ voters, learners }, (error) => ends.push(error));
    };
    ask();
    await scenario.until('it is said', () => ends.length === 1);
    expect(ends).toEqual([undefined]);
    scenario.isolate(leader);
    ask();
    await scenario.until('another one leads', () => scenario.others(leader).includes(scenario.leaderOf()), 20_000);
    await scenario.until('it leads no more', () => ends.length === 2, 20_000);
    expect(ends[1]).toMatchObject({ code: 'NOT_LEADER' });
  });

  test('come with a Raft snapshot, for who was away when they changed', async () => {
    const scenario = await formed(27);
    const leader = scenario.leaderOf();
    const [away, learner, ...stay] = scenario.others(leader);
    const voters = [leader, ...stay].sort((a, b) => a - b);
    scenario.machine(away).crash('none');
    const wish = change(scenario, voters);
    await scenario.until('the voters have changed', () => wish.isDone, 20_000);
    for (let i = 0; i < 400; i++) await scenario.written(scenario.put(leader, `key-${i % 100}`, 'x'.repeat(200)));

    scenario.machine(away).start();
    const hasSnapshot = (): boolean => scenario.machine(away).node?.snapshotStats.received.installed === 1;
    await scenario.until('it has the Raft snapshot', hasSnapshot, 20_000);
    expect(votersOn(scenario, away)).toEqual(voters);
    const { descriptor, snapshots } = scenario.replica(away);
    expect(snapshots.configuration).toEqual(descriptor.configuration);
    // It goes on with the changes that come after.
    const others = [away, learner, leader].sort((a, b) => a - b);
    await changed(scenario, others);
    await scenario.until('it knows', () => votersOn(scenario, away).join() === others.join());
    scenario.machine(away).crash('none');
    scenario.machine(away).start();
    await scenario.ready();
    await scenario.until('it knows again', () => votersOn(scenario, away).join() === others.join());
    await scenario.run(2000);
    expect(await scenario.cluster.scheduler.complete(scenario.cluster.checkReplicasAgree())).toBe(true);
  });

  test('are asked for of the leader', async () => {
    const scenario = await formed(26);
    const follower = scenario.replica(scenario.others(scenario.leaderOf())[0]);
    const members = { voters: [NodeId(1)], learners: [] };
    expect(() => follower.changeMembers(members, () => undefined)).toThrow(QuorateError);
    const nobody = { voters: [], learners: [NodeId(1)] };
    const leader = scenario.replica(scenario.leaderOf());
    expect(() => leader.changeMembers(nobody, () => undefined)).toThrow(/needs a voter/);
  });
});
