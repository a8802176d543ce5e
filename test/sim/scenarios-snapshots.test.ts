import { describe, expect, test } from 'vitest';
import { defined } from '../../src/base/assert.js';
import type { Limits } from '../../src/base/limits.js';
import type { SnapshotStats } from '../../src/node/snapshots/snapshots.js';
import { Scenario } from './scenario.js';

const writes = 400;
const valueBytes = 200;

/** Each write an entry of its own. */
async function writeMany(scenario: Scenario, node: number, name: string): Promise<void> {
  for (let i = 0; i < writes; i++) {
    await scenario.written(scenario.put(node, `key-${i % 100}`, `${name} ${i}`.padEnd(valueBytes, '.')));
  }
}

function stats(scenario: Scenario, node: number): SnapshotStats {
  return defined(statsOf(scenario, node), `node ${node}`);
}

function statsOf(scenario: Scenario, node: number): SnapshotStats | undefined {
  return scenario.machine(node).node?.snapshotStats;
}

/** The follower that leads nothing, which the story is about. */
function someFollower(scenario: Scenario): number {
  const leader = scenario.leaderOf();
  return scenario.others(leader).find((id) => id !== scenario.placementLeader) ?? leader;
}

/** Until the node has as much as the leader, and all agree. */
async function caughtUp(scenario: Scenario, follower: number): Promise<void> {
  await scenario.ready();
  const isThere = (): boolean =>
    scenario.replica(follower).appliedIndex >= scenario.replica(scenario.leaderOf()).appliedIndex;
  await scenario.until('the follower has caught up', isThere, 20_000);
  await scenario.cluster.scheduler.complete(scenario.cluster.checkReplicasAgree());
}

/** Folders beside those of the shards. */
function asides(scenario: Scenario, node: number): string[] {
  const paths = scenario.machine(node).disk.paths();
  const folders = paths.map((path) => /^\/data\/shards\/([^/]*)\//.exec(path)?.[1] ?? '0');
  return [...new Set(folders)].filter((name) => !/^\d+$/.test(name));
}

describe('a follower that was away for longer than the log is kept for it', () => {
  test('gets a Raft snapshot, goes on by entries, and serves what was written meanwhile', async () => {
    const scenario = await Scenario.formed({ seed: 71 });
    const leader = scenario.leaderOf();
    const follower = someFollower(scenario);
    await writeMany(scenario, leader, 'before');
    scenario.machine(follower).crash('none');
    const diedAt = scenario.replica(leader).appliedIndex;
    await writeMany(scenario, leader, 'away');
    await scenario.run(3000);
    expect(scenario.replica(leader).logPrefix.firstIndex).toBeGreaterThan(diedAt + 1);

    scenario.machine(follower).start();
    await caughtUp(scenario, follower);
    expect(stats(scenario, follower).received.installed).toBe(1);
    expect(stats(scenario, leader).sentBytes).toBe(stats(scenario, follower).received.bytes);
    await writeMany(scenario, leader, 'after');
    await caughtUp(scenario, follower);
    expect((await scenario.scan(follower)).get('key-99')).toBe('after 399'.padEnd(valueBytes, '.'));
    expect(stats(scenario, follower).received.installed).toBe(1);
    // The checkpoint stays for half a minute.
    expect(asides(scenario, follower)).toEqual([]);
    await scenario.run(35_000);
    expect(asides(scenario, leader)).toEqual([]);

    scenario.machine(follower).crash('none');
    scenario.machine(follower).start();
    await caughtUp(scenario, follower);
    expect((await scenario.scan(follower)).get('key-0')).toBe('after 300'.padEnd(valueBytes, '.'));
  });

  test('gets one after another, while writes go on and connections break', async () => {
    // About 20 KB of tables, so that a transfer takes seconds and something comes between.
    const scenario = await Scenario.formed({ seed: 72, limits: { snapshotBytesPerSecondMax: 10_000 } });
    const leader = scenario.leaderOf();
    const follower = someFollower(scenario);
    let sentBefore = 0;
    for (const round of [1, 2]) {
      scenario.machine(follower).crash('none');
      await writeMany(scenario, leader, `round ${round}`);
      await scenario.run(2000);
      scenario.machine(follower).start();
      await scenario.until(
        'a transfer has begun',
        () => (statsOf(scenario, follower)?.received.bytes ?? 0) > 3000,
        20_000,
      );
      const before = stats(scenario, follower).received.bytes;
      scenario.cluster.network.reset(scenario.machine(leader).name, scenario.machine(follower).name);
      for (let i = 0; i < 20; i++) await scenario.written(scenario.put(leader, 'meanwhile', `${round} ${i}`));
      expect(stats(scenario, follower).received.installed).toBe(0);
      await caughtUp(scenario, follower);
      const { received } = stats(scenario, follower);
      expect(received.installed).toBe(1);
      expect(received.readsAgain).toBeGreaterThan(0);
      expect(before).toBeGreaterThan(0);
      // What had come before the connections broke was not sent again, but for the chunk that was on its way.
      const { sentBytes } = stats(scenario, leader);
      expect(sentBytes - sentBefore).toBeLessThanOrEqual(
        received.bytes + scenario.cluster.limits.snapshotChunkBytesMax,
      );
      sentBefore = sentBytes;
      expect((await scenario.scan(follower)).get('meanwhile')).toBe(`${round} 19`);
    }
  });

  test('goes on where it was, when a transfer broke for longer than it waits', async () => {
    const scenario = await Scenario.formed({ seed: 76, limits: { snapshotBytesPerSecondMax: 5000 } });
    const leader = scenario.leaderOf();
    const follower = someFollower(scenario);
    for (const round of [1, 2, 3]) {
      if (round === 3) scenario.machine(follower).crash('none');
      await writeMany(scenario, leader, `round ${round}`);
    }
    await scenario.run(3000);
    scenario.machine(follower).start();
    const fields = (message: string): Readonly<Record<string, unknown>>[] =>
      scenario.cluster.log.lines.filter((line) => line.message === message).map((line) => line.fields);
    const bytes = (): number => statsOf(scenario, follower)?.received.bytes ?? 0;
    const offered = (): number => Number(fields('offers a Raft snapshot').at(0)?.bytes ?? Infinity);
    await scenario.until('much of it has come', () => bytes() > 0.7 * offered(), 30_000);
    const before = bytes();
    scenario.isolate(follower);
    await scenario.until('it has given up', () => fields('a Raft snapshot was not fetched').length > 0, 60_000);
    await scenario.run(60_000);
    scenario.heal();
    await caughtUp(scenario, follower);
    expect(fields('goes on with a Raft snapshot')).toHaveLength(1);
    const { received } = stats(scenario, follower);
    expect(received.installed).toBe(1);
    const [{ bytes: kept }] = fields('goes on with a Raft snapshot');
    const [{ bytes: rest, readsAgain }] = fields('fetched a Raft snapshot');
    // But for the manifest, which says that it is the same, nothing came twice.
    expect(Number(kept) + Number(rest)).toBe(offered());
    // Those of the half minute are not of this transfer.
    expect(readsAgain).toBeLessThan(5);
    expect(received.bytes).toBe(before + Number(rest));
    expect(before - Number(kept)).toBeLessThan(500);
    await scenario.run(35_000);
    expect([...asides(scenario, follower), ...asides(scenario, leader)]).toEqual([]);
  });

  test('does not keep a log for ever that grows faster than the snapshot comes (pitfall 18)', async () => {
    const scenario = await Scenario.formed({ seed: 73, limits: { snapshotBytesPerSecondMax: 5000 } });
    const leader = scenario.leaderOf();
    const follower = someFollower(scenario);
    scenario.machine(follower).crash('none');
    await writeMany(scenario, leader, 'away');
    await scenario.run(3000);
    scenario.machine(follower).start();
    const isFetching = (): boolean => (statsOf(scenario, follower)?.received.bytes ?? 0) > 0;
    await scenario.until('a transfer has begun', isFetching, 20_000);
    // Entries go when the tree has them in tables, and that is flushed when the log is so long.
    const { logBytesFlush, segmentBytesMax } = scenario.cluster.limits;
    for (let round = 0; round < 8; round++) {
      await writeMany(scenario, leader, `round ${round}`);
      await scenario.run(3000);
      expect(scenario.replica(leader).logPrefix.bytes).toBeLessThan(logBytesFlush + 2 * segmentBytesMax);
    }
    const { lines } = scenario.cluster.log;
    expect(lines.some(({ fields }) => /grows faster than it is sent/.test(String(fields.reason)))).toBe(true);
    await scenario.ready();
    const isThere = (): boolean =>
      scenario.replica(follower).appliedIndex >= scenario.replica(scenario.leaderOf()).appliedIndex;
    await scenario.until('the follower has caught up', isThere, 120_000);
  });
});

describe('a Raft snapshot that is damaged', () => {
  /** A follower was away for longer than the log is kept, and there are tables. */
  async function away(
    seed: number,
    limits: Partial<Limits> = {},
  ): Promise<{ scenario: Scenario; leader: number; follower: number }> {
    const scenario = await Scenario.formed({ seed, limits });
    const leader = scenario.leaderOf();
    const follower = someFollower(scenario);
    scenario.machine(follower).crash('none');
    await writeMany(scenario, leader, 'away');
    await scenario.run(3000);
    return { scenario, leader, follower };
  }

  test('where the leader has it from stops the leader, instead of being offered again and again', async () => {
    const { scenario, leader, follower } = await away(74);
    const { disk } = scenario.machine(leader);
    // One that no compaction reads soon: it came out of one.
    const compacted = (): string | undefined =>
      disk.paths().find((path) => /^\/data\/shards\/1\/.*\.sst$/.test(path) && disk.content(path).length > 20_000);
    for (let round = 0; compacted() === undefined; round++) await writeMany(scenario, leader, `round ${round}`);
    const table = defined(compacted(), 'a table');
    disk.corrupt(table, disk.content(table).length >> 1);
    scenario.machine(follower).start();
    await scenario.until('the leader has stopped', () => scenario.machine(leader).failure !== undefined, 30_000);
    expect(scenario.machine(leader).failure?.message).toContain(`${table} is damaged`);
    const lines = scenario.cluster.log.lines.filter(({ message }) => message === 'a Raft snapshot was not fetched');
    expect(lines.map(({ fields }) => String(fields.reason))).toEqual([expect.stringContaining('is damaged')]);
    expect(await scenario.value(scenario.get(follower, 'key-99', 'linearizable', 30_000))).toMatch(
      /^(away|round \d+) 399/,
    );
  });

  test('by what the follower has written stops nobody, and the next one arrives', async () => {
    const { scenario, leader, follower } = await away(75, { snapshotBytesPerSecondMax: 5000 });
    const { disk } = scenario.machine(follower);
    scenario.machine(follower).start();
    // Written, with others still to come.
    const written = (): string | undefined =>
      disk.paths().find((path) => /incoming\/.*\.sst$/.test(path) && disk.content(path).length > 0);
    await scenario.until('it has written a table', () => written() !== undefined, 20_000);
    disk.corrupt(defined(written(), 'a table'), 10);
    await scenario.until('the next one is installed', () => stats(scenario, follower).received.installed === 1, 20_000);
    await caughtUp(scenario, follower);
    const reasons = scenario.cluster.log.lines.map(({ fields }) => String(fields.reason));
    expect(reasons.filter((reason) => reason.includes('.sst'))).not.toEqual([]);
    expect(scenario.machine(leader).failure).toBeUndefined();
  });
});
