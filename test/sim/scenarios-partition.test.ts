import { describe, expect, test } from 'vitest';
import { fromUtf8 } from '../../src/base/bytes.js';
import type { Call } from './scenario.js';
import { Scenario } from './scenario.js';

/** An operation ends at its deadline, as seen by the next tick. */
const deadlineSlackMs = 200;

describe('a leader that is cut off from the others', () => {
  test('refuses writes and linearizable reads within the deadline, names the shard, and tells outcomes rightly', async () => {
    const scenario = await Scenario.formed({ seed: 21 });
    const leader = scenario.leaderOf();
    await scenario.written(scenario.put(leader, 'k', 'before'));

    const lastIndex = scenario.replica(leader).lastIndex;
    const proposed = scenario.put(leader, 'k', 'proposed', { timeoutMs: 3000 });
    await scenario.until('the entry is in the log', () => scenario.replica(leader).lastIndex > lastIndex);
    scenario.isolate(leader);
    const cutAtMs = scenario.nowMs;
    const calls = {
      write: scenario.put(leader, 'k', 'later', { timeoutMs: 3000 }),
      read: scenario.get(leader, 'k', 'linearizable', 3000),
    };
    const unknown = await scenario.failed(proposed);
    const write = await scenario.failed(calls.write);
    const read = await scenario.failed(calls.read);

    expect(unknown).toMatchObject({ outcome: 'unknown', shard: 1 });
    expect(write).toMatchObject({ outcome: 'notApplied', shard: 1 });
    expect(read).toMatchObject({ outcome: 'notApplied', shard: 1 });
    for (const call of [proposed, calls.write, calls.read]) {
      expect((call.answeredAtMs ?? Infinity) - cutAtMs).toBeLessThan(3000 + deadlineSlackMs);
    }
    // Also a request that comes when it has long known that it does not lead.
    const late = scenario.put(leader, 'k', 'late', { timeoutMs: 500 });
    expect(await scenario.failed(late)).toMatchObject({ code: 'SHARD_UNAVAILABLE', outcome: 'notApplied', shard: 1 });

    scenario.heal();
    await scenario.ready();
    // What was not applied never is; the unknown one may be.
    expect(['before', 'proposed']).toContain(await scenario.value(scenario.get(leader, 'k')));
  });

  test('leaves the majority to go on within a few election timeouts, and learns what it missed', async () => {
    const scenario = await Scenario.formed({ seed: 22 });
    const leader = scenario.leaderOf();
    const [other] = scenario.others(leader);
    scenario.isolate(leader);
    const cutAtMs = scenario.nowMs;
    const call = scenario.put(other, 'k', 'majority', { timeoutMs: 10_000 });
    await scenario.written(call);
    expect((call.answeredAtMs ?? Infinity) - cutAtMs).toBeLessThan(5000);
    scenario.heal();
    await scenario.ready();
    expect(await scenario.value(scenario.get(leader, 'k'))).toBe('majority');
    const applied = (): number[] => [1, 2, 3].map((id) => scenario.replica(id).appliedIndex);
    await scenario.until('all have applied the same', () => new Set(applied()).size === 1);
    await scenario.cluster.scheduler.complete(scenario.cluster.checkReplicasAgree());
  });

  test('answers stale reads until they could be older than staleReadMsMax', async () => {
    const scenario = await Scenario.formed({ seed: 23, limits: { staleReadMsMax: 4000 } });
    const leader = scenario.leaderOf();
    const [other] = scenario.others(leader);
    await scenario.written(scenario.put(leader, 'k', 'before'));
    for (const node of [1, 2, 3]) {
      await scenario.until(
        'followers have applied',
        () => scenario.replica(node).appliedIndex >= scenario.replica(leader).appliedIndex,
      );
    }
    await scenario.value(scenario.get(leader, 'k'));
    scenario.isolate(leader);
    await scenario.run(2000);
    expect(await scenario.value(scenario.get(leader, 'k', 'stale'))).toBe('before');
    await scenario.written(scenario.put(other, 'k', 'after', { timeoutMs: 10_000 }));
    await scenario.run(4000);
    const refused = await scenario.failed(scenario.get(leader, 'k', 'stale', 500));
    expect(refused).toMatchObject({ code: 'SHARD_UNAVAILABLE', shard: 1 });
    expect(refused.message).toContain('staleReadMsMax');
    expect(await scenario.value(scenario.get(other, 'k', 'stale'))).toBe('after');
  });
});

describe('a follower', () => {
  test('answers stale reads where it has led and only written', async () => {
    const scenario = await Scenario.formed({ seed: 45 });
    const leader = scenario.leaderOf();
    await scenario.written(scenario.put(leader, 'k', 'written'));
    scenario.isolate(leader);
    expect(await scenario.value(scenario.get(leader, 'k', 'stale'))).toBe('written');
  });

  test('that hears its leader but stores nothing does not count as fresh', async () => {
    const scenario = await Scenario.formed({ seed: 24, limits: { staleReadMsMax: 2000 } });
    const leader = scenario.leaderOf();
    const [stalled, other] = scenario.others(leader);
    await scenario.written(scenario.put(leader, 'k', 'before'));
    await scenario.run(500);
    expect(await scenario.value(scenario.get(stalled, 'k', 'stale'))).toBe('before');
    // It goes on to answer heartbeats, which do not wait for the disk.
    scenario.machine(stalled).disk.stall();
    await scenario.written(scenario.put(other, 'k', 'after'));
    await scenario.run(3000);
    expect((await scenario.failed(scenario.get(stalled, 'k', 'stale', 500))).message).toContain('staleReadMsMax');
    scenario.machine(stalled).disk.unstall();
    await scenario.run(1000);
    expect(await scenario.value(scenario.get(stalled, 'k', 'stale'))).toBe('after');
  });

  test('that is not heard by its leader does not count as fresh', async () => {
    const scenario = await Scenario.formed({ seed: 25, limits: { staleReadMsMax: 2000 } });
    const leader = scenario.leaderOf();
    const [mute, other] = scenario.others(leader);
    await scenario.run(500);
    scenario.cluster.network.setLink(scenario.machine(mute).name, scenario.machine(leader).name, { state: 'held' });
    await scenario.run(3000);
    expect((await scenario.failed(scenario.get(mute, 'k', 'stale', 500))).message).toContain('staleReadMsMax');
    scenario.heal();
    await scenario.written(scenario.put(other, 'k', 'after'));
    await scenario.run(1000);
    expect(await scenario.value(scenario.get(mute, 'k', 'stale'))).toBe('after');
  });

  test('does not take messages that were held for new ones', async () => {
    const scenario = await Scenario.formed({ seed: 27, limits: { staleReadMsMax: 2000 } });
    const leader = scenario.leaderOf();
    const other = scenario.placementLeader;
    const [held] = scenario.others(leader).filter((id) => id !== other);
    await scenario.written(scenario.put(leader, 'k', 'before'));
    await scenario.run(500);
    const { network, scheduler } = scenario.cluster;
    network.setLink(scenario.machine(leader).name, scenario.machine(held).name, { state: 'held' });
    // Many heartbeats wait on the link before the entry does.
    await scenario.run(4000);
    await scenario.written(scenario.put(other, 'k', 'after'));
    await scenario.run(2500);
    scenario.heal();
    const calls: Call[] = [];
    for (let ms = 0; ms < 3; ms += 0.02) {
      scheduler.schedule(ms, 'a client reads', () => calls.push(scenario.get(held, 'k', 'stale', 50)));
    }
    await scenario.run(1000);
    const seen = new Set(calls.map(({ result }) => (result?.type === 'found' ? fromUtf8(result.value) : 'refused')));
    expect([...seen]).not.toContain('before');
    expect(seen, 'reads met it before it had caught up').toContain('refused');
    expect(await scenario.value(scenario.get(held, 'k', 'stale'))).toBe('after');
  });
});

describe('a leader that was paused while another took over', () => {
  test.each(['linearizable', 'stale'] as const)('answers no %s read with what it knew', async (consistency) => {
    const scenario = await Scenario.formed({ seed: 26, limits: { staleReadMsMax: 2000 } });
    const leader = scenario.leaderOf();
    const [other] = scenario.others(leader);
    await scenario.written(scenario.put(leader, 'k', 'old'));
    expect(await scenario.value(scenario.get(leader, 'k'))).toBe('old');
    // When it goes on it has heard nothing yet.
    scenario.machine(leader).process?.pause();
    scenario.isolate(leader);
    const pending = [scenario.get(leader, 'k', consistency), scenario.get(leader, 'k', consistency)];
    await scenario.run(100);
    await scenario.written(scenario.put(other, 'k', 'new', { timeoutMs: 10_000 }));
    await scenario.run(4000);
    expect(scenario.replica(leader).isReadyLeader, 'it does not know yet').toBe(true);
    scenario.machine(leader).process?.resume();
    await scenario.run(300);
    expect(scenario.replica(leader).isReadyLeader, 'it still does not know').toBe(true);
    expect(pending.map(({ result }) => result)).toEqual([undefined, undefined]);
    scenario.heal();
    for (const call of pending) {
      const result = await scenario.answer(call);
      if (result.type === 'found') expect(fromUtf8(result.value)).toBe('new');
      else expect(result).toMatchObject({ type: 'failed', error: { shard: 1 } });
    }
    await scenario.ready();
    expect(await scenario.value(scenario.get(leader, 'k', consistency))).toBe('new');
  });
});
