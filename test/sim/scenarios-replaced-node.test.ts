/** A node that has lost its disk comes back with an empty one, after an operator has had it replaced. */
import { describe, expect, test } from 'vitest';
import { NodeId, placementShardId } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { SimDisk } from '../../src/sim/disk.js';
import { replaceDisk, replacedSeed } from './lost-disk.js';
import { rejoined, votesOn } from './rejoined.js';
import { Scenario } from './scenario.js';

/** How the wish ended, through node `by`: `done`, or what was wrong. */
async function replaced(scenario: Scenario, node: number, by: number, timeoutMs = 30_000): Promise<string> {
  const replacing = scenario.machine(by).node?.replaceNode(NodeId(node), timeoutMs);
  const ended = Promise.resolve(replacing).then(
    () => 'done',
    (error: unknown) => (error as Error).message,
  );
  return scenario.cluster.scheduler.complete(ended, scenario.nowMs + timeoutMs + 10_000);
}

function loseDisk(scenario: Scenario, node: number): SimDisk {
  const machine = scenario.machine(node);
  machine.crash('all');
  const { disk } = machine;
  machine.disk = new SimDisk({ random: new Prng(node) });
  return disk;
}

describe('a node that has lost its disk', () => {
  test('is replaced: it comes back empty under its id, gets all back, and counts again (pitfall 17)', async () => {
    const scenario = await Scenario.formed({ seed: 71, shards: 3 });
    await scenario.run(3000);
    for (let i = 0; i < 20; i++) await scenario.written(scenario.put(1 + (i % 3), `key-${i}`, `value-${i}`));
    const before = votesOn(scenario, 2, 1);
    loseDisk(scenario, 2);
    await scenario.run(3000);
    expect(await replaced(scenario, 2, 1)).toBe('done');
    expect(votesOn(scenario, 2, 1).size).toBe(0);
    await scenario.written(scenario.put(1, 'between', 'written by two'));
    scenario.machine(2).start();
    await rejoined(scenario, 2, 1, 4);
    const after = votesOn(scenario, 2, 1);
    for (const [shard, id] of after) expect(id, `replica of shard ${shard}`).toBeGreaterThan(before.get(shard) ?? 0);
    await scenario.ready();
    // It counts: with another away it makes the majority.
    scenario.machine(1).crash('none');
    await scenario.written(scenario.put(2, 'after', 'written with the new one', { timeoutMs: 30_000 }));
    for (let i = 0; i < 20; i++) {
      expect(await scenario.value(scenario.get(2, `key-${i}`, 'linearizable', 20_000))).toBe(`value-${i}`);
    }
    scenario.machine(1).start();
    await scenario.ready();
    // A restart finds all of it.
    scenario.machine(2).crash('none');
    scenario.machine(2).start();
    await scenario.ready();
    await scenario.run(3000);
    expect(await scenario.cluster.scheduler.complete(scenario.cluster.checkReplicasAgree())).toBe(true);
    expect(scenario.cluster.violations).toEqual([]);
    expect(scenario.machine(1).node?.shardMap().nodes).toHaveLength(3);
  });

  test('and leads the placement group is replaced by the next leader', async () => {
    const scenario = await Scenario.formed({ seed: 72 });
    await scenario.run(3000);
    const lost = scenario.placementLeader;
    const [by] = scenario.others(lost);
    loseDisk(scenario, lost);
    expect(await replaced(scenario, lost, by)).toBe('done');
    scenario.machine(lost).start();
    await rejoined(scenario, lost, by, 2);
    await scenario.leadBy(lost, placementShardId);
    await scenario.written(scenario.put(lost, 'k', 'v'));
  });

  test('and then leads the placement group hands over where one was away that has not heard of it and refuses it', async () => {
    const scenario = await Scenario.formed({ seed: 76, nodes: 5, replicas: 3 });
    // Timestamps are promised by entries of the placement group: with them it is durable that those before are committed.
    for (let i = 0; i < 3; i++) {
      await scenario.run(2000);
      await scenario.written(scenario.put(2, 'k', String(i)));
    }
    scenario.machine(1).crash('none');
    loseDisk(scenario, 3);
    await scenario.run(3000);
    expect(await replaced(scenario, 3, 2)).toBe('done');
    scenario.machine(3).start();
    const hasSeat = (): boolean => votesOn(scenario, 3, 2).has(placementShardId);
    await scenario.until('node 3 votes in the placement group', hasSeat, 30_000);
    await scenario.leadBy(3, placementShardId);
    scenario.machine(1).start();
    const upTo = scenario.replica(2, placementShardId).appliedIndex;
    const isTold = (): boolean =>
      scenario.machine(1).node !== undefined && scenario.replica(1, placementShardId).appliedIndex >= upTo;
    const othersLead = (): boolean => [2, 4, 5].some((node) => scenario.replica(node, placementShardId).isReadyLeader);
    await scenario.until('another leads', othersLead, 20_000);
    await scenario.until('node 1 is told by that one', isTold, 20_000);
    await scenario.written(scenario.put(1, 'k', 'v'));
    // By then node 1 knows it, and it may lead again.
    await scenario.leadBy(3, placementShardId);
    await scenario.run(20_000);
    expect(scenario.placementLeader).toBe(3);
  });

  test('may be started before, be refused, and come back with what it made then', async () => {
    const scenario = await Scenario.formed({ seed: 73 });
    await scenario.run(3000);
    loseDisk(scenario, 3);
    scenario.machine(3).start();
    await scenario.until('it was refused', () => scenario.machine(3).failure !== undefined);
    expect(scenario.machine(3).failure?.message).toMatch(/run `quorate node replace 3` and start it again/);
    await scenario.run(3000);
    expect(await replaced(scenario, 3, 1)).toBe('done');
    scenario.machine(3).start();
    await rejoined(scenario, 3, 1, 2);
  });

  test('is replaced to the end though every node crashes on the way, and though the wish is made twice', async () => {
    const scenario = await Scenario.formed({ seed: 74, shards: 4 });
    await scenario.run(3000);
    loseDisk(scenario, 3);
    await scenario.run(3000);
    const asked = scenario.machine(1).node?.replaceNode(NodeId(3), 1000);
    asked?.catch(() => undefined);
    await scenario.run(500);
    for (const node of [1, 2]) scenario.machine(node).crash('none');
    for (const node of [1, 2]) scenario.machine(node).start();
    await scenario.until('they are up', () => scenario.machine(1).node !== undefined);
    expect(await replaced(scenario, 3, 1)).toBe('done');
    scenario.machine(3).start();
    for (const node of [3, 1, 2, 3]) {
      await scenario.run(700);
      scenario.machine(node).crash('none');
      scenario.machine(node).start();
    }
    await rejoined(scenario, 3, 1, 5);
    expect(await replaced(scenario, 3, 1, 1000)).toMatch(/node 3 is up/);
    expect(scenario.cluster.violations).toEqual([]);
  });

  test('before it registered is replaced as any other', async () => {
    const scenario = Scenario.started({ seed: 83, shards: 2 });
    const said = (what: string, by?: string): boolean =>
      scenario.cluster.log.lines.some(
        ({ message, fields }) => message === what && (by === undefined || fields?.on === by),
      );
    await scenario.until('the cluster is formed', () => said('formed the cluster'));
    const by = scenario.placementLeader;
    const [lost] = scenario.others(by);
    const old = loseDisk(scenario, lost);
    await scenario.run(3000);
    expect(said('the node is registered', `node-${lost}`)).toBe(false);
    expect(await replaced(scenario, lost, by)).toBe('done');
    const fresh = scenario.machine(lost).disk;
    scenario.machine(lost).start();
    await rejoined(scenario, lost, by, 3);
    await scenario.written(scenario.put(lost, 'k', 'v'));
    // The disk that it lost is another one now, which cannot come back.
    scenario.machine(lost).crash('all');
    scenario.machine(lost).disk = old;
    scenario.machine(lost).start();
    await scenario.until('it was refused', () => scenario.machine(lost).failure !== undefined);
    scenario.machine(lost).disk = fresh;
    scenario.machine(lost).start();
    await rejoined(scenario, lost, by, 3);
    expect(scenario.cluster.violations).toEqual([]);
  });

  test('is not what it was: with its old disk it is refused, before and after another took its place', async () => {
    const scenario = await Scenario.formed({ seed: 75 });
    await scenario.run(3000);
    const old = loseDisk(scenario, 2);
    await scenario.run(3000);
    expect(await replaced(scenario, 2, 1)).toBe('done');
    const fresh = scenario.machine(2).disk;
    scenario.machine(2).disk = old;
    scenario.machine(2).start();
    await scenario.run(10_000);
    expect(scenario.machine(1).node?.host.shards.map(({ replica }) => replica.descriptor.replicas.length)).toEqual([
      2, 2,
    ]);
    expect(scenario.cluster.log.text()).toContain('is out of use; start it with an empty one');
    scenario.machine(2).crash('all');
    scenario.machine(2).disk = fresh;
    scenario.machine(2).start();
    await rejoined(scenario, 2, 1, 2);
    scenario.machine(2).crash('all');
    scenario.machine(2).disk = old;
    scenario.machine(2).start();
    await scenario.run(10_000);
    const links = scenario.cluster.log.lines.filter(({ message }) => message === 'refused a peer');
    expect(links.length).toBeGreaterThan(0);
    expect(scenario.replica(1).status().leader).not.toBe(2);
    expect(scenario.cluster.violations).toEqual([]);
  });

  test('has no replica made in its old directory, though a leader asks for one that has not heard of the replacement', async () => {
    const scenario = await Scenario.formed({ seed: 81 });
    await scenario.run(3000);
    const old = scenario.machine(3).node?.identity.storeId;
    loseDisk(scenario, 3);
    await scenario.run(3000);
    expect(await replaced(scenario, 3, 1)).toBe('done');
    const leader = scenario.leaderOf();
    const { host } = scenario.machine(leader).node ?? {};
    if (host === undefined) throw new Error('the leader is down');
    const { storeOf } = host;
    const bound = (): string | undefined =>
      scenario.replica(leader).descriptor.replicas.find(({ node }) => node === 3)?.storeId;
    host.storeOf = () => old;
    const [voters, learners] = [[1, 2].map((node) => NodeId(node)), [NodeId(3)]];
    scenario.replica(leader).changeMembers({ voters, learners }, () => undefined);
    await scenario.until('it is made', () => bound() === old, 300);
    host.storeOf = storeOf;
    scenario.machine(3).start();
    // The placement leader finds it, has it removed, and has another made.
    await rejoined(scenario, 3, 1, 2);
    expect(bound()).toBe(scenario.machine(3).node?.identity.storeId);
    expect(scenario.cluster.violations).toEqual([]);
  });

  test('is replaced again, when it has lost the next one too', async () => {
    const scenario = await Scenario.formed({ seed: 82, shards: 2 });
    await scenario.run(3000);
    for (let round = 0; round < 3; round++) {
      await scenario.written(scenario.put(1, 'round', String(round)));
      loseDisk(scenario, 3);
      await scenario.run(3000);
      expect(await replaced(scenario, 3, 2)).toBe('done');
      scenario.machine(3).start();
      await rejoined(scenario, 3, 1, 3);
    }
    expect(await scenario.value(scenario.get(3, 'round'))).toBe('2');
    expect(scenario.cluster.violations).toEqual([]);
  });

  test('but had only been cut off stops as soon as it reaches the others again', async () => {
    const scenario = await Scenario.formed({ seed: 80, shards: 2 });
    await scenario.run(3000);
    scenario.isolate(3);
    await scenario.run(5000);
    expect(await replaced(scenario, 3, 1)).toBe('done');
    await scenario.run(20_000);
    expect(scenario.machine(3).isUp).toBe(true);
    scenario.heal();
    await scenario.until('it has stopped', () => !scenario.machine(3).isUp, 2000);
    expect(scenario.machine(3).failure?.message).toMatch(
      /^refused by node \d: node 3 was replaced: the data directory [0-9a-f]+ is out of use; start it with an empty one$/,
    );
    scenario.machine(3).disk = new SimDisk({ random: new Prng(3) });
    scenario.machine(3).start();
    await rejoined(scenario, 3, 1, 3);
  });

  test('comes back while another node knows of nothing yet', async () => {
    const scenario = await Scenario.formed({ seed: 76, nodes: 5, replicas: 5 });
    await scenario.run(3000);
    const lost = scenario.others(scenario.placementLeader)[0];
    const [by, late] = scenario.others(lost);
    loseDisk(scenario, lost);
    scenario.machine(late).process?.pause();
    await scenario.run(3000);
    expect(await replaced(scenario, lost, by)).toBe('done');
    scenario.machine(lost).start();
    await scenario.run(2000);
    scenario.machine(late).process?.resume();
    await scenario.run(3000);
    // Who knew nothing may have refused it: then it is started again.
    scenario.machine(lost).start();
    await rejoined(scenario, lost, by, 2);
    expect(scenario.cluster.violations).toEqual([]);
  });
});

test('an empty disk is not let in while a group still counts on the old one (pitfall 17)', async () => {
  const { scenario, found } = await replaceDisk(replacedSeed);
  expect(found).toBe('written');
  expect(scenario.cluster.violations).toEqual([]);
});

describe('a replacement is refused', () => {
  test('of a node that is up, and of one that there is not', async () => {
    const scenario = await Scenario.formed({ seed: 77 });
    await scenario.run(3000);
    expect(await replaced(scenario, 2, 1)).toBe('node 2 is up: stop it first, if it is to be replaced');
    expect(await replaced(scenario, 1, 1)).toBe('node 1 is up: stop it first, if it is to be replaced');
    expect(await replaced(scenario, 9, 1)).toBe('there is no node 9');
  });

  test('where a shard has no majority without the node, or nobody can decide', async () => {
    const scenario = await Scenario.formed({ seed: 78, nodes: 5, replicas: 3, shards: 4 });
    await scenario.run(3000);
    const { shards } = scenario.machine(1).node?.shardMap() ?? { shards: [] };
    const [first, second, ...rest] = shards[0].descriptor.replicas.map(({ node }): number => node);
    for (const node of [first, second]) scenario.machine(node).crash('all');
    await scenario.run(5000);
    expect(await replaced(scenario, first, rest[0])).toMatch(/^shard \d has no majority without node \d: /);
    const third = [1, 2, 3, 4, 5].find((node) => node !== rest[0] && scenario.machine(node).isUp) ?? 0;
    scenario.machine(third).crash('all');
    await scenario.run(5000);
    expect(await replaced(scenario, first, rest[0], 2000)).toMatch(/^node \d is not replaced after 2000 ms: /);
  });

  test('of so many nodes at a time that their empty directories could form a cluster', async () => {
    const scenario = await Scenario.formed({ seed: 79, nodes: 5, replicas: 5 });
    await scenario.run(3000);
    for (const node of [3, 4]) {
      loseDisk(scenario, node);
      await scenario.run(3000);
      expect(await replaced(scenario, node, 1)).toBe('done');
    }
    loseDisk(scenario, 5);
    await scenario.run(3000);
    expect(await replaced(scenario, 5, 1)).toMatch(/wait until nodes 3, 4 have them again/);
    for (const node of [3, 4]) scenario.machine(node).start();
    for (const node of [3, 4]) {
      await scenario.until('it votes', () => votesOn(scenario, node, 1).has(placementShardId), 60_000);
    }
    await scenario.run(3000);
    expect(await replaced(scenario, 5, 1)).toBe('done');
  });
});
