/** Moving the replicas of a shard between nodes that are real processes, by the command line. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { connect } from '../../src/client/index.js';
import { isCaughtUp, quorate, startProcesses, untilStatus } from './support.js';

test('a replica leaves its node with its data, and another comes, while the shard serves', async () => {
  await using cluster = await startProcesses({ shards: 2 });
  const { processes, client } = cluster;
  const endpoints = ['--endpoints', processes.node(1).endpoint];
  const folders = (): string[] => readdirSync(join(processes.node(3).dataDirectory, 'shards'));
  await client.put('0/before', 'written by three');

  const left = await quorate('shard', 'replicas', '1', '--nodes', '1,2', ...endpoints);
  expect([left.status, String(left.stdout)]).toEqual([0, 'shard 1 has replicas on nodes 1, 2\n']);
  await untilStatus(client, 'the map to follow', ({ shards }) => shards[0].replicas.length === 2);
  await expect.poll(folders, { timeout: 10_000 }).not.toContain('1');
  expect(folders()).toContainEqual(expect.stringMatching(/^1\.gone-\d+$/));
  await client.put('0/between', 'written by two');

  const back = await quorate('shard', 'replicas', '1', '--nodes', '1,2,3', ...endpoints);
  expect([back.status, String(back.stdout)]).toEqual([0, 'shard 1 has replicas on nodes 1, 2, 3\n']);
  await untilStatus(client, 'replicas that have applied the same', isCaughtUp);

  // The new one counts: with one of the others away it makes the majority.
  await processes.node(2).signal('SIGKILL');
  await client.put('0/after', 'written with the new one', { deadlineMs: 20_000 });
  for (const key of ['0/before', '0/between', '0/after'])
    expect(await client.get(key, { deadlineMs: 20_000 })).toMatchObject({ type: 'found' });

  const unknown = await quorate('shard', 'replicas', '1', '--nodes', '1,9', ...endpoints);
  expect(unknown).toMatchObject({ status: 2 });
  expect(unknown.stderr).toContain('replicas: there is no node 9');
}, 60_000);

test('a node stops at once while it waits for replicas that an operator wants and that cannot come', async () => {
  await using cluster = await startProcesses({ shards: 1 });
  const { processes, client } = cluster;
  await client.changeReplicas(1, { voters: [1, 2] });
  await processes.node(3).signal('SIGKILL');
  const asked = processes.node(1);
  await using direct = await connect({ endpoints: [asked.endpoint] });
  const changing = expect(direct.changeReplicas(1, { voters: [1, 2, 3] }, { deadlineMs: 8000 })).rejects.toMatchObject({
    outcome: 'unknown',
  });
  await untilStatus(client, 'a third replica to be named', ({ shards }) => shards[0].replicas.length === 3);

  const startMs = performance.now();
  await asked.signal('SIGTERM');
  expect(performance.now() - startMs).toBeLessThan(5000);
  await changing;
}, 60_000);
