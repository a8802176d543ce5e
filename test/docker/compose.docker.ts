/**
 * The image and docker-compose.yml as a user would run them. Clients are outside, on the published ports. Whatever was
 * acknowledged in any test must be there at the end of every test.
 */
import type { Client } from 'quorate';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { busiestNode, isCaughtUp, isWhole, shardOf, untilStatus } from '../integration/support.js';
import { ComposeCluster } from './compose-cluster.js';

/** Of docker-compose.yml. */
const gracePeriodMs = 20_000;
/** An operation that has to sit out an election and broken connections, on a busy machine. */
const deadlineMs = 20_000;

let cluster: ComposeCluster;
let client: Client;
/** What was acknowledged. */
const written = new Map<string, string>();

/** Spread over the letters and digits, and so over all shards. */
const keys = [...'0AIQYaiqy'].map((character) => `${character}/key`);

async function writeEverywhere(value: string): Promise<void> {
  for (const key of keys) {
    expect(await client.put(key, value, { deadlineMs })).toMatchObject({ type: 'written' });
    written.set(key, value);
  }
}

async function stored(through: Client): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { key, value } of through.scan({ deadlineMs })) {
    found.set(Buffer.from(key).toString(), Buffer.from(value).toString());
  }
  return found;
}

beforeAll(async () => {
  cluster = await ComposeCluster.create();
  await cluster.up();
  client = await cluster.connect(...cluster.nodes);
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') process.stderr.write(await cluster.lastWords());
});

afterAll(async () => {
  await client?.close();
  await cluster?.[Symbol.asyncDispose]();
  expect(await cluster?.possessions()).toEqual([]);
});

describe('three containers', () => {
  test('are built from the Dockerfile, healthy, without privileges, and one cluster', async () => {
    for (const node of cluster.nodes) {
      expect((await node.state()).Health?.Status).toBe('healthy');
      expect(await node.user()).toBe('node');
    }
    const status = await untilStatus(client, 'a cluster that is whole', isWhole);
    expect(status.nodes.map(({ clientAddress }) => clientAddress)).toEqual(cluster.endpoints);
  });

  test('take puts, gets and scans through any published port', async () => {
    await writeEverywhere('first');
    for (const node of cluster.nodes) {
      await using other = await cluster.connect(node);
      for (const key of keys) {
        expect(await other.get(key)).toMatchObject({ type: 'found', value: utf8('first') });
      }
      expect(await stored(other)).toEqual(written);
    }
  });

  test('go on when one is killed; started again, it catches up', async () => {
    const victim = cluster.node(busiestNode(await untilStatus(client, 'a cluster that is whole', isWhole)));
    await victim.kill();
    expect(await victim.state()).toMatchObject({ Running: false, ExitCode: 137 });
    await writeEverywhere('without the one that was killed');
    expect(await stored(client)).toEqual(written);

    await victim.start();
    await untilStatus(client, 'the killed node has caught up', isCaughtUp, 60_000);
    await using other = await cluster.connect(victim);
    expect(await stored(other)).toEqual(written);
  });

  test('stop on SIGTERM with status 0, within the grace period', async () => {
    const node = cluster.node(busiestNode(await untilStatus(client, 'a cluster that is whole', isWhole)));
    const beganMs = performance.now();
    await node.stop();
    expect(performance.now() - beganMs).toBeLessThan(gracePeriodMs);
    expect(await node.state()).toMatchObject({ Running: false, ExitCode: 0 });
    await writeEverywhere('without the one that was stopped');

    await node.start();
    await untilStatus(client, 'the stopped node has caught up', isCaughtUp, 60_000);
    expect(await stored(client)).toEqual(written);
  });

  test('refuse in time on the minority side of a partition, serve on the other; reconnected, they agree', async () => {
    const [key] = keys;
    const shard = shardOf(key, await untilStatus(client, 'a cluster that is whole', isWhole));
    if (shard.leader === undefined) throw new Error('a cluster that is whole has leaders');
    const minority = cluster.node(shard.leader);
    await minority.disconnect();

    const beganMs = performance.now();
    const refusals = await Promise.all([
      minority.quorate('--timeout', '3s', '--json', 'get', key),
      minority.quorate('--timeout', '3s', '--json', 'put', key, 'by the minority'),
    ]);
    // The three seconds, and the start of two processes on a busy machine.
    expect(performance.now() - beganMs).toBeLessThan(10_000);
    for (const { exitCode, stderr } of refusals) {
      expect(exitCode).toBe(2);
      expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'SHARD_UNAVAILABLE', shard: shard.id } });
    }
    await writeEverywhere('by the majority');
    expect(await stored(client)).toEqual(written);

    await minority.reconnect();
    await untilStatus(client, 'the node that was cut off has caught up', isCaughtUp, 60_000);
    await using other = await cluster.connect(minority);
    expect(await stored(other)).toEqual(written);
  });

  test('keep their data in the volumes over `down` and `up`', async () => {
    await cluster.down();
    expect((await cluster.possessions()).filter((id) => !id.startsWith('volume'))).toEqual([]);
    await cluster.up();
    await untilStatus(client, 'a cluster that is whole', isWhole);
    expect(await stored(client)).toEqual(written);
    await writeEverywhere('after all');
  });
});
