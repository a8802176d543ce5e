import { describe, expect, test } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { newestBatchHeader, segmentOfName } from '../../src/log/segment-format.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { Scenario } from './scenario.js';

/** More than the entries that a leader lets gather, and enough bytes for several flushes and segments. */
const writes = 1100;
const valueBytes = 200;
/** `logBytesFlush` of 256 KiB in segments of 64 KiB, and the newest one. The placement group's few entries are older than all of it. */
const segmentsMax = 5;

/** So that tables take no more than the log may. */
const shortRetention = { requestIdRetentionMs: 60_000, versionRetentionMs: 1000, staleReadMsMax: 1000 };

function isOfTable(operation: string, path: string): boolean {
  return operation === 'write' && path.includes('/shards/');
}

/** Each write an entry of its own: the next begins when the one before is answered. */
async function writeMany(scenario: Scenario, node: number): Promise<void> {
  for (let i = 0; i < writes; i++) {
    await scenario.written(scenario.put(node, `key-${i % 100}`, String(i).padEnd(valueBytes, '.')));
  }
}

function segments(scenario: Scenario, node: number): string[] {
  return scenario
    .machine(node)
    .disk.paths()
    .filter((path) => /^\/data\/log\/\d+\./.test(path));
}

/** First entries kept and number of segments, of each node. */
function logs(scenario: Scenario): { readonly first: number; readonly segments: number }[] {
  return [1, 2, 3].map((id) => ({
    first: scenario.replica(id).logPrefix.firstIndex,
    segments: segments(scenario, id).length,
  }));
}

/** What the nodes have logged of a log that is kept for another, without its size. */
function reports(scenario: Scenario): object[] {
  const lines = scenario.cluster.log.lines.filter(({ message }) => /^the log is (long|short)/.test(message));
  return lines.map(({ level, fields: { logBytes, ...fields } }) => {
    expect(Number(logBytes) >= scenario.cluster.limits.logBytesFlush).toBe(level === 'warn');
    return { level, ...fields };
  });
}

/** Of what has no successor in the log: 0 for a proof, which a whole batch is before. */
function newestBodyBytes(scenario: Scenario, node: number): number {
  const path = defined(segments(scenario, node).at(-1), 'a segment');
  const segment = defined(segmentOfName(path.slice(path.lastIndexOf('/') + 1)), 'its number');
  const header = newestBatchHeader(scenario.machine(node).disk.content(path), 0, segment);
  return defined(header, 'a batch').bodyBytes;
}

describe('the log', () => {
  test('of every node says durably, in a pause, that its last batch was durable; not while writes come', async () => {
    const scenario = await Scenario.formed({ seed: 52 });
    const leader = scenario.leaderOf();
    for (let i = 0; i < 20; i++) await scenario.written(scenario.put(leader, 'key', String(i)));
    expect(newestBodyBytes(scenario, leader)).toBeGreaterThan(0);
    await scenario.run(500);
    for (const node of [1, 2, 3]) {
      scenario.machine(node).crash('none');
      expect(newestBodyBytes(scenario, node)).toBe(0);
    }
  });

  test('of every node drops what all have, keeps what a dead follower misses, and the follower catches up', async () => {
    const scenario = await Scenario.formed({ seed: 51, limits: { shardLogBytesMax: 8 * 1024 * 1024 } });
    const leader = scenario.leaderOf();
    const follower = scenario.others(leader).find((id) => id !== scenario.placementLeader) ?? leader;
    const [third] = scenario.others(leader).filter((id) => id !== follower);
    await writeMany(scenario, leader);
    await scenario.run(3000);
    const shortened = logs(scenario);
    for (const { first, segments: count } of shortened) {
      expect(first).toBeGreaterThan(500);
      expect(count).toBeLessThanOrEqual(segmentsMax);
    }

    scenario.machine(follower).crash('none');
    const diedAt = scenario.replica(leader).appliedIndex;
    await writeMany(scenario, leader);
    await scenario.run(3000);
    for (const id of [leader, third]) {
      expect(scenario.replica(id).logPrefix.firstIndex).toBeLessThanOrEqual(diedAt + 1);
      expect(segments(scenario, id).length).toBeGreaterThan(shortened[id - 1].segments);
    }
    // Of both logs, by the leaders of the shards whose entries are kept.
    expect(scenario.placementLeader).toBe(third);
    const held = [
      { level: 'warn', on: scenario.machine(leader).name, follower, shard: 1 },
      { level: 'warn', on: scenario.machine(third).name, follower, shard: 0 },
    ];
    expect(reports(scenario)).toEqual(held);

    scenario.machine(follower).start();
    await scenario.ready();
    const caughtUp = (): boolean => scenario.replica(follower).appliedIndex >= diedAt + writes;
    await scenario.until('the follower has caught up', caughtUp, 20_000);
    await scenario.run(3000);
    for (const { first, segments: count } of logs(scenario)) {
      expect(first).toBeGreaterThan(diedAt);
      expect(count).toBeLessThanOrEqual(segmentsMax);
    }
    const released = [leader, third].map((id) => ({
      level: 'info',
      on: scenario.machine(id).name,
      keptFor: [follower],
    }));
    expect(reports(scenario).slice(0, 2)).toEqual(held);
    expect(new Set(reports(scenario).slice(2))).toEqual(new Set(released));
    expect((await scenario.scan(follower)).get('key-99')).toBe(String(writes - 1).padEnd(valueBytes, '.'));
    await scenario.cluster.scheduler.complete(scenario.cluster.checkReplicasAgree());
  });

  test('is no longer than for a follower that is away also where the shard falls quiet at once', async () => {
    const shardLogBytesMax = 64 * 1024;
    const limits = { ...shortRetention, shardLogBytesMax };
    const scenario = await Scenario.formed({ seed: 53, limits, raft: { quiesceTicks: 60 } });
    const leader = scenario.leaderOf();
    const [follower] = scenario.others(leader);
    scenario.machine(follower).crash('none');
    // Beyond what is kept for one that is away, within what is for one that lives.
    for (let i = 0; i < 170; i++) await scenario.written(scenario.put(leader, `key-${i % 20}`, 'x'.repeat(500)));
    const { logPrefix } = scenario.replica(leader);
    expect(logPrefix.bytes).toBeGreaterThan(shardLogBytesMax);
    await scenario.run(10_000);
    expect(scenario.replica(leader).status().isQuiet).toBe(true);
    expect(logPrefix.bytes).toBeLessThan(shardLogBytesMax);
  });

  test.each<[string, (disk: SimDisk) => void]>([
    ['does not sync', (disk) => disk.stall()],
    [
      'has no room for tables',
      (disk) => (disk.fault = (operation, path) => (isOfTable(operation, path) ? 'noSpace' : undefined)),
    ],
  ])('of the others does not grow for ever for one that lives and whose disk %s', async (_what, breakDisk) => {
    const scenario = await Scenario.formed({ seed: 53, limits: shortRetention });
    const leader = scenario.leaderOf();
    const [follower = leader] = scenario.others(leader).filter((id) => id !== scenario.placementLeader);
    const healthy = [1, 2, 3].filter((id) => id !== follower);
    const { disk } = scenario.machine(follower);
    scenario.machine(follower).crash('none');
    await writeMany(scenario, leader);
    await scenario.run(3000);
    scenario.machine(follower).start();
    breakDisk(disk);
    const { logBytesFlush, segmentBytesMax } = scenario.cluster.limits;
    for (let round = 0; round < 4; round++) {
      await writeMany(scenario, leader);
      await scenario.run(3000);
      for (const id of healthy) {
        expect(scenario.replica(id).logPrefix.bytes).toBeLessThan(logBytesFlush + 2 * segmentBytesMax);
      }
    }

    disk.unstall();
    disk.fault = undefined;
    await scenario.ready();
    const caughtUp = (): boolean =>
      scenario.replica(follower).appliedIndex >= scenario.replica(scenario.leaderOf()).appliedIndex;
    await scenario.until('the follower has caught up', caughtUp, 60_000);
    await scenario.cluster.scheduler.complete(scenario.cluster.checkReplicasAgree());
  });
});
