/**
 * A node connected to another one only when it had something to say to it. Two nodes that share no shard have not, so
 * the first question for the status of the cluster found no connection, and showed a node as dead that was not. Found
 * by seed 7 of the simulator.
 */
import { expect, test } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { Scenario } from '../sim/scenario.js';

test('every node of five sees every other one live when it is first asked', async () => {
  const scenario = await Scenario.formed({ seed: 73, nodes: 5, shards: 1 });
  // Nobody votes for anybody here: a follower has nothing to say to another one.
  for (const machine of scenario.cluster.machines) machine.crash('all');
  scenario.cluster.startAll();
  await scenario.ready();
  await scenario.run(2000);
  for (const { node, name } of scenario.cluster.machines) {
    const asked = defined(node, name).status(1000);
    const { nodes } = await scenario.cluster.scheduler.complete(asked, scenario.nowMs + 5000);
    expect(
      nodes.filter(({ live }) => !live).map(({ id }) => id),
      `dead for ${name}`,
    ).toEqual([]);
  }
});
