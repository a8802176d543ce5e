/** The story that a new user is promised: an import that outlives kill -9 of a node, and of all of them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCounters } from './counters.js';
import { generateRecords, sortedByKey, toNdjson, type TextRecord } from './records.js';
import {
  busiestNode,
  isCaughtUp,
  isWhole,
  quorate,
  startProcesses,
  startQuorate,
  until,
  untilStatus,
  type RunningCluster,
} from './support.js';

const mib = 1024 * 1024;

describe('three processes', () => {
  let cluster: RunningCluster;
  const records = generateRecords({ seed: 1, count: 5000 });
  const overwrites = generateRecords({ seed: 2, count: 1500 }).map(({ value }, i) => ({ key: records[i].key, value }));

  beforeAll(async () => {
    // Small, so that flushes and compactions take part.
    cluster = await startProcesses({ settings: { limits: { memtableBytesMax: mib, segmentBytesMax: 8 * mib } } });
  }, 60_000);
  afterAll(() => cluster[Symbol.asyncDispose]());

  const has = async ({ key, value }: TextRecord): Promise<boolean> => {
    const found = await cluster.client.get(key);
    return found.type === 'found' && Buffer.from(found.value).toString() === value;
  };

  async function exported(): Promise<string> {
    const { status, stdout, stderr } = await quorate('export', '--endpoints', cluster.endpoints);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return stdout.toString();
  }

  test('an import goes on while the busiest node is killed; nothing is lost or applied twice', async () => {
    const { processes, client, endpoints } = cluster;
    const counters = await startCounters({
      endpoints: processes.endpoints,
      keys: ['0', 'G', 'W', 'm'].map((letter) => `${letter}/counter`),
      workers: 8,
    });
    const lines = records.map((record) => toNdjson([record]));
    const command = startQuorate('import', '-', '--format', 'ndjson', '--endpoints', endpoints, '--json');
    // The import cannot be over before the kill: it gets the last part of its input afterwards.
    command.stdin.write(lines.slice(0, 3000).join(''));
    await until('the import to be on its way', 30_000, () => has(records[500]));
    await counters.acknowledged.reaches(1);
    const killed = processes.node(busiestNode(await client.status()));
    await killed.signal('SIGKILL');
    const acknowledgedAtKill = counters.acknowledged.value;
    command.stdin.end(lines.slice(3000).join(''));

    const { status, stdout, stderr } = await command.ended;
    expect({ status, stderr: stderr.replace(/^\d+ records .*\n/gm, '') }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout.toString())).toMatchObject({ records: records.length, skipped: 0 });

    await counters.acknowledged.reaches(acknowledgedAtKill + 1);
    killed.start();
    await untilStatus(client, 'the cluster to be whole again', isWhole);
    const { acknowledged, unknown, counted } = await counters.finish();
    expect(counted).toBeGreaterThanOrEqual(acknowledged);
    expect(counted).toBeLessThanOrEqual(acknowledged + unknown);
    for (const letter of ['0', 'G', 'W', 'm']) await client.delete(`${letter}/counter`);
  }, 90_000);

  test('the node that was killed catches up', async () => {
    await untilStatus(cluster.client, 'replicas that have applied the same', isCaughtUp);
    const { status, stdout } = await quorate('status', '--json', '--endpoints', cluster.endpoints);
    expect(status).toBe(0);
    const { nodes, shards } = JSON.parse(stdout.toString()) as {
      nodes: { live: boolean }[];
      shards: { replicas: { appliedIndex: number; lag: number }[] }[];
    };
    expect(nodes.every(({ live }) => live)).toBe(true);
    expect(shards).toHaveLength(4);
    for (const { replicas } of shards) {
      expect(new Set(replicas.map(({ appliedIndex }) => appliedIndex)).size).toBe(1);
      expect(replicas.map(({ lag }) => lag)).toEqual([0, 0, 0]);
    }
  }, 60_000);

  test('an export equals the input, byte for byte', async () => {
    expect((await exported()) === toNdjson(sortedByKey(records))).toBe(true);
  }, 60_000);

  test('all three killed at once under an import: it ends well, and the export shows everything', async () => {
    const { processes, client, endpoints } = cluster;
    const command = startQuorate('import', '-', '--format', 'ndjson', '--endpoints', endpoints, '--json');
    // As above: it cannot be over before the kill.
    command.stdin.write(toNdjson(overwrites.slice(0, 1000)));
    await until('the import to be on its way', 30_000, () => has(overwrites[300]));
    await processes.kill();
    command.stdin.end(toNdjson(overwrites.slice(1000)));
    processes.start();
    const { status, stdout, stderr } = await command.ended;
    expect({ status, stderr: stderr.replace(/^\d+ records .*\n/gm, '') }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout.toString())).toMatchObject({ records: overwrites.length });
    await untilStatus(client, 'replicas that have applied the same', isCaughtUp);
    expect((await exported()) === toNdjson(sortedByKey([...records, ...overwrites]))).toBe(true);
  }, 90_000);

  test('Ctrl-C ends every node with status 0', async () => {
    const { processes } = cluster;
    const ends = await Promise.all(processes.nodes.map((node) => node.signal('SIGINT')));
    expect(ends).toEqual(processes.nodes.map(() => ({ status: 0, signal: null })));
  }, 30_000);
});
