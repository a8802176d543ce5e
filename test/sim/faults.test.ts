/** Every fault, one at a time: it begins, it is met, it ends, and the cluster is whole afterwards. */
import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { beginFault, faultTypes } from '../../src/sim/fault-types.js';
import { isExplainedByRemoval, NodeOperator } from '../../src/sim/node-operator.js';
import { DiskOperator } from '../../src/sim/disk-operator.js';
import { isExplainedByDamage } from '../../src/sim/disk-damage.js';
import { requireRecovery } from '../../src/sim/recovery.js';
import { Scenario } from './scenario.js';

describe.each(faultTypes)('%s', (type) => {
  test('ends without a trace', async () => {
    // A node that is removed needs another in its place.
    const scenario = await Scenario.formed({ seed: 81, nodes: type === 'removeNode' ? 4 : 3, forming: 3 });
    const { cluster } = scenario;
    const machine = scenario.machine(scenario.leaderOf());
    const nodeOperator = new NodeOperator(cluster, new Prng(82));
    const fault = beginFault(type, { cluster, machine, nodeOperator, random: new Prng(81) });
    for (let i = 0; i < 12; i++) {
      for (const { id } of cluster.machines.filter(({ node }) => node !== undefined)) {
        scenario.put(id, `key-${i}`, 'x'.repeat(2000));
      }
      await scenario.run(100);
    }
    await scenario.run(fault?.lastsMs ?? 0);
    expect(fault?.hadEffect?.() ?? true).toBe(true);
    fault?.end();
    for (const failure of cluster.failures) {
      if (!isExplainedByDamage(failure) && !isExplainedByRemoval(failure))
        expect(failure.error.message).toMatch(/io|noSpace/);
    }
    if (machine.isSuspect) {
      const operator = new DiskOperator(cluster, machine, new Prng(81));
      await scenario.until('the node is replaced', () => operator.isOver, 60_000);
      expect(operator.state).toMatch(/done/);
    }
    cluster.startAll();
    // What is under way ends, nodes look for space, connections come up.
    await scenario.run(7000);
    expect(await requireRecovery(cluster)).toBeUndefined();
  });
});
