/** Replicas of shards that come to nodes and leave them, in whole nodes. */
import { describe, expect, test } from 'vitest';
import { LogIndex, NodeId, ReplicaId, ShardId, Term } from '../../src/base/ids.js';
import type { RaftMessage } from '../../src/raft/types.js';
import { tombstoneOf } from '../../src/node/replicas/tombstones.js';
import { Scenario } from './scenario.js';

/** Four nodes, of which three have replicas of the shard. */
function formed(seed: number, options: { nodes?: number; replicas?: number } = {}): Promise<Scenario> {
  return Scenario.formed({ seed, nodes: 4, replicas: 3, ...options });
}

/** Nodes with a replica of the shard, as node `from` has it in its map. */
function nodesInMap(scenario: Scenario, from: number): number[] {
  const { shards } = scenario.machine(from).node?.shardMap() ?? { shards: [] };
  return (shards[0]?.descriptor.replicas ?? []).map(({ node }): number => node).sort((a, b) => a - b);
}

/** Nodes that have a replica of the shard, and the ids of these. */
function replicasOn(scenario: Scenario): Map<number, number> {
  const found = new Map<number, number>();
  for (const { id, node } of scenario.cluster.machines) {
    const hosted = node?.host.shard(ShardId(1));
    if (hosted !== undefined) found.set(id, hosted.replica.replicaId);
  }
  return found;
}

async function foldersOn(scenario: Scenario, node: number): Promise<string[]> {
  return (await scenario.machine(node).disk.list('/data/shards')).sort();
}

async function changed(scenario: Scenario, voters: readonly number[], learners: readonly number[] = []): Promise<void> {
  const wish = scenario.changeMembers({ voters, learners });
  await scenario.until('the members have changed', () => wish.isDone, 30_000);
}

function without(nodes: readonly number[], ...gone: number[]): number[] {
  return nodes.filter((node) => !gone.includes(node));
}

describe('the replicas of a shard', () => {
  test('move from node to node while operations go on, and the map follows', async () => {
    const scenario = await formed(51);
    const nodes = [...replicasOn(scenario).keys()];
    const [newcomer] = without([1, 2, 3, 4], ...nodes);
    for (let i = 0; i < 20; i++) await scenario.written(scenario.put(1 + (i % 4), `key-${i}`, `value-${i}`));
    const leaver = without(nodes, scenario.leaderOf())[0];
    const removed = scenario.replica(leaver).replicaId;
    const stay = [...without(nodes, leaver), newcomer].sort((a, b) => a - b);
    await changed(scenario, stay);
    expect(scenario.replica(newcomer).replicaId).toBe(4);
    await scenario.until('the one that left is gone', () => !replicasOn(scenario).has(leaver), 30_000);
    await scenario.run(1000);
    const [placement, grave, ...more] = await foldersOn(scenario, leaver);
    expect([placement, more]).toEqual(['0', []]);
    expect(tombstoneOf(grave)?.nextReplica).toBeGreaterThan(removed);
    for (const node of [1, 2, 3, 4]) {
      await scenario.until(`the map of node ${node} follows`, () => nodesInMap(scenario, node).join() === stay.join());
    }
    for (let i = 0; i < 20; i++) {
      expect(await scenario.value(scenario.get(1 + (i % 4), `key-${i}`))).toBe(`value-${i}`);
    }
    // The majority is of the new members: two of them are enough.
    const others = without(stay, newcomer);
    scenario.machine(others[0]).crash('none');
    await scenario.written(scenario.put(newcomer, 'a', '1'));
    scenario.machine(others[0]).start();
    await scenario.ready();
    await scenario.run(2000);
    expect(await scenario.cluster.scheduler.complete(scenario.cluster.checkReplicasAgree())).toBe(true);
  });

  test('are handed over before the one that leads leaves', async () => {
    const scenario = await formed(52);
    const nodes = [...replicasOn(scenario).keys()];
    const [newcomer] = without([1, 2, 3, 4], ...nodes);
    const leader = scenario.leaderOf();
    const stay = [...without(nodes, leader), newcomer];
    const calls = Array.from({ length: 50 }, (_, i) => scenario.put(1 + (i % 4), `key-${i}`, String(i)));
    await changed(scenario, stay);
    for (const call of calls) await scenario.written(call);
    expect(stay).toContain(scenario.leaderOf());
    const lines = scenario.cluster.log.text();
    expect(lines).toContain('hands over before it leaves');
    await scenario.until('it is gone', () => !replicasOn(scenario).has(leader), 30_000);
  });

  test('that are added again on the same node have other ids', async () => {
    const scenario = await formed(53, { nodes: 3 });
    await changed(scenario, without([1, 2, 3], 3));
    await scenario.until('it is gone', () => !replicasOn(scenario).has(3), 30_000);
    await scenario.written(scenario.put(1, 'a', '1'));
    await changed(scenario, [1, 2, 3]);
    expect(scenario.replica(3).replicaId).toBe(4);
    await scenario.until('it has the data', () => scenario.replica(3).standing === 'member');
    await changed(scenario, [1, 2]);
    await changed(scenario, [1, 2, 3]);
    // Whether the second of them was ever on the node or not.
    await scenario.until('it is there', () => replicasOn(scenario).get(3) === 5, 30_000);
    scenario.machine(3).crash('none');
    scenario.machine(3).start();
    await scenario.ready();
    expect(replicasOn(scenario).get(3)).toBe(5);
    expect((await foldersOn(scenario, 3)).filter((name) => name.startsWith('1.gone'))).toEqual(['1.gone-5']);
  });

  test('that were removed while they were away disturb nobody, and go when they are back (pitfall 16)', async () => {
    const scenario = await formed(54);
    const nodes = [...replicasOn(scenario).keys()];
    const leaver = without(nodes, scenario.leaderOf())[0];
    const stay = without(nodes, leaver);
    scenario.isolate(leaver);
    await scenario.run(3000);
    await changed(scenario, stay);
    await scenario.run(10_000);
    const term = scenario.replica(scenario.leaderOf()).term;
    scenario.heal();
    await scenario.until('it was told', () => !replicasOn(scenario).has(leaver), 30_000);
    expect(scenario.replica(scenario.leaderOf()).term).toBe(term);
    expect(scenario.cluster.log.text()).toContain('a replica was told that it was removed');
    await scenario.run(5000);
    expect(replicasOn(scenario).has(leaver)).toBe(false);
  });

  test('never come back by messages that are late, not even after a restart (pitfall 17)', async () => {
    const scenario = await formed(55);
    const nodes = [...replicasOn(scenario).keys()];
    const leader = scenario.leaderOf();
    const leaver = without(nodes, leader)[0];
    const removed = scenario.replica(leaver).replicaId;
    const { term } = scenario.replica(leader);
    const from = scenario.replica(leader).replicaId;
    await changed(scenario, without(nodes, leaver));
    await scenario.until('it is gone', () => !replicasOn(scenario).has(leaver), 30_000);
    for (const restarts of [0, 1]) {
      if (restarts > 0) {
        scenario.machine(leaver).crash('none');
        scenario.machine(leaver).start();
        await scenario.ready();
      }
      const commit = LogIndex(1);
      const rest = { term, commit, leaderCommit: commit, probe: 0, readRound: 1, quiesce: false };
      const message = { type: 'heartbeat', from, to: removed, ...rest } as const;
      scenario.machine(leaver).node?.host.step(NodeId(leader), [{ shard: ShardId(1), message }]);
      await scenario.run(5000);
      expect(replicasOn(scenario).has(leaver)).toBe(false);
    }
    expect(scenario.cluster.log.text()).toContain('a message for a replica that was removed');
  });

  test('that are made for a message remember their term, vote for nobody, and go if nobody wants them (pitfall 27)', async () => {
    const scenario = await formed(57);
    const nodes = [...replicasOn(scenario).keys()];
    const [spare] = without([1, 2, 3, 4], ...nodes);
    const leader = scenario.leaderOf();
    const from = scenario.replica(leader).replicaId;
    const to = ReplicaId(9);
    const receive = (message: RaftMessage): void =>
      scenario.machine(spare).node?.host.step(NodeId(leader), [{ shard: ShardId(1), message }]);
    const rest = { commit: LogIndex(0), leaderCommit: LogIndex(1), probe: 0, readRound: 1, quiesce: false };
    const heartbeat = { type: 'heartbeat', from, to, term: Term(20), ...rest } as const;
    receive(heartbeat);
    await scenario.until('it is made', () => replicasOn(scenario).get(spare) === 9);
    receive(heartbeat);
    await scenario.run(200);
    scenario.machine(spare).crash('none');
    scenario.machine(spare).start();
    await scenario.until('it is there again', () => replicasOn(scenario).get(spare) === 9);
    expect(scenario.replica(spare).term).toBe(20);
    expect(scenario.replica(spare).standing).toBe('unfilled');
    const log = { lastLogIndex: LogIndex(5), lastLogTerm: Term(3) };
    receive({ type: 'voteRequest', from: ReplicaId(8), to, term: Term(21), transfer: true, ...log });
    await scenario.run(200);
    expect(scenario.replica(spare).status()).toMatchObject({ term: 20, vote: 0 });
    // It has promised nothing, so that nothing has to be remembered.
    await scenario.until('it is gone', () => !replicasOn(scenario).has(spare), 120_000);
    await scenario.run(1000);
    expect(await foldersOn(scenario, spare)).toEqual(['0']);
  });

  test('are changed by asking any node, though the leader leaves; what cannot be is refused by name', async () => {
    const scenario = await formed(58);
    // Every node is in the registry.
    await scenario.run(2000);
    const nodes = [...replicasOn(scenario).keys()];
    const leader = scenario.leaderOf();
    const [newcomer] = without([1, 2, 3, 4], ...nodes);
    const change = (voters: readonly number[], shard = 1): Promise<unknown> => {
      const members = { voters: voters.map((node) => NodeId(node)), learners: [] };
      const changing = scenario.machine(newcomer).node?.changeReplicas({ shard: ShardId(shard), members }, 30_000);
      const ended = Promise.resolve(changing).then(
        () => 'done',
        (error: unknown) => (error as Error).message,
      );
      return scenario.cluster.scheduler.complete(ended, scenario.nowMs + 40_000);
    };
    const stay = [...without(nodes, leader), newcomer];
    expect(await change(stay)).toBe('done');
    expect(stay).toContain(scenario.leaderOf());
    expect(await change([1, 9])).toBe('replicas: there is no node 9');
    expect(await change([1, 2], 7)).toBe('there is no shard 7');
    expect(await change([1, 2], 0)).toMatch(/placement group/);
  });

  test('may be learners: they have the data, and decide nothing', async () => {
    const scenario = await formed(56);
    const nodes = [...replicasOn(scenario).keys()];
    const [newcomer] = without([1, 2, 3, 4], ...nodes);
    await changed(scenario, nodes, [newcomer]);
    await scenario.written(scenario.put(newcomer, 'a', '1'));
    const standing = (): string | undefined =>
      scenario.machine(newcomer).node?.host.shard(ShardId(1))?.replica.standing;
    await scenario.until('it has the data', () => standing() === 'member');
    for (const node of without(nodes, scenario.leaderOf())) scenario.machine(node).crash('none');
    await scenario.run(10_000);
    expect(scenario.replica(newcomer).isLeader).toBe(false);
    expect(
      [1, 2, 3, 4].filter((node) => scenario.machine(node).node?.host.shard(ShardId(1))?.replica.isReadyLeader),
    ).toEqual([]);
  });
});
