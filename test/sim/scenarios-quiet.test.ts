/** Groups that have nothing to do fall quiet, and wake when there is something, or their leader may be dead. */
import { describe, expect, test } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { NodeId } from '../../src/base/ids.js';
import { Scenario } from './scenario.js';

/** By then leaders have had the few entries dropped with which a cluster forms. */
const housekeepingMs = 30_000;

/** Raft messages that nodes have sent since this was called. */
function countMessages({ cluster }: Scenario): { sent: number } {
  const count = { sent: 0 };
  for (const machine of cluster.machines) {
    const { host } = defined(machine.node, machine.name);
    const { sendRaft } = host;
    host.sendRaft = (node, messages) => {
      count.sent += messages.length;
      sendRaft(node, messages);
    };
  }
  return count;
}

function replicas({ cluster }: Scenario): { readonly isQuiet: boolean }[] {
  return cluster.machines.flatMap(({ node }) => (node?.host.shards ?? []).map(({ replica }) => replica));
}

async function quiet(scenario: Scenario): Promise<void> {
  await scenario.until('all groups are quiet', () => replicas(scenario).every(({ isQuiet }) => isQuiet), 60_000);
}

describe('an idle cluster', () => {
  test('exchanges no Raft message, and stays led', async () => {
    const scenario = await Scenario.formed({ seed: 1, shards: 4 });
    await scenario.run(housekeepingMs);
    await quiet(scenario);
    const leader = scenario.leaderOf();
    const count = countMessages(scenario);
    await scenario.run(60_000);
    expect(count.sent).toBe(0);
    expect(scenario.leaderOf()).toBe(leader);
    expect(replicas(scenario).every(({ isQuiet }) => isQuiet)).toBe(true);
  });

  test('never falls quiet where that is off', async () => {
    const scenario = await Scenario.formed({ seed: 1, raft: { quiesceTicks: 0 } });
    await scenario.run(30_000);
    expect(replicas(scenario).some(({ isQuiet }) => isQuiet)).toBe(false);
  });

  test('takes a write as soon as it comes, and has it on all replicas', async () => {
    const scenario = await Scenario.formed({ seed: 2 });
    await quiet(scenario);
    const atMs = scenario.nowMs;
    const call = scenario.put(1, 'a', '1');
    await scenario.written(call);
    expect(defined(call.answeredAtMs, 'answer') - atMs).toBeLessThan(200);
    await quiet(scenario);
    expect(await scenario.cluster.scheduler.complete(scenario.cluster.checkReplicasAgree())).toBe(true);
  });

  test('answers a linearizable read as soon as it comes', async () => {
    const scenario = await Scenario.formed({ seed: 3 });
    await scenario.written(scenario.put(1, 'a', '1'));
    await quiet(scenario);
    for (const node of [1, 2, 3]) {
      const atMs = scenario.nowMs;
      const call = scenario.get(node, 'a');
      expect(await scenario.value(call)).toBe('1');
      expect(defined(call.answeredAtMs, 'answer') - atMs).toBeLessThan(200);
    }
  });

  test('answers stale reads at followers that have heard nothing for long', async () => {
    const scenario = await Scenario.formed({ seed: 4 });
    await scenario.written(scenario.put(1, 'a', '1'));
    await quiet(scenario);
    await scenario.run(2 * scenario.cluster.limits.staleReadMsMax);
    for (const node of scenario.others(scenario.leaderOf())) {
      const atMs = scenario.nowMs;
      const call = scenario.get(node, 'a', 'stale');
      expect(await scenario.value(call)).toBe('1');
      expect(defined(call.answeredAtMs, 'answer') - atMs).toBeLessThan(1000);
    }
  });
});

describe('a quiet group whose leader', () => {
  test.each([
    ['dies', 3000],
    ['stands still', 6000],
    ['is cut off', 6000],
  ])('%s has another one within %i ms, though nobody asks it anything', async (how, msMax) => {
    const scenario = await Scenario.formed({ seed: 5, shards: 3 });
    await quiet(scenario);
    const dead = scenario.leaderOf();
    const machine = scenario.machine(dead);
    if (how === 'dies') machine.crash('all');
    else if (how === 'stands still') machine.process?.pause();
    else scenario.isolate(dead);
    const isLed = (): boolean => scenario.others(dead).some((id) => scenario.replica(id).isReadyLeader);
    await scenario.until('another replica leads', isLed, msMax);

    machine.process?.resume();
    machine.start();
    scenario.heal();
    await scenario.ready();
    await scenario.written(scenario.put(dead, 'a', '1'));
    // Trusted again, now that it can be reached.
    await scenario.leadBy(dead);
    await quiet(scenario);
  });

  test('hands over is led by the other, and falls quiet for it', async () => {
    const scenario = await Scenario.formed({ seed: 6 });
    await quiet(scenario);
    const [other] = scenario.others(scenario.leaderOf());
    scenario.replica(scenario.leaderOf()).transferLeadership(NodeId(other));
    await scenario.until('the other leads', () => scenario.replica(other).isReadyLeader);
    await quiet(scenario);
    expect(scenario.leaderOf()).toBe(other);
  });
});

test('a node that is down does not keep groups awake, and gets what it missed when it is back', async () => {
  const scenario = await Scenario.formed({ seed: 7 });
  const [away] = scenario.others(scenario.leaderOf());
  scenario.machine(away).crash('all');
  await scenario.run(1000);
  const [node] = scenario.others(away);
  await scenario.written(scenario.put(node, 'a', '1'));
  await quiet(scenario);
  await scenario.run(housekeepingMs);
  expect(replicas(scenario).every(({ isQuiet }) => isQuiet)).toBe(true);
  scenario.machine(away).start();
  await scenario.ready();
  const hasIt = (): boolean => scenario.replica(away).appliedIndex === scenario.replica(node).appliedIndex;
  await scenario.until('it has caught up', hasIt);
  await quiet(scenario);
});
