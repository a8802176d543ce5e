/** Clusters of more nodes than the placement group has voters, nodes that join later, and nodes that go. */
import { describe, expect, test } from 'vitest';
import { NodeId, placementShardId, ShardId } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import type { ReplicaDescriptor } from '../../src/shard/descriptor.js';
import { roleOf } from '../../src/shard/member-changes.js';
import { SimDisk } from '../../src/sim/disk.js';
import { Scenario } from './scenario.js';

/** How the wish ended, through node `by`: `done`, or what was wrong. */
async function removed(scenario: Scenario, node: number, by: number, timeoutMs = 60_000): Promise<string> {
  const removing = scenario.machine(by).node?.removeNode(NodeId(node), timeoutMs);
  const ended = Promise.resolve(removing).then(
    () => 'done',
    (error: unknown) => (error as Error).message,
  );
  return scenario.cluster.scheduler.complete(ended, scenario.nowMs + timeoutMs + 10_000);
}

/** What each node is in the group, by its leader: `1v 2v 3v 4l`. */
function members(scenario: Scenario, shard: number): string {
  const { replicas, configuration } = scenario.replica(scenario.leaderOf(shard), shard).descriptor;
  const roles = replicas.map(({ node, replica }) => `${node}${roleOf(configuration, replica)[0]}`);
  return roles.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)).join(' ');
}

function replicasOf(scenario: Scenario, shard: number): readonly ReplicaDescriptor[] {
  return scenario.replica(scenario.leaderOf(shard), shard).descriptor.replicas;
}

function replicasOn(scenario: Scenario, node: number): number {
  const map = scenario.machine(1).node?.shardMap().shards ?? [];
  return map.filter(({ descriptor }) => descriptor.replicas.some((replica) => replica.node === node)).length;
}

/** Every replica that is up says the same at the end. */
async function agrees(scenario: Scenario): Promise<void> {
  await scenario.run(3000);
  expect(await scenario.cluster.scheduler.complete(scenario.cluster.checkReplicasAgree())).toBe(true);
  expect(scenario.cluster.violations).toEqual([]);
}

describe('a cluster of seven nodes', () => {
  test('is ready, with five voters of the placement group, and shards on all of them', async () => {
    const scenario = await Scenario.formed({ seed: 301, nodes: 7, shards: 7 });
    expect(members(scenario, placementShardId)).toBe('1v 2v 3v 4v 5v 6l 7l');
    for (const node of [1, 2, 3, 4, 5, 6, 7]) {
      expect(replicasOn(scenario, node)).toBeGreaterThan(0);
      await scenario.written(scenario.put(node, `key-${node}`, 'value'));
      expect(await scenario.value(scenario.get(8 - node, `key-${node}`))).toBe('value');
    }
    for (const { node } of scenario.cluster.machines) {
      expect(node?.shardMap().nodes.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    }
    await agrees(scenario);
  });

  test('has a learner of the placement group vote in place of a voter that is replaced', async () => {
    const scenario = await Scenario.formed({ seed: 302, nodes: 6, shards: 2 });
    await scenario.run(3000);
    scenario.machine(2).crash('all');
    await scenario.run(3000);
    const replacing = scenario.machine(1).node?.replaceNode(NodeId(2), 30_000);
    await scenario.cluster.scheduler.complete(Promise.resolve(replacing), scenario.nowMs + 40_000);
    expect(members(scenario, placementShardId)).toBe('1v 3v 4v 5v 6v');
    // What an operator wishes for would be undone when the node comes back.
    const { node } = scenario.machine(1);
    const lost = node?.shardMap().shards.map(({ descriptor }) => descriptor) ?? [];
    const shard = lost.find(({ replicas }) => replicas.length === 2)?.shard ?? ShardId(0);
    const members3 = { voters: [1, 3, 4].map((id) => NodeId(id)), learners: [] };
    const refused = await scenario.cluster.scheduler.complete(
      Promise.resolve(node?.changeReplicas({ shard, members: members3 }, 5000)).catch((error: unknown) => error),
      scenario.nowMs + 10_000,
    );
    expect(String(refused)).toMatch(/node 2 is being replaced or removed, which would undo this for shard \d/);
    const status = await scenario.cluster.scheduler.complete(
      Promise.resolve(scenario.machine(1).node?.status(1000)),
      scenario.nowMs + 3000,
    );
    expect(status?.nodes.map(({ stage }) => stage)).toEqual([
      undefined,
      'vacant',
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    await agrees(scenario);
  });
});

describe('a node that joins a cluster', () => {
  test('gets the shard map, serves requests, and may have replicas', async () => {
    const scenario = await Scenario.formed({ seed: 303, nodes: 4, forming: 3 });
    expect(members(scenario, placementShardId)).toBe('1v 2v 3v 4l');
    await scenario.written(scenario.put(4, 'k', 'through the new one'));
    const wish = scenario.changeMembers({ voters: [1, 2, 4] });
    await scenario.until('node 4 votes', () => wish.isDone, 30_000);
    scenario.machine(4).crash('none');
    scenario.machine(4).start();
    await scenario.ready();
    scenario.machine(1).crash('none');
    await scenario.written(scenario.put(4, 'k', 'with the new one', { timeoutMs: 30_000 }));
    scenario.machine(1).start();
    await scenario.ready();
    await agrees(scenario);
  });
});

/** A member of the placement group, as it sees itself, and ready. */
function isIn(scenario: Scenario, id: number): boolean {
  const { node } = scenario.machine(id);
  const hasReplica = node?.host.shard(placementShardId)?.replica.standing === 'member';
  return hasReplica && node?.isReady === true && node.shardMap().nodes.some((known) => known.id === id);
}

/** The founder `out` goes, so that the added node, which the others' configurations do not name, votes in its place; and leads. */
async function ledByAdded(scenario: Scenario, added: number, out: number): Promise<void> {
  expect(await removed(scenario, out, 1)).toBe('done');
  await scenario.until('the removed node has stopped', () => !scenario.machine(out).isUp, 10_000);
  await scenario.until(`node ${added} votes`, () => members(scenario, placementShardId).includes(`${added}v`), 30_000);
  await scenario.leadBy(added, placementShardId);
}

/** The node loses its disk, is replaced, and comes again with an empty one. */
async function comesBackEmpty(scenario: Scenario, id: number, by: number): Promise<void> {
  scenario.machine(id).crash('all');
  await scenario.run(3000);
  const replacing = Promise.resolve(scenario.machine(by).node?.replaceNode(NodeId(id), 30_000));
  await scenario.cluster.scheduler.complete(replacing, scenario.nowMs + 40_000);
  scenario.machine(id).disk = new SimDisk({ random: new Prng(id) });
  scenario.machine(id).start();
}

describe('while a node leads the placement group that did not form the cluster', () => {
  test('another one joins, which never got in: it was told who leads, and not where', async () => {
    const scenario = await Scenario.formed({ seed: 308, nodes: 4, forming: 3 });
    await ledByAdded(scenario, 4, 3);
    scenario.cluster.addMachine().start();
    await scenario.until('node 5 is in', () => isIn(scenario, 5), 30_000);
    expect(scenario.placementLeader).toBe(4);
    await scenario.written(scenario.put(5, 'k', 'through the new one'));
    await agrees(scenario);
  });

  test('another one joins that is restarted before it has the registry', async () => {
    const scenario = await Scenario.formed({ seed: 309, nodes: 4, forming: 3 });
    await ledByAdded(scenario, 4, 3);
    scenario.cluster.addMachine().start();
    const isRegistered = (): boolean =>
      scenario
        .machine(4)
        .node?.shardMap()
        .nodes.some(({ id }) => id === NodeId(5)) === true;
    await scenario.until('node 5 is registered', isRegistered, 30_000);
    expect(isIn(scenario, 5)).toBe(false);
    scenario.machine(5).crash('none');
    scenario.machine(5).start();
    await scenario.until('node 5 is in', () => isIn(scenario, 5), 30_000);
    expect(scenario.placementLeader).toBe(4);
    await agrees(scenario);
  });

  test('a founder that has lost its disk comes back', async () => {
    const scenario = await Scenario.formed({ seed: 310, nodes: 6, forming: 5 });
    await ledByAdded(scenario, 6, 5);
    await comesBackEmpty(scenario, 2, 1);
    await scenario.until('node 2 is in', () => isIn(scenario, 2), 60_000);
    expect(scenario.placementLeader).toBe(6);
    await agrees(scenario);
  });

  test('an added node that has lost its disk comes back', async () => {
    const scenario = await Scenario.formed({ seed: 311, nodes: 5, forming: 3 });
    await ledByAdded(scenario, 4, 3);
    await comesBackEmpty(scenario, 5, 1);
    await scenario.until('node 5 is in', () => isIn(scenario, 5), 60_000);
    expect(scenario.placementLeader).toBe(4);
    await agrees(scenario);
  });

  test('a node that was away while that one was added comes back', async () => {
    const scenario = await Scenario.formed({ seed: 312, nodes: 5, replicas: 5 });
    scenario.machine(2).crash('all');
    scenario.cluster.addMachine().start();
    await scenario.until('node 6 is in', () => isIn(scenario, 6), 30_000);
    await ledByAdded(scenario, 6, 5);
    scenario.machine(2).start();
    const known = (): string =>
      String(
        scenario
          .machine(2)
          .node?.shardMap()
          .nodes.map(({ id }) => id),
      );
    await scenario.until('node 2 knows who is there', () => known() === '1,2,3,4,6', 30_000);
    expect(scenario.placementLeader).toBe(6);
    await agrees(scenario);
  });
});

describe('a node that is removed', () => {
  test('gives its replicas and its seat to others, is out of everything, and stops', async () => {
    const scenario = await Scenario.formed({ seed: 304, nodes: 4, forming: 3, shards: 3 });
    for (let i = 0; i < 20; i++) await scenario.written(scenario.put(1 + (i % 4), `key-${i}`, `value-${i}`));
    expect(replicasOn(scenario, 3)).toBe(3);
    expect(await removed(scenario, 3, 1)).toBe('done');
    await scenario.until('it has stopped', () => !scenario.machine(3).isUp, 10_000);
    expect(scenario.machine(3).failure?.message).toMatch(/^refused by node \d: node 3 was removed from the cluster: /);
    for (const shard of [placementShardId, 1, 2, 3]) expect(members(scenario, shard)).toBe('1v 2v 4v');
    const { node } = scenario.machine(1);
    expect(node?.shardMap().nodes.map(({ id }) => id)).toEqual([1, 2, 4]);
    for (let i = 0; i < 20; i++) expect(await scenario.value(scenario.get(4, `key-${i}`))).toBe(`value-${i}`);
    // Again is without effect; with its directory it does not come back.
    expect(await removed(scenario, 3, 2, 1000)).toBe('done');
    scenario.machine(3).start();
    await scenario.until('it has stopped again', () => scenario.machine(3).failure !== undefined, 10_000);
    expect(await removed(scenario, 4, 1)).toMatch(/^shard 1 has replicas on nodes .*: add a node, or give/);
    await agrees(scenario);
  });

  test('hands over the only replica that there is of a shard', async () => {
    const scenario = await Scenario.formed({ seed: 313, nodes: 4, forming: 3, shards: 3, replicas: 1 });
    for (let i = 0; i < 20; i++) await scenario.written(scenario.put(1 + (i % 4), `key-${i}`, `value-${i}`));
    expect(replicasOn(scenario, 3)).toBeGreaterThan(0);
    expect(await removed(scenario, 3, 1)).toBe('done');
    await scenario.until('it has stopped', () => !scenario.machine(3).isUp, 10_000);
    for (const shard of [1, 2, 3]) expect(members(scenario, shard)).toMatch(/^[124]v$/);
    for (let i = 0; i < 20; i++) expect(await scenario.value(scenario.get(4, `key-${i}`))).toBe(`value-${i}`);
    await agrees(scenario);
  });

  test('is not removed again when it has come again, by a wish that comes late', async () => {
    const scenario = await Scenario.formed({ seed: 314, nodes: 5, forming: 3 });
    await scenario.run(3000);
    const by = scenario.placementLeader;
    const { process, node } = scenario.machine(scenario.others(by).find((other) => other <= 3) ?? 0);
    process?.pause();
    let late = 'is on its way';
    process?.enter(() => {
      node?.removeNode(NodeId(5), 5000).then(
        () => (late = 'done'),
        (error: unknown) => (late = (error as Error).message),
      );
    });
    expect(await removed(scenario, 5, by)).toBe('done');
    await scenario.until('it has stopped', () => !scenario.machine(5).isUp);
    scenario.machine(5).disk = new SimDisk({ random: new Prng(5) });
    scenario.machine(5).start();
    await scenario.until('it is in again', () => isIn(scenario, 5), 30_000);
    process?.resume();
    await scenario.until('the wish has ended', () => late !== 'is on its way', 20_000);
    expect(late).toMatch(/^node 5 is not removed after 5000 ms/);
    expect(scenario.machine(5).isUp).toBe(true);
    expect(
      scenario
        .machine(by)
        .node?.shardMap()
        .nodes.map(({ id }) => id),
    ).toEqual([1, 2, 3, 4, 5]);
    await agrees(scenario);
  });

  test('is down, leads the placement group, and is gone though the next leaders crash on the way', async () => {
    const scenario = await Scenario.formed({ seed: 305, nodes: 5, forming: 5, shards: 4 });
    await scenario.run(3000);
    const leader = scenario.placementLeader;
    const [by, ...rest] = scenario.others(leader);
    scenario.machine(leader).crash('all');
    await scenario.run(3000);
    const asked = scenario.machine(by).node?.removeNode(NodeId(leader), 1000);
    asked?.catch(() => undefined);
    for (let round = 0; round < 3; round++) {
      await scenario.run(700);
      const next = scenario.placementLeader;
      scenario.machine(next).crash('none');
      scenario.machine(next).start();
      await scenario.run(3000);
    }
    const isGone = (): boolean =>
      rest.every(
        (node) =>
          scenario
            .machine(node)
            .node?.shardMap()
            .nodes.every(({ id }) => id !== leader) === true,
      );
    await scenario.until('it is gone', isGone, 60_000);
    expect(replicasOn(scenario, leader)).toBe(0);
    expect(await removed(scenario, leader, by, 1000)).toBe('done');
    await agrees(scenario);
  });

  test('goes at the same time as another one, and each shard has as many voters as before', async () => {
    const scenario = await Scenario.formed({ seed: 306, nodes: 7, forming: 5, shards: 4 });
    await scenario.run(3000);
    const second = scenario.machine(4).node?.removeNode(NodeId(2), 60_000);
    expect(await removed(scenario, 1, 3)).toBe('done');
    await scenario.cluster.scheduler.complete(Promise.resolve(second), scenario.nowMs + 60_000);
    for (const shard of [1, 2, 3, 4]) expect(members(scenario, shard)).toMatch(/^[3-7]v [3-7]v [3-7]v$/);
    await agrees(scenario);
  });

  test('gives its replicas to others, when the command is given again, where one that was to get them dies', async () => {
    const scenario = await Scenario.formed({ seed: 307, nodes: 5, forming: 3, shards: 1 });
    await scenario.run(3000);
    scenario
      .machine(1)
      .node?.removeNode(NodeId(3), 60_000)
      .catch(() => undefined);
    const hasFour = (): boolean => replicasOf(scenario, 1).some(({ node }) => node === 4);
    await scenario.until('node 4 has a replica', hasFour, 20_000);
    scenario.machine(4).crash('all');
    await scenario.run(5000);
    expect(members(scenario, 1)).toBe('1v 2v 3v 4l');
    expect(await removed(scenario, 3, 1)).toBe('done');
    expect(members(scenario, 1)).toBe('1v 2v 5v');
    scenario.machine(4).start();
    await scenario.run(20_000);
    expect(scenario.machine(4).node?.host.shard(ShardId(1))).toBeUndefined();
    await agrees(scenario);
  });
});
