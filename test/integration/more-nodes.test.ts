/** More nodes than the placement group has voters, a node that is added and one that is removed, with real processes. */
import { expect, test } from 'vitest';
import { isWhole, quorate, startProcesses, until, untilServing, untilStatus, type Status } from './support.js';

const keys = ['0/first', '0/second', 'a/first', 'm/first', 'm/second'];

function nodesOf(shard: Status['placement']): number[] {
  return shard.replicas.map(({ node }): number => node).sort((a, b) => a - b);
}

function roles({ replicas }: Status['placement']): string {
  return [...replicas]
    .sort((a, b) => a.node - b.node)
    .map(({ node, role }) => `${node} ${role}`)
    .join(', ');
}

test('a cluster of six nodes is ready; each of them serves, and the first five vote in the placement group', async () => {
  await using cluster = await startProcesses({ nodes: 6, shards: 6 });
  const { processes, client } = cluster;
  const status = await untilStatus(client, 'six replicas of the placement group', (now) => {
    return isWhole(now) && now.placement.replicas.length === 6 && now.placement.replicas.every(({ live }) => live);
  });
  expect(roles(status.placement)).toBe('1 voter, 2 voter, 3 voter, 4 voter, 5 voter, 6 learner');
  const used = new Set(status.shards.flatMap((shard) => nodesOf(shard)));
  expect([...used].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
  for (const { id, endpoint } of processes.nodes) {
    const put = await quorate('put', `key-${id}`, 'value', '--endpoints', endpoint);
    expect([put.status, put.stderr]).toEqual([0, '']);
  }
});

test('a node is added, gets the replicas of one that is removed, and that one stops', async () => {
  await using cluster = await startProcesses({ shards: 3 });
  const { processes, client, endpoints } = cluster;
  for (const key of keys) await client.put(key, `before ${key}`);
  const full = await quorate('node', 'remove', '2', '--endpoints', endpoints);
  expect(full.status).toBe(2);
  expect(full.stderr).toMatch(/no other node that is up could take that of node 2: add a node/);

  const added = await processes.add();
  added.start();
  await untilServing(added);
  const joined = await untilStatus(client, 'node 4', ({ nodes }) => nodes.length === 4 && nodes[3].live);
  expect(joined.placement.replicas.length).toBeGreaterThanOrEqual(3);
  await until('node 4 to answer', 20_000, async () => {
    const got = await quorate('get', keys[0], '--endpoints', added.endpoint);
    return got.status === 0 && String(got.stdout).startsWith(`before ${keys[0]}`);
  });

  const removed = await quorate('node', 'remove', '2', '--endpoints', processes.node(1).endpoint);
  expect([removed.status, removed.stderr]).toEqual([0, '']);
  expect(String(removed.stdout)).toBe(
    'node 2 is removed: its replicas are on other nodes, and its data directory is out of use\n',
  );
  expect(await processes.node(2).exited).toEqual({ status: 2, signal: null });
  expect(processes.node(2).log).toMatch(
    /node 2 was removed from the cluster: the data directory [0-9a-f]+ is out of use/,
  );
  const after = await untilStatus(client, 'three whole nodes', (now) => isWhole(now) && now.nodes.length === 3);
  for (const group of [after.placement, ...after.shards]) expect(roles(group)).toBe('1 voter, 3 voter, 4 voter');

  // The new one counts: with another down it makes the majority.
  await processes.node(3).signal('SIGKILL');
  for (const key of keys) {
    expect(await client.get(key, { deadlineMs: 20_000 })).toMatchObject({ type: 'found' });
    await client.put(key, `after ${key}`, { deadlineMs: 20_000 });
  }
  processes.node(2).start();
  expect(await processes.node(2).exited).toEqual({ status: 2, signal: null });
}, 180_000);
