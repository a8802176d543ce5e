/** Which lines between machines the faults of the network change. */
import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { runTurns } from '../../src/platform/turns.js';
import { SimCluster } from '../../src/sim/cluster.js';
import { beginFault } from '../../src/sim/fault-types.js';
import type { FaultType } from '../../src/sim/fault-types.js';
import { NodeOperator } from '../../src/sim/node-operator.js';

const seeds = 1000;

/** The directions that are not open while the fault lasts that this seed draws. */
function drawnLinks(type: FaultType, nodes: number, seed: number): string[] {
  const cluster = new SimCluster({ seed, runTurns, nodes });
  const random = new Prng(seed);
  const nodeOperator = new NodeOperator(cluster, random.split('nodes'));
  beginFault(type, { cluster, machine: random.pick(cluster.machines), nodeOperator, random });
  return directions(nodes).filter((direction) => {
    const [from, to] = direction.split('>').map((id) => cluster.machine(Number(id)).name);
    return cluster.network.link(from, to).state !== 'open';
  });
}

function directions(nodes: number): string[] {
  const ids = Array.from({ length: nodes }, (_, i) => i + 1);
  return ids.flatMap((from) => ids.filter((to) => to !== from).map((to) => `${from}>${to}`));
}

/** What was ever drawn with so many directions, each set of them once. */
function drawnOfSize(type: FaultType, nodes: number, size: number): string[] {
  const drawn = Array.from({ length: seeds }, (_, seed) => drawnLinks(type, nodes, seed));
  return [...new Set(drawn.filter((links) => links.length === size).map((links) => links.join(' ')))].sort();
}

test('a partition of five machines is a ring in every order by some seed; of three each machine sees nobody, or one other', () => {
  expect(drawnOfSize('partition', 5, 10)).toHaveLength(12);
  // Halves of six machines have as many lines between them as a ring lacks.
  for (const nodes of [4, 5, 7, 8]) {
    const [links] = drawnOfSize('partition', nodes, nodes * (nodes - 3));
    for (let id = 1; id <= nodes; id++)
      expect(links.split(' ').filter((link) => link.startsWith(`${id}>`))).toHaveLength(nodes - 3);
  }
  expect(drawnOfSize('partition', 3, 4)).toHaveLength(3);
});

describe.each([3, 5])('of %i machines', (nodes) => {
  test('each two are cut off from each other alone by some seed', () => {
    const lines = directions(nodes).filter((direction) => direction[0] < direction[2]);
    const cut = lines.map(([a, , b]) => `${a}>${b} ${b}>${a}`);
    expect(drawnOfSize('isolate', nodes, 2)).toEqual(cut.sort());
  });

  test.each(['oneWay', 'hold', 'longHold'] as const)('each direction alone meets %s by some seed', (type) => {
    expect(drawnOfSize(type, nodes, 1)).toEqual(directions(nodes).sort());
  });

  test('each is cut off from all others by some seed', () => {
    expect(drawnOfSize('isolate', nodes, 2 * (nodes - 1))).toHaveLength(nodes);
  });
});
