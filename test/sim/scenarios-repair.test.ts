/** A node that is to repair itself (`repair: fromPeers`) comes back by itself, when files of its data directory are damaged. */
import { describe, expect, test } from 'vitest';
import { fromUtf8 } from '../../src/base/bytes.js';
import { NodeId, placementShardId } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { batchHeaderBytes, recordHeaderBytes, segmentHeaderBytes } from '../../src/log/segment-format.js';
import type { SimMachine } from '../../src/sim/machine.js';
import { SimDisk } from '../../src/sim/disk.js';
import { rejoined, votesOn } from './rejoined.js';
import { Scenario } from './scenario.js';

/** A byte of the first record of the log. */
const inFirstRecord = segmentHeaderBytes + batchHeaderBytes + recordHeaderBytes + 2;

type Harm = (disk: SimDisk, path: string) => void;

function pathIn(disk: SimDisk, pattern: RegExp): string {
  const path = disk.paths().find((name) => pattern.test(name));
  if (path === undefined) throw new Error(`no ${pattern} in ${disk.paths().join(' ')}`);
  return path;
}

function harmLog(
  scenario: Scenario,
  node: number,
  harm: Harm = (disk, path) => disk.corrupt(path, inFirstRecord),
): void {
  const { disk } = scenario.machine(node);
  harm(disk, pathIn(disk, /^\/data\/log\/.*\.log$/));
}

function logged(scenario: Scenario, node: number): string[] {
  return scenario.cluster.log.lines.filter(({ fields }) => fields.on === `node-${node}`).map(({ message }) => message);
}

const putAside = 'the damaged data directory was put aside: the node comes back with an empty one';

async function formed(seed: number, shape: Partial<Parameters<typeof Scenario.formed>[0]> = {}): Promise<Scenario> {
  const scenario = await Scenario.formed({ seed, repair: 'fromPeers', ...shape });
  await scenario.run(3000);
  return scenario;
}

/** Node 3 has met damage in a table, and has stopped. */
async function stoppedByTable(): Promise<{ scenario: Scenario; machine: SimMachine }> {
  const scenario = await formed(102, { limits: { memtableBytesMax: 16 * 1024, logBytesFlush: 32 * 1024 } });
  for (let i = 0; i < 60; i++) await scenario.written(scenario.put(3, `key-${i}`, String(i).repeat(1500)));
  await scenario.leadBy(3);
  const machine = scenario.machine(3);
  machine.crash('all');
  const table = pathIn(machine.disk, /^\/data\/shards\/1\/.*\.sst$/);
  machine.disk.overwrite(table, machine.disk.content(table).length >> 1, new Uint8Array(512));
  machine.start();
  await scenario.ready();
  expect(logged(scenario, 3)).not.toContain(putAside);
  await scenario.leadBy(3);
  for (let i = 0; i < 60 && machine.node !== undefined; i++) {
    await scenario.answer(scenario.get(1, `key-${i}`, 'linearizable', 3000));
  }
  await scenario.until('it has stopped', () => machine.failure !== undefined);
  return { scenario, machine };
}

describe('a node whose files are damaged', () => {
  test.each<[string, Harm]>([
    ['a flipped bit', (disk, path) => disk.corrupt(path, inFirstRecord)],
    ['a zeroed sector', (disk, path) => disk.overwrite(path, 0, new Uint8Array(512))],
    [
      'a sector of another file',
      (disk, path) => disk.overwrite(path, 0, disk.content(pathIn(disk, /manifest/)).slice(0, 512)),
    ],
  ])('in its log, by %s, comes back without an operator, and counts again (pitfall 23)', async (_, harm) => {
    const scenario = await formed(101, { shards: 3 });
    for (let i = 0; i < 20; i++) await scenario.written(scenario.put(1 + (i % 3), `key-${i}`, `value-${i}`));
    const before = votesOn(scenario, 3, 1);
    const machine = scenario.machine(3);
    const storeBefore = machine.node?.identity.storeId;
    machine.crash('all');
    harmLog(scenario, 3, harm);
    const damaged = new Map(machine.disk.paths().map((path) => [path, machine.disk.content(path).slice()]));
    machine.start();
    await rejoined(scenario, 3, 1, 4);
    expect(machine.node?.identity).toMatchObject({ replaces: storeBefore });
    const after = votesOn(scenario, 3, 1);
    for (const [shard, id] of after) expect(id, `replica of shard ${shard}`).toBeGreaterThan(before.get(shard) ?? 0);
    await scenario.ready();
    await scenario.run(1000);
    // It counts: with another away it makes the majority.
    scenario.machine(1).crash('none');
    await scenario.written(scenario.put(3, 'after', 'written with the new one', { timeoutMs: 30_000 }));
    for (let i = 0; i < 20; i++) {
      expect(await scenario.value(scenario.get(3, `key-${i}`, 'linearizable', 20_000))).toBe(`value-${i}`);
    }
    scenario.machine(1).start();
    machine.crash('none');
    machine.start();
    await scenario.ready();
    await scenario.run(3000);
    expect(await scenario.cluster.scheduler.complete(scenario.cluster.checkReplicasAgree())).toBe(true);
    expect(scenario.cluster.violations).toEqual([]);
    // All of the old directory is there still, byte for byte; the identity says besides that it is retired.
    const [, suffix] = /(\.damaged-\w+)\//.exec(machine.disk.paths().join('\n')) ?? [];
    for (const [path, content] of damaged) {
      const aside = path.replace(/^\/data\/(log|shards|IDENTITY)/, `/data/$1${suffix}`);
      const isWhole =
        path === '/data/IDENTITY'
          ? /"retired":true/.test(fromUtf8(machine.disk.content(aside)))
          : Buffer.from(machine.disk.content(aside)).equals(content);
      expect(isWhole, aside).toBe(true);
    }
  });

  test('in a table, which it meets while it runs, is repaired when it is started again', async () => {
    const { scenario, machine } = await stoppedByTable();
    machine.start();
    await rejoined(scenario, 3, 1, 2);
    expect(logged(scenario, 3)).toContain(putAside);
    expect(await scenario.value(scenario.get(3, 'key-7', 'linearizable', 20_000))).toBe('7'.repeat(1500));
    expect(scenario.cluster.violations).toEqual([]);
  });

  test('in a table, goes on while the others cannot do without it: it waited for a majority that was none without it', async () => {
    const { scenario, machine } = await stoppedByTable();
    scenario.machine(1).crash('all');
    await scenario.run(3000);
    machine.start();
    await scenario.until('it is up', () => machine.node !== undefined, 30_000);
    expect(logged(scenario, 3)).not.toContain(putAside);
    await scenario.written(scenario.put(2, 'k', 'by a majority with it', { timeoutMs: 30_000 }));
    // As soon as they can, the next start repairs it; it may have met the damage again.
    scenario.machine(1).start();
    await scenario.until('node 1 is up', () => scenario.machine(1).node?.isReady === true, 30_000);
    await scenario.run(3000);
    machine.crash('all');
    machine.start();
    await rejoined(scenario, 3, 1, 2);
    expect(logged(scenario, 3)).toContain(putAside);
    expect(await scenario.value(scenario.get(3, 'k', 'linearizable', 20_000))).toBe('by a majority with it');
    expect(scenario.cluster.violations).toEqual([]);
  });

  test('comes back, though a node decides that its configuration does not name: it was told who leads, and not where', async () => {
    const scenario = await formed(111, { nodes: 6, forming: 5 });
    const removing = scenario.machine(1).node?.removeNode(NodeId(5), 60_000);
    await scenario.cluster.scheduler.complete(Promise.resolve(removing), scenario.nowMs + 70_000);
    await scenario.until('node 6 votes', () => votesOn(scenario, 6, 1).has(placementShardId), 30_000);
    await scenario.leadBy(6, placementShardId);
    scenario.machine(2).crash('all');
    harmLog(scenario, 2);
    scenario.machine(2).start();
    await scenario.until('it has put all aside', () => logged(scenario, 2).includes(putAside), 20_000);
    expect(scenario.placementLeader).toBe(6);
  });

  test('waits, changes nothing and counts for nothing while nobody can decide', async () => {
    const scenario = await formed(103);
    await scenario.written(scenario.put(1, 'k', 'v'));
    for (const node of [2, 3]) {
      scenario.machine(node).crash('all');
      harmLog(scenario, node);
    }
    const before = [2, 3].map((node) => scenario.machine(node).disk.paths());
    for (const node of [2, 3]) scenario.machine(node).start();
    const call = scenario.put(1, 'k', 'by a majority that is none', { timeoutMs: 20_000 });
    await scenario.run(30_000);
    expect((await scenario.failed(call)).code).toBe('SHARD_UNAVAILABLE');
    for (const node of [2, 3]) expect(logged(scenario, node)).toContain('waits to be replaced');
    expect([2, 3].map((node) => scenario.machine(node).disk.paths())).toEqual(before);
  });

  test('comes back, though every node crashes on the way', async () => {
    const scenario = await formed(104, { shards: 4 });
    await scenario.written(scenario.put(1, 'k', 'v'));
    scenario.machine(3).crash('all');
    harmLog(scenario, 3);
    scenario.machine(3).start();
    for (const node of [3, 1, 2, 3, 1, 3, 2, 3]) {
      await scenario.run(400);
      scenario.machine(node).crash('none');
      scenario.machine(node).start();
    }
    await rejoined(scenario, 3, 1, 5);
    expect(await scenario.value(scenario.get(3, 'k', 'linearizable', 20_000))).toBe('v');
    expect(scenario.cluster.violations).toEqual([]);
  });

  test('is let in by nodes that have not heard of it yet as soon as they have', async () => {
    const scenario = await formed(105, { nodes: 5, replicas: 5 });
    const damaged = scenario.others(scenario.placementLeader)[0];
    const [by, late] = scenario.others(damaged);
    scenario.machine(damaged).crash('all');
    harmLog(scenario, damaged);
    scenario.machine(late).process?.pause();
    scenario.machine(damaged).start();
    await scenario.run(10_000);
    scenario.machine(late).process?.resume();
    await rejoined(scenario, damaged, by, 2);
    expect(scenario.cluster.failures.map(({ machine }) => machine.id)).not.toContain(damaged);
    expect(scenario.cluster.violations).toEqual([]);
  });
});

describe('a repair is refused', () => {
  /** How the start of the damaged node ended. */
  async function refusal(scenario: Scenario, node: number): Promise<string> {
    const machine = scenario.machine(node);
    machine.start();
    await scenario.until('it has stopped', () => machine.failure !== undefined);
    return String(machine.failure?.message);
  }

  test('where a shard has no majority without the node, which is told so', async () => {
    const scenario = await formed(106, { nodes: 5, replicas: 3, shards: 4 });
    const { shards } = scenario.machine(1).node?.shardMap() ?? { shards: [] };
    const [first, second] = shards[0].descriptor.replicas.map(({ node }): number => node);
    for (const node of [first, second]) scenario.machine(node).crash('all');
    await scenario.run(5000);
    harmLog(scenario, first);
    const before = scenario.machine(first).disk.paths();
    expect(await refusal(scenario, first)).toMatch(
      /is damaged at offset .*; it is not repaired from the other nodes: shard \d has no majority without node \d: /,
    );
    expect(scenario.machine(first).disk.paths()).toEqual(before);
    scenario.machine(second).start();
    await scenario.run(5000);
    scenario.machine(first).start();
    await rejoined(
      scenario,
      first,
      second,
      votesOn(scenario, second, second).size === 0 ? 0 : groupsOn(scenario, first),
    );
  });

  test('where another one went down with it, in silence, which was still counted as live', async () => {
    const scenario = await formed(113, { nodes: 5, replicas: 3 });
    const { shards } = scenario.machine(1).node?.shardMap() ?? { shards: [] };
    const replicas = shards[0].descriptor.replicas.map(({ node }): number => node);
    const outsider = [1, 2, 3, 4, 5].find((node) => !replicas.includes(node)) ?? 0;
    await scenario.leadBy(outsider, placementShardId);
    const [first, second] = replicas;
    scenario.isolate(second);
    for (const node of [first, second]) {
      scenario.machine(node).crash('all');
      harmLog(scenario, node);
    }
    expect(await refusal(scenario, first)).toMatch(/shard 1 has no majority without node \d: 1 of its replicas/);
    expect(logged(scenario, first)).not.toContain(putAside);
  });

  test('a second time, while the first directory lies there', async () => {
    const scenario = await formed(107);
    scenario.machine(3).crash('all');
    harmLog(scenario, 3);
    scenario.machine(3).start();
    await rejoined(scenario, 3, 1, 2);
    scenario.machine(3).crash('all');
    harmLog(scenario, 3);
    expect(await refusal(scenario, 3)).toMatch(/\.damaged-\w+ is from an earlier repair: /);
    expect(scenario.machine(1).node?.shardMap().nodes).toHaveLength(3);
  });

  test('of a node that was removed: it does not come back by itself', async () => {
    const scenario = await formed(108, { nodes: 5, replicas: 3 });
    scenario.machine(5).crash('all');
    await scenario.run(3000);
    const removing = scenario.machine(1).node?.removeNode(NodeId(5), 60_000);
    await scenario.cluster.scheduler.complete(Promise.resolve(removing), scenario.nowMs + 70_000);
    harmLog(scenario, 5);
    expect(await refusal(scenario, 5)).toMatch(
      /not repaired from the other nodes: .*node 5 was removed from the cluster/,
    );
  });

  test('where another directory has taken its place meanwhile: it stayed beside that for ever, refused by all', async () => {
    const scenario = await formed(112);
    const machine = scenario.machine(3);
    machine.crash('all');
    harmLog(scenario, 3);
    const { disk } = machine;
    await scenario.run(3000);
    const replacing = scenario.machine(1).node?.replaceNode(NodeId(3), 30_000);
    await scenario.cluster.scheduler.complete(Promise.resolve(replacing), scenario.nowMs + 40_000);
    machine.disk = new SimDisk({ random: new Prng(112) });
    machine.start();
    await rejoined(scenario, 3, 1, 2);
    machine.crash('all');
    machine.disk = disk;
    const before = disk.paths();
    expect(await refusal(scenario, 3)).toMatch(
      /not repaired from the other nodes: .*node 3 was replaced: .*it has the data directory \w+ now/,
    );
    expect(disk.paths()).toEqual(before);
  });

  test('where the identity is damaged, too, or another directory is in use', async () => {
    const scenario = await formed(109);
    const { disk } = scenario.machine(3);
    scenario.machine(3).crash('all');
    const copy = disk.clone(new Prng(1));
    harmLog(scenario, 3);
    disk.corrupt('/data/IDENTITY', 3);
    expect(await refusal(scenario, 3)).toMatch(/^\/data\/IDENTITY is damaged at offset 0/);
    scenario.machine(3).disk = copy;
    scenario.machine(3).start();
    await scenario.ready();
  });
});

function groupsOn(scenario: Scenario, node: number): number {
  const shards = scenario.machine(node).node?.shardMap().shards ?? [];
  return 1 + shards.filter(({ descriptor }) => descriptor.replicas.some((replica) => replica.node === node)).length;
}
