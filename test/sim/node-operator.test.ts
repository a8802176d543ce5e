/** Nodes that are added, used and removed by an operator, as random seeds have it. */
import { expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { runTurns } from '../../src/platform/turns.js';
import { isLossOfDisk } from '../../src/sim/fault-types.js';
import { NodeOperator } from '../../src/sim/node-operator.js';
import { simulate } from '../../src/sim/run.js';
import { drawPlan } from '../../src/sim/swarm.js';
import { Scenario } from './scenario.js';

test('nodes come and go while clients work, and replicas are where they should be in the end', async () => {
  const shape = { nodes: 3, replicas: 3, shards: 2, limits: {}, raft: {} } as const;
  const faults = { types: ['addNode', 'removeNode'], gapMsMax: 800, lastsMsMax: 1000 } as const;
  const plan = { ...shape, faults };
  const run = await simulate({ seed: 5, runTurns, nowMs: () => performance.now(), faultMs: 60_000, plan });
  expect(run.failure).toBeUndefined();
  const { addNode, removeNode } = run.faults;
  expect([addNode, removeNode, run.coverage.addedNodeUsed].every((count) => count > 0)).toBe(true);
});

test('a node is removed only where its replicas have a place, and fewer than half of the founders are', async () => {
  const scenario = await Scenario.formed({ seed: 6 });
  const operator = new NodeOperator(scenario.cluster, new Prng(6));
  expect(operator.remove()).toBeUndefined();
  const added = operator.add();
  expect(operator.state).toBe('node-4 is joining');
  expect(operator.remove()).toBeUndefined();
  await scenario.until('it is a member', () => operator.isIdle, 60_000);
  expect(added?.hadEffect?.()).toBe(true);
  const removed = operator.remove();
  await scenario.until('another has gone', () => operator.isIdle, 60_000);
  expect(removed?.hadEffect?.()).toBe(true);
  expect(operator.check()).toBeUndefined();
  expect(scenario.cluster.raftChecks.violations).toEqual([]);
});

test('a run in which nodes come and go has no other operator', () => {
  const plans = Array.from({ length: 200 }, (_, seed) => drawPlan(seed).faults.types);
  const withNodes = plans.filter((types) => types.includes('addNode'));
  expect(withNodes.length).toBeGreaterThan(10);
  for (const types of withNodes) {
    expect(types).not.toContain('changeMembers');
    expect(types.some(isLossOfDisk)).toBe(false);
  }
});
