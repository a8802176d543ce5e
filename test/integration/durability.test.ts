/** What is acknowledged is on the disks of a majority: counted at the system's door, in real processes. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClusterProcess } from '../../jepsen-lite/cluster/process-cluster.js';
import { compile } from '../platform/compile.js';
import { startProcesses, type RunningCluster } from './support.js';

let folder: string;
let cluster: RunningCluster;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-durability-'));
  const counts = join(folder, 'syncs');
  mkdirSync(counts);
  const counter = await compile(new URL('./count-syncs.ts', import.meta.url), folder);
  const environment = { NODE_OPTIONS: `--import=${counter.href}`, COUNT_SYNCS_IN: counts };
  cluster = await startProcesses({ folder, environment });
}, 60_000);

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Beginnings and ends of all syncs of a node's log so far, in their order. */
function syncs(node: ClusterProcess): string {
  const file = join(folder, 'syncs', String(node.pid));
  return existsSync(file) ? readFileSync(file, 'latin1') : '';
}

/** Syncs that have both begun and ended since `before`. The log has one writer: they come one after the other. */
function syncsSince(node: ClusterProcess, before: string): number {
  return syncs(node).slice(before.length).match(/be/g)?.length ?? 0;
}

test('many writes at a time share a sync', async () => {
  const { client, processes } = cluster;
  const before = processes.nodes.map(syncs);
  const total = 4096;
  let next = 0;
  const writer = async (): Promise<void> => {
    for (let i = next++; i < total; i = next++) await client.put(`${'0GWm'[i % 4]}/${i}`, 'value');
  };
  await Promise.all(Array.from({ length: 256 }, writer));
  const counts = processes.nodes.map((node, i) => syncsSince(node, before[i]));
  for (const count of counts) {
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(total / 4);
  }
}, 60_000);

test('no write is acknowledged before a majority has synced it', async () => {
  const { client, processes } = cluster;
  // Two of three are left: each of them is needed, and no third can sync late what was acknowledged before.
  await processes.node(3).signal('SIGKILL');
  const [one, two] = processes.nodes;
  const keys = [...'0GWm'].map((letter) => `${letter}/in-series`);
  // Whatever the change of leaders leaves to be synced comes before these are answered.
  for (const key of keys) await client.put(key, 'first', { deadlineMs: 20_000 });
  const counts: [number, number][] = [];
  for (let i = 0; i < 200; i++) {
    const before = [syncs(one), syncs(two)];
    await client.put(keys[i % 4], String(i));
    counts.push([syncsSince(one, before[0]), syncsSince(two, before[1])]);
  }
  expect(counts.filter(([onOne, onTwo]) => onOne === 0 || onTwo === 0)).toEqual([]);
}, 60_000);
