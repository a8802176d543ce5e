/**
 * The ways out for a node whose disk is gone or whose log is damaged, as they are printed, with real processes; and the one that needs
 * nobody (`repair: fromPeers`).
 */
import { closeSync, openSync, readdirSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { batchHeaderBytes, recordHeaderBytes, segmentHeaderBytes } from '../../src/log/segment-format.js';
import type { ClusterProcess } from '../../jepsen-lite/cluster/process-cluster.js';
import { quorate, startProcesses, untilLogged, untilStatus, type Status } from './support.js';

const keys = ['0/first', '0/second', 'm/first', 'm/second'];

/** A byte of the log's first record. */
function damageLog({ dataDirectory }: ClusterProcess): void {
  const [segment] = readdirSync(join(dataDirectory, 'log'))
    .filter((name) => name.endsWith('.log'))
    .sort();
  const file = openSync(join(dataDirectory, 'log', segment), 'r+');
  const byte = Buffer.alloc(1);
  const offset = segmentHeaderBytes + batchHeaderBytes + recordHeaderBytes + 2;
  readSync(file, byte, 0, 1, offset);
  byte[0] ^= 0x10;
  writeSync(file, byte, 0, 1, offset);
  closeSync(file);
}

function putAside({ dataDirectory }: ClusterProcess): void {
  renameSync(dataDirectory, `${dataDirectory}.old`);
}

function wipe({ dataDirectory }: ClusterProcess): void {
  rmSync(dataDirectory, { recursive: true });
}

/** Node 3 has a voter with all data in each group. */
function countsAgain({ shards, placement }: Status): boolean {
  return [placement, ...shards].every(({ replicas, leader }) => {
    const applied = Math.max(...replicas.map(({ appliedIndex }) => appliedIndex));
    const third = replicas.find(({ node }) => node === 3);
    return leader !== undefined && third?.role === 'voter' && third.appliedIndex === applied;
  });
}

test.each([
  ['whose log is damaged', damageLog, putAside, /damaged at offset .*: `quorate node replace (\d)`\)\n$/],
  [
    'whose disk was wiped',
    wipe,
    () => undefined,
    /lost its disk .* or run `quorate node replace (\d)` and start it again\n$/,
  ],
])(
  'a node %s says the way out, and by that comes back as a full member',
  async (_, harm, prepare, wayOut) => {
    await using cluster = await startProcesses({ shards: 2 });
    const { processes, client } = cluster;
    const node = processes.node(3);
    const endpoints = ['--endpoints', processes.node(1).endpoint];
    for (const key of keys) await client.put(key, `before ${key}`);
    await untilLogged(node, 'its registration', ({ msg }) => msg === 'the node is registered');
    const refused = await quorate('node', 'replace', '3', ...endpoints);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('node 3 is up: stop it first');

    expect(await node.signal('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
    harm(node);
    const { status, stderr } = await quorate('serve', '--config', node.configFile);
    expect(status).toBe(2);
    const [, named] = wayOut.exec(stderr) ?? [];
    const replaced = await quorate('node', 'replace', named, ...endpoints);
    expect([replaced.status, String(replaced.stdout)]).toEqual([
      0,
      'node 3 has no replicas any more: start it with an empty data directory, and it gets all back\n',
    ]);
    await client.put('0/between', 'written by two');
    prepare(node);
    node.start();
    await untilStatus(client, 'node 3 to count again', countsAgain);

    await processes.node(1).signal('SIGKILL');
    for (const key of keys) {
      expect(await client.get(key, { deadlineMs: 20_000 })).toMatchObject({ type: 'found' });
      await client.put(key, `after ${key}`, { deadlineMs: 20_000 });
    }
    await processes.node(2).signal('SIGKILL');
    const alone = ['--endpoints', node.endpoint, '--replace-timeout', '2s'];
    const undecided = await quorate('node', 'replace', '2', ...alone);
    expect(undecided.status).toBe(2);
    expect(undecided.stderr).toMatch(/DEADLINE_EXCEEDED|UNAVAILABLE/);
  },
  180_000,
);

describe('a node that is to repair itself', () => {
  const settings = { repair: 'fromPeers' };

  test('comes back with all data, and votes, after its log was damaged; what was damaged lies aside', async () => {
    await using cluster = await startProcesses({ shards: 2, settings });
    const { processes, client } = cluster;
    const node = processes.node(3);
    for (const key of keys) await client.put(key, `before ${key}`);
    await untilLogged(node, 'its registration', ({ msg }) => msg === 'the node is registered');
    await node.signal('SIGKILL');
    damageLog(node);
    const segments = readdirSync(join(node.dataDirectory, 'log'));
    await client.put('0/between', 'written by two');
    node.start();
    await untilLogged(node, 'its repair', ({ msg }) => msg.startsWith('the damaged data directory was put aside'));
    await untilStatus(client, 'node 3 to count again', countsAgain, 60_000);
    const aside = readdirSync(node.dataDirectory).filter((name) => name.includes('.damaged-'));
    expect(aside.map((name) => name.replace(/\.damaged-.*/, ''))).toEqual(['IDENTITY', 'log', 'shards']);
    expect(readdirSync(join(node.dataDirectory, aside[1]))).toEqual(segments);

    await processes.node(1).signal('SIGKILL');
    expect(await client.get('0/between', { deadlineMs: 20_000 })).toMatchObject({ type: 'found' });
    for (const key of keys) {
      expect(await client.get(key, { deadlineMs: 20_000 })).toMatchObject({ type: 'found' });
      await client.put(key, `after ${key}`, { deadlineMs: 20_000 });
    }

    // A medium that damages its data twice is for a person to look at.
    await node.signal('SIGKILL');
    damageLog(node);
    const { status, stderr } = await quorate('serve', '--config', node.configFile);
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /damaged at offset .* not repaired from the other nodes: .* is from an earlier repair: .*operations\.md\)\n$/,
    );
  }, 180_000);

  test('changes nothing while two of three are damaged, and nobody can decide', async () => {
    await using cluster = await startProcesses({ shards: 2, settings });
    const { processes, client } = cluster;
    await client.put('0/first', 'v');
    const damaged = [processes.node(2), processes.node(3)];
    for (const node of damaged) {
      await untilLogged(node, 'its registration', ({ msg }) => msg === 'the node is registered');
      await node.signal('SIGKILL');
      damageLog(node);
    }
    const before = damaged.map(({ dataDirectory }) => filesIn(dataDirectory));
    for (const node of damaged) node.start();
    for (const node of damaged) {
      await untilLogged(node, 'why it waits', ({ msg, asked }) => msg === 'waits to be replaced' && asked === 1);
    }
    expect(damaged.map(({ dataDirectory }) => filesIn(dataDirectory))).toEqual(before);
    // With a whole copy of the file one of them is what it was, and the other is repaired then.
    const [whole, other] = damaged;
    await whole.signal('SIGKILL');
    damageLog(whole);
    whole.start();
    await untilLogged(other, 'its repair', ({ msg }) => msg.startsWith('the damaged data directory was put aside'));
    await untilStatus(client, 'node 3 to count again', countsAgain, 60_000);
    expect(readdirSync(whole.dataDirectory).join(' ')).not.toContain('damaged');
  }, 180_000);
});

/** Names, sockets of locks aside. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => !name.endsWith('.sock'))
    .sort();
}
