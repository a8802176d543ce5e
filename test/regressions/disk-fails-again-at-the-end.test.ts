/**
 * A node that stopped because its disk failed closed its log, which failed too: a rejection that nobody handled, and
 * nobody learned that the node had stopped. Found by seed 5249 of the simulator.
 */
import { expect, test } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { Scenario } from '../sim/scenario.js';

test('a node whose log cannot be closed has stopped all the same, for the first reason', async () => {
  const scenario = await Scenario.formed({ seed: 75 });
  const machine = scenario.machine(scenario.leaderOf());
  let failures = 0;
  machine.disk.fault = (operation, path) => {
    if (operation !== 'write' || !path.includes('/log/')) return undefined;
    failures++;
    return 'io';
  };
  // Its commit index is written when the log is closed.
  defined(machine.node, 'node').fail(new Error('the first reason'));
  await scenario.until('the process has ended', () => !machine.isUp);
  expect(machine.failure?.message).toBe('the first reason');
  expect(failures).toBeGreaterThan(0);
});
