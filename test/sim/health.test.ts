/** Whether the load of a run has run, as far as its machines were well. */
import { expect, test } from 'vitest';
import { runTurns } from '../../src/platform/turns.js';
import { checkLoad, Health } from '../../src/sim/health.js';
import { simulate } from '../../src/sim/run.js';
import { Scenario } from './scenario.js';

test('a majority that is well counts; who stands still, is slow, stalled, full, down or not to be reached is none of it', async () => {
  const scenario = await Scenario.formed({ seed: 71 });
  const [one, two, three] = scenario.cluster.machines;
  const health = new Health(scenario.cluster);
  health.start();
  const secondsIn = async (ms: number): Promise<number> => {
    const before = health.seconds;
    await scenario.run(ms);
    return health.seconds - before;
  };
  expect(await secondsIn(5000)).toBe(5);
  one.process?.pause();
  expect(await secondsIn(5000)).toBeGreaterThan(2);
  two.disk.quotaBytes = two.disk.usedBytes();
  expect(await secondsIn(5000)).toBe(0);
  two.disk.quotaBytes = Infinity;
  two.disk.slowness = 100;
  expect(await secondsIn(5000)).toBe(0);
  two.disk.slowness = 1;
  two.disk.stall();
  expect(await secondsIn(1000)).toBe(0);
  two.disk.unstall();
  three.crash('all');
  expect(await secondsIn(5000)).toBe(0);
  one.process?.resume();
  expect(await secondsIn(5000)).toBeGreaterThan(2);
  // Two are left, and what one says to the other is held.
  scenario.cluster.network.setLink(one.name, two.name, { state: 'held' });
  expect(await secondsIn(5000)).toBe(0);
  three.start();
  await scenario.run(5000);
  expect(await secondsIn(5000), 'with the third both can speak').toBeGreaterThan(2);
  scenario.heal();
  health.stop();
  expect(await secondsIn(5000)).toBe(0);
});

test('where the machines were well, more than one operation must have succeeded', () => {
  expect(checkLoad(0, 0)).toMatch(/^0 operations were done in 0 s/);
  expect(checkLoad(1, 0)).toBeUndefined();
  expect(checkLoad(1, 40)).toMatch(/too few to mean anything/);
  expect(checkLoad(40, 40)).toBeUndefined();
});

test('a run whose clients hardly call fails, though nothing is wrong', async () => {
  const actions = { one: 10, batch: 0, scan: 0, staleRead: 0, staleScan: 0, atomicBatch: 0 };
  const plan = {
    nodes: 3,
    workload: { clients: 1, keys: 4, thinkMsMax: 20_000, valueBytes: 8, actions },
    faults: { types: [], gapMsMax: 1000, lastsMsMax: 1000 },
  };
  const { failure } = await simulate({ seed: 4, runTurns, nowMs: () => performance.now(), faultMs: 20_000, plan });
  expect(failure).toMatch(/^\d operations were done in (19|20)(\.5)? s in which \d+ could be/);
});
