/** What is acknowledged is on the disks of a majority: counted at the system's door, in real processes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isCaughtUp, startProcesses, untilStatus, type RunningCluster } from './support.js';
import { WatchedSyncs } from './watched-syncs.js';

let folder: string;
let syncs: WatchedSyncs;
let cluster: RunningCluster;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-durability-'));
  syncs = await WatchedSyncs.prepare(folder, 5);
  cluster = await startProcesses({ folder, environment: syncs.environment });
}, 60_000);

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test('many writes at a time share a sync', async () => {
  const { client, processes } = cluster;
  const before = processes.nodes.map((node) => syncs.of(node));
  const total = 4096;
  let next = 0;
  const writer = async (): Promise<void> => {
    for (let i = next++; i < total; i = next++) await client.put(`${'0GWm'[i % 4]}/${i}`, 'value');
  };
  await Promise.all(Array.from({ length: 256 }, writer));
  const counts = processes.nodes.map((node, i) => syncs.countSince(node, before[i]));
  for (const count of counts) {
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(total / 4);
  }
}, 60_000);

test('a sync that fails ends the process, and is not tried again; the others go on, and it comes back', async () => {
  const { client, processes } = cluster;
  const node = processes.node(3);
  const syncsOf = syncs.failNext(node);
  for (const letter of '0GWm') await client.put(`${letter}/while-it-fails`, 'kept', { deadlineMs: 20_000 });
  expect(await node.exited).toEqual({ status: 2, signal: null });
  expect(node.log.trimEnd().split('\n').at(-1)).toMatch(/^quorate: the node stopped: .*\.log.*/);
  expect(syncsOf()).toMatch(/^[be]*f$/);
  node.start();
  await untilStatus(client, 'replicas that have applied the same', isCaughtUp);
  for (const letter of '0GWm') expect(await client.get(`${letter}/while-it-fails`)).toMatchObject({ type: 'found' });
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
    const before = [syncs.of(one), syncs.of(two)];
    await client.put(keys[i % 4], String(i));
    counts.push([syncs.countSince(one, before[0]), syncs.countSince(two, before[1])]);
  }
  expect(counts.filter(([onOne, onTwo]) => onOne === 0 || onTwo === 0)).toEqual([]);
}, 60_000);
