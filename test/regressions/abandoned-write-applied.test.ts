/**
 * A write whose caller gave up while its batch waited for timestamps was reported as not applied, and then applied
 * when the timestamps came. Found by seed 1011 of the simulator.
 */
import { expect, test } from 'vitest';
import { Scenario } from '../sim/scenario.js';

test('a write that was given up while its batch waited for timestamps is not applied later', async () => {
  const scenario = await Scenario.formed({ seed: 61 });
  const leader = scenario.leaderOf();
  const [placementLeader] = scenario.others(leader);
  await scenario.leadBy(placementLeader, 0);
  await scenario.leadBy(leader);

  // No timestamps for a while, though the shard has its quorum.
  scenario.machine(placementLeader).process?.pause();
  const givenUp = scenario.put(leader, 'given-up', 'v', { timeoutMs: 200 });
  const kept = scenario.put(leader, 'kept', 'v', { timeoutMs: 20_000 });
  expect(await scenario.failed(givenUp)).toMatchObject({ outcome: 'notApplied', shard: 1 });
  expect(kept.result).toBeUndefined();
  scenario.machine(placementLeader).process?.resume();

  // They were of one batch: it got its timestamps.
  await scenario.written(kept);
  expect(scenario.nowMs - (givenUp.answeredAtMs ?? 0), 'the batch was not tried again').toBeLessThan(500);
  await scenario.run(2000);
  expect(await scenario.value(scenario.get(leader, 'given-up'))).toBeUndefined();
});
