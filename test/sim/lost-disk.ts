import { defined } from '../../src/base/assert.js';
import { Prng } from '../../src/base/prng.js';
import { SimDisk } from '../../src/sim/disk.js';
import { Scenario } from './scenario.js';

/** Any will do. */
export const lostDiskSeed = 61;

interface LostDisk {
  readonly scenario: Scenario;
  /** Of node 2. */
  readonly disk: SimDisk;
  /** What a read through node 3 finds in the end; the write is `written`. */
  readonly found: string | undefined;
}

/**
 * A write is acknowledged by nodes 1 and 2. Node 2 loses its disk and comes back empty, when only node 3 can be reached,
 * which knows nothing of what those two have committed. Were 2 and 3 to take themselves for a majority, they would commit
 * other entries in its place. Then node 1 is back.
 */
export async function loseDisk(seed: number): Promise<LostDisk> {
  const scenario = await Scenario.formed({ seed });
  await scenario.leadBy(1);
  await scenario.leadBy(1, 0);
  // Each has learned by then with which disk the others have joined.
  await scenario.run(5000);
  scenario.isolate(3);
  await scenario.written(scenario.put(1, 'k', 'written'));
  const lost = scenario.machine(2);
  lost.crash('all');
  const { disk } = lost;
  lost.disk = new SimDisk({ random: new Prng(seed) });
  scenario.heal();
  scenario.isolate(1);
  lost.start();
  await scenario.run(10_000);
  scenario.heal();
  const found = await scenario.value(scenario.get(3, 'k', 'linearizable', 30_000));
  return { scenario, disk, found };
}

/** Any will do, too. */
export const replacedSeed = 62;

/**
 * A shard is on three of five nodes, of which the first and the third cannot reach each other: a write is acknowledged by the first
 * two. The second loses its disk and is to be replaced, through a node that can reach all; but its old replica cannot leave the shard,
 * since no majority can agree on that. Were it let in with an empty disk all the same, it would be a majority together with the third.
 */
export async function replaceDisk(seed: number): Promise<Omit<LostDisk, 'disk'>> {
  const scenario = await Scenario.formed({ seed, nodes: 5, replicas: 3 });
  const { replicas } = defined(scenario.machine(1).node?.shardMap().shards[0], 'shard').descriptor;
  const [first, second, third] = replicas.map(({ node }): number => node);
  const [fourth] = scenario.others(first).filter((node) => node !== second && node !== third);
  await scenario.leadBy(first);
  await scenario.leadBy(fourth, 0);
  await scenario.run(5000);
  const { network } = scenario.cluster;
  const block = (a: number, b: number): void =>
    network.partition([[scenario.machine(a).name], [scenario.machine(b).name]]);
  block(first, third);
  await scenario.written(scenario.put(first, 'k', 'written'));
  const lost = scenario.machine(second);
  lost.crash('all');
  await scenario.run(2500);
  const replacing = scenario.machine(fourth).node?.replaceNode(lost.id, 5000);
  replacing?.catch(() => undefined);
  await scenario.run(5000);
  scenario.isolate(first);
  lost.disk = new SimDisk({ random: new Prng(seed) });
  lost.start();
  await scenario.run(15_000);
  scenario.heal();
  await scenario.run(1000);
  lost.start();
  const found = await scenario.value(scenario.get(third, 'k', 'linearizable', 30_000));
  return { scenario, found };
}
