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
  const run = await simulate({ seed: 5, runTurns, nowMs: () => performance.now(), faultMs: 30_000, plan });
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
  expect(scenario.cluster.violations).toEqual([]);
});

test('nodes join when a founder is gone', async () => {
  const scenario = await Scenario.formed({ seed: 7, nodes: 4, forming: 3 });
  const operator = new NodeOperator(scenario.cluster, new Prng(3));
  operator.remove();
  const gone = operator.state;
  await scenario.until('a founder has gone', () => operator.isIdle, 90_000);
  expect(gone).toMatch(/^node-[123] is removing$/);
  expect(scenario.cluster.inService).toHaveLength(3);
  expect(operator.add()).toBeDefined();
  await scenario.until('a node has joined', () => operator.isIdle, 90_000);
  await scenario.until('all is as it should be', () => operator.check() === undefined);
  expect(scenario.cluster.violations).toEqual([]);
});

test('a node whose disk may be lost is not removed, and counts as an empty founder', async () => {
  const scenario = await Scenario.formed({ seed: 8, nodes: 5, forming: 3 });
  const [victim] = scenario.cluster.machines;
  const operator = new NodeOperator(scenario.cluster, new Prng(8), victim);
  // Of three founders one may be empty.
  operator.remove();
  expect(operator.state).toMatch(/^node-[45] is removing$/);
});

test('a run in which nodes come and go may lose a disk, and has no other operator', () => {
  const plans = Array.from({ length: 500 }, (_, seed) => drawPlan(seed).faults.types);
  const withNodes = plans.filter((types) => types.includes('addNode'));
  expect(withNodes.length).toBeGreaterThan(10);
  for (const types of withNodes) expect(types).not.toContain('changeMembers');
  expect(withNodes.some((types) => types.some(isLossOfDisk))).toBe(true);
});
