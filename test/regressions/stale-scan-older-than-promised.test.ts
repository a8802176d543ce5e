/**
 * A stale scan chose its timestamp when it began, by what the replica had then, and read there when the replica could
 * show that it was current: on a node that had just started, it showed what it had missed as if it had not happened.
 * Found by seed 8 of the simulator.
 */
import { expect, test } from 'vitest';
import { Scenario } from '../sim/scenario.js';

test('a stale scan on a node that was down shows what was written meanwhile', async () => {
  const scenario = await Scenario.formed({ seed: 71, limits: { staleReadMsMax: 1000 } });
  const leader = scenario.leaderOf();
  const [follower] = scenario.others(leader);
  await scenario.written(scenario.put(leader, 'k', 'old'));
  await scenario.run(500);
  scenario.machine(follower).crash('all');
  await scenario.written(scenario.put(leader, 'k', 'new', { timeoutMs: 20_000 }));
  await scenario.run(5000);

  scenario.machine(follower).start();
  await scenario.until('the node is up', () => scenario.machine(follower).node !== undefined);
  const found = await scenario.scan(follower, { consistency: 'stale' });
  expect(Object.fromEntries(found)).toEqual({ k: 'new' });
});

test('a stale scan at a timestamp of the caller shows that moment', async () => {
  const scenario = await Scenario.formed({ seed: 72 });
  const [follower] = scenario.others(scenario.leaderOf());
  const readTs = await scenario.written(scenario.put(1, 'k', 'old'));
  await scenario.written(scenario.put(1, 'k', 'new'));
  await scenario.run(500);
  expect(Object.fromEntries(await scenario.scan(follower, { consistency: 'stale', readTs }))).toEqual({ k: 'old' });
});
