import { describe, expect, test } from 'vitest';
import type { Call } from './scenario.js';
import { Scenario } from './scenario.js';

/** Keeps putting `key-<i>` at all nodes in turn; answers come in later. */
function putMany(scenario: Scenario, count: number): { readonly key: string; readonly call: Call }[] {
  return Array.from({ length: count }, (_, i) => {
    const key = `key-${i}`;
    return { key, call: scenario.put((i % 3) + 1, key, `value of ${key}`, { timeoutMs: 20_000 }) };
  });
}

async function expectAcknowledged(scenario: Scenario, puts: readonly { key: string; call: Call }[]): Promise<number> {
  const acknowledged = puts.filter(({ call }) => call.result?.type === 'written');
  const found = await scenario.scan(1);
  for (const { key } of acknowledged) expect(found.get(key)).toBe(`value of ${key}`);
  return acknowledged.length;
}

describe('power loss', () => {
  test.each([31, 32, 33])('of all three nodes at once keeps everything acknowledged (seed %i)', async (seed) => {
    const scenario = await Scenario.formed({ seed, shards: 2 });
    const puts = putMany(scenario, 60);
    await scenario.until('half are answered', () => puts.filter(({ call }) => call.result !== undefined).length >= 30);
    const more = putMany(scenario, 90).slice(60);
    await scenario.run(1);
    for (const machine of scenario.cluster.machines) machine.crash('none');
    scenario.cluster.startAll();
    await scenario.ready();
    expect(await expectAcknowledged(scenario, [...puts, ...more])).toBeGreaterThanOrEqual(30);
  });

  test('a node that lost its disk is refused under its old identity, and the others go on', async () => {
    const scenario = await Scenario.formed({ seed: 34 });
    await scenario.written(scenario.put(1, 'k', 'kept'));
    await scenario.run(1000);
    const lost = scenario.machine(3);
    lost.crash('all');
    await lost.disk.removeTree('/data');
    lost.start();
    await scenario.until('the node that lost its disk has stopped', () => lost.failure !== undefined);
    expect(lost.failure).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(lost.failure?.message).toMatch(
      /^refused by node [12]: node 3 joined with .* give it its disk back, or run `quorate node replace 3` and start it again$/,
    );
    const refusals = scenario.cluster.log.lines.filter(({ fields }) => /lost its disk/.test(String(fields.reason)));
    expect(refusals.map(({ message }) => message)).toContain('refused a peer');
    await scenario.written(scenario.put(1, 'k', 'changed'));
    expect(await scenario.value(scenario.get(2, 'k'))).toBe('changed');
  });
});

describe('a write is acknowledged only when a majority has synced it', () => {
  test('with the disks of both followers stalled it waits, and goes on after', async () => {
    const scenario = await Scenario.formed({ seed: 35 });
    const leader = scenario.leaderOf();
    await scenario.leadBy(leader, 0);
    await scenario.run(1000);
    for (const id of scenario.others(leader)) scenario.machine(id).disk.stall();
    const call = scenario.put(leader, 'k', 'v', { timeoutMs: 20_000 });
    await scenario.run(3000);
    expect(call.result).toBeUndefined();
    for (const id of scenario.others(leader)) scenario.machine(id).disk.unstall();
    await scenario.written(call);
  });

  test('where the only node is the majority, when that has', async () => {
    const scenario = await Scenario.formed({ seed: 55, nodes: 1 });
    const { disk } = scenario.machine(1);
    disk.stall();
    const write = scenario.put(1, 'k', 'written');
    await scenario.run(3000);
    expect(write.result).toBeUndefined();
    disk.unstall();
    await scenario.written(write);
    scenario.machine(1).crash('none');
    scenario.machine(1).start();
    await scenario.ready();
    expect(await scenario.value(scenario.get(1, 'k'))).toBe('written');
  });

  test('one stalled follower of two makes no difference', async () => {
    const scenario = await Scenario.formed({ seed: 36 });
    const leader = scenario.leaderOf();
    const [stalled] = scenario.others(leader);
    scenario.machine(stalled).disk.stall();
    const call = scenario.put(leader, 'k', 'v');
    const askedAtMs = scenario.nowMs;
    await scenario.written(call);
    expect((call.answeredAtMs ?? Infinity) - askedAtMs).toBeLessThan(2000);
  });

  test("while the leader's own disk stalls nothing is acknowledged there; it hands over, and what the others stored is done", async () => {
    const scenario = await Scenario.formed({ seed: 37 });
    const leader = scenario.leaderOf();
    const [other] = scenario.others(leader);
    // Whoever issues timestamps must be able to say so durably now and then.
    await scenario.leadBy(other, 0);
    await scenario.run(1000);
    scenario.machine(leader).disk.stall();
    const requestId = scenario.newRequestId();
    const there = scenario.put(leader, 'k', 'v', { timeoutMs: 6000, requestId });
    await scenario.until('another leads', () => scenario.replica(other).leaderNode !== leader, 3000);
    // The same write, asked for at the new leader: the two others had stored it.
    await scenario.written(scenario.put(other, 'k', 'v', { requestId }));
    expect(await scenario.value(scenario.get(other, 'k'))).toBe('v');
    // A replica applies, and answers, only what its own log has durably.
    expect(await scenario.failed(there)).toMatchObject({ outcome: 'unknown', shard: 1 });
    scenario.machine(leader).disk.unstall();
    await scenario.ready();
    expect(await scenario.value(scenario.get(leader, 'k'))).toBe('v');
  });
});

describe("a leader's disk that syncs no more", () => {
  test('has it hand over what nobody writes to as well, as soon as one shard shows it', async () => {
    const scenario = await Scenario.formed({ seed: 38, shards: 3 });
    const all = [0, 1, 2, 3];
    for (const shard of all) await scenario.leadBy(1, shard);
    await scenario.run(3000);
    scenario.machine(1).disk.stall();
    const stalledAtMs = scenario.nowMs;
    scenario.put(1, 'k', 'v');
    const isOver = (): boolean => all.every((shard) => scenario.replica(2, shard).leaderNode !== 1);
    await scenario.until('others lead all shards', isOver, 5000);
    expect(scenario.nowMs - stalledAtMs).toBeLessThan(2000);
    for (const id of [1, 2, 3]) await scenario.written(scenario.put(id, 'k', String(id)));
  });
});

/** Tables are soon written, and little of them stays in memory. */
const limits = { memtableBytesMax: 4096, logBytesFlush: 16 * 1024, blockCacheBytesMax: 16 * 1024 };

describe("a leader's disk that answers no lookup", () => {
  /** The shard has tables, of which nothing is in memory after a restart; its leader's disk stalls. */
  async function stalledAfterRestart(seed: number): Promise<{ scenario: Scenario; leader: number; other: number }> {
    const scenario = await Scenario.formed({ seed, limits });
    const leader = scenario.leaderOf();
    const [other] = scenario.others(leader);
    for (let i = 0; i < 60; i++) await scenario.written(scenario.put(leader, `key-${i}`, String(i).repeat(300)));
    await scenario.run(1000);
    scenario.machine(leader).crash('all');
    scenario.machine(leader).start();
    await scenario.ready();
    await scenario.leadBy(other, 0);
    await scenario.leadBy(leader);
    await scenario.run(1000);
    scenario.machine(leader).disk.stall();
    return { scenario, leader, other };
  }

  test('has it hand over, where all that is asked for is to be read first', async () => {
    const { scenario, leader, other } = await stalledAfterRestart(56);
    const { lastIndex } = scenario.replica(leader);
    const reads = Array.from({ length: 30 }, (_, i) => scenario.get(leader, `key-${i}`, 'linearizable', 20_000));
    await scenario.until('another leads', () => scenario.replica(other).leaderNode !== leader, 12_000);
    expect(scenario.replica(leader).lastIndex, 'the log had nothing to write').toBe(lastIndex);
    expect(await scenario.value(scenario.get(other, 'key-7', 'linearizable', 5000))).toBe('7'.repeat(300));
    scenario.machine(leader).disk.unstall();
    for (const read of reads) await scenario.answer(read);
  });
});

describe("the placement leader's disk that answers no lookup", () => {
  // Seed 1200105 of the hunt: what it decides on is read first, so its log had nothing to write; no shard had timestamps.
  test('has it hand over, and every shard goes on', async () => {
    const scenario = await Scenario.formed({ seed: 57, limits });
    const leader = scenario.leaderOf();
    const [other] = scenario.others(leader);
    await scenario.written(scenario.put(leader, 'k', 'v'));
    scenario.machine(other).crash('all');
    scenario.machine(other).start();
    await scenario.ready();
    await scenario.leadBy(leader);
    await scenario.leadBy(other, 0);
    await scenario.run(1000);
    scenario.machine(other).disk.stall();
    const call = scenario.put(leader, 'k', 'w', { timeoutMs: 12_000 });
    await scenario.until('another leads', () => scenario.replica(leader, 0).leaderNode !== other, 12_000);
    await scenario.answer(call);
    await scenario.written(scenario.put(leader, 'k', 'x', { timeoutMs: 5000 }));
    scenario.machine(other).disk.unstall();
    await scenario.ready();
  });
});

describe('a stall that all disks share', () => {
  test('moves no leader, and is over when it is over', async () => {
    const scenario = await Scenario.formed({ seed: 39 });
    const leader = scenario.leaderOf();
    await scenario.run(1000);
    const { term, lastIndex } = scenario.replica(leader);
    const call = scenario.put(leader, 'k', 'v', { timeoutMs: 20_000 });
    await scenario.until('it is proposed', () => scenario.replica(leader).lastIndex > lastIndex);
    for (const { disk } of scenario.cluster.machines) disk.stall();
    await scenario.run(5000);
    expect(call.result).toBeUndefined();
    for (const { disk } of scenario.cluster.machines) disk.unstall();
    await scenario.written(call);
    await scenario.run(1000);
    const { isLeader, term: termNow } = scenario.replica(leader);
    expect({ isLeader, term: termNow }).toEqual({ isLeader: true, term });
  });
});

describe('a disk that fails', () => {
  test('in one sync stops its node; after a restart nothing that was acknowledged is missing', async () => {
    const scenario = await Scenario.formed({ seed: 38 });
    const leader = scenario.leaderOf();
    const before = putMany(scenario, 10);
    for (const { call } of before) await scenario.written(call);
    const machine = scenario.machine(leader);
    let failures = 0;
    machine.disk.fault = (operation, path) => {
      if (operation !== 'sync' || !path.includes('/log/') || failures > 0) return undefined;
      failures++;
      return 'io';
    };
    const during = putMany(scenario, 30).slice(10);
    await scenario.until('the node stops', () => !machine.isUp);
    expect(machine.failure?.message).toContain('io');
    for (const { call } of during) await scenario.run(call.result === undefined ? 50 : 0);
    await scenario.run(5000);
    machine.start();
    await scenario.ready();
    expect(await expectAcknowledged(scenario, [...before, ...during])).toBeGreaterThan(10);
    expect(failures).toBe(1);
  });

  test('that is full loses nothing that was acknowledged, and with room its node takes writes again', async () => {
    const scenario = await Scenario.formed({ seed: 39 });
    const machine = scenario.machine(scenario.leaderOf());
    machine.disk.quotaBytes = machine.disk.usedBytes() + 20_000;
    const puts = putMany(scenario, 60);
    const fillers = Array.from({ length: 60 }, (_, i) => scenario.put(machine.id, `filler-${i}`, 'x'.repeat(3000)));
    await scenario.run(20_000);
    // It refuses writes as long as it can, and stops when not even what it had accepted finds room.
    const refused = fillers.some(({ result }) => result?.type === 'failed' && result.error.code === 'DISK_FULL');
    if (!machine.isUp) expect(machine.failure?.message).toMatch(/\/data\/.*: noSpace$/);
    else expect(refused).toBe(true);
    machine.disk.quotaBytes = Infinity;
    machine.start();
    await scenario.ready();
    expect(await expectAcknowledged(scenario, puts)).toBeGreaterThan(0);
    await scenario.written(scenario.put(machine.id, 'after', 'v', { timeoutMs: 20_000 }));
  });
});
