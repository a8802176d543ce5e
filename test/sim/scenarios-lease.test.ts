/** Reads under a lease of the leader (`raft.leaderLease`). */
import { describe, expect, test } from 'vitest';
import { Scenario } from './scenario.js';

const leaderLease = true;

/** A leader that has just heard from a majority, and is cut off from it. */
async function cutOff(raft: { leaderLease: boolean }): Promise<{ scenario: Scenario; leader: number }> {
  const scenario = await Scenario.formed({ seed: 11, raft });
  await scenario.run(2000);
  const leader = scenario.leaderOf();
  await scenario.written(scenario.put(leader, 'a', '1'));
  await scenario.run(200);
  scenario.isolate(leader);
  return { scenario, leader };
}

describe('a leader', () => {
  test('answers under its lease without the others', async () => {
    const { scenario, leader } = await cutOff({ leaderLease });
    const call = scenario.get(leader, 'a', 'linearizable', 200);
    expect(await scenario.value(call)).toBe('1');
  });

  test('without leases asks the others', async () => {
    const { scenario, leader } = await cutOff({ leaderLease: false });
    await scenario.failed(scenario.get(leader, 'a', 'linearizable', 200));
  });

  test('does not answer when the lease is over', async () => {
    const { scenario, leader } = await cutOff({ leaderLease });
    await scenario.run(400);
    await scenario.failed(scenario.get(leader, 'a', 'linearizable', 200));
  });

  test('that stood still answers nothing old when it goes on', async () => {
    const { scenario, leader } = await cutOff({ leaderLease });
    const { process } = scenario.machine(leader);
    const call = scenario.get(leader, 'a', 'linearizable', 10_000);
    process?.pause();
    const [other] = scenario.others(leader);
    await scenario.written(scenario.put(other, 'a', '2'));
    scenario.heal();
    process?.resume();
    expect(await scenario.value(call)).toBe('2');
  });
});

test('a restarted cluster and one that hands over keep serving with leases', async () => {
  const scenario = await Scenario.formed({ seed: 12, raft: { leaderLease } });
  const [, other] = scenario.others(scenario.leaderOf());
  await scenario.leadBy(other);
  await scenario.written(scenario.put(1, 'a', '1'));
  for (const machine of scenario.cluster.machines) machine.crash('none');
  scenario.cluster.startAll();
  await scenario.ready();
  expect(await scenario.value(scenario.get(2, 'a'))).toBe('1');
});
