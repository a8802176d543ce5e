/**
 * Entries are dropped when their leader proposes it, and it did so for few of them only when its own log was long. The
 * placement group's entries kept all of the log on the nodes that took writes, for as long as a node led it that took
 * none. Found by seed 1029 of the simulator.
 */
import { expect, test } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { ShardId } from '../../src/base/ids.js';
import { Scenario } from '../sim/scenario.js';

test('a quiet shard that is led by a quiet node does not keep the logs of the others', async () => {
  const scenario = await Scenario.formed({ seed: 74, nodes: 5, shards: 1 });
  const { machines, limits } = scenario.cluster;
  const hosts = machines.filter(({ node }) => node?.host.shard(ShardId(1)) !== undefined);
  const quiet = machines.filter((machine) => !hosts.includes(machine));
  const leads = (): boolean => quiet.some(({ id }) => scenario.replica(id, 0).isReadyLeader);
  for (let tries = 0; tries < 20 && !leads(); tries++) {
    scenario.replica(scenario.placementLeader, 0).transferLeadership();
    await scenario.run(1000);
  }
  expect(leads()).toBe(true);

  const [writer] = hosts;
  for (let i = 0; i < 1500; i++) await scenario.written(scenario.put(writer.id, `key-${i % 50}`, 'x'.repeat(1000)));
  await scenario.run(20_000);
  expect(leads()).toBe(true);
  for (const { node, name } of hosts) {
    const { bytes } = defined(node, name).host.logStats;
    expect(bytes, name).toBeLessThan(limits.logBytesFlush + 2 * limits.segmentBytesMax);
  }
});
