/**
 * The smoke suite: three real processes on loopback, driven through the TypeScript client. Puts and gets at several
 * depths, and how long a shard whose leader was killed takes to acknowledge again.
 */
import { fileURLToPath } from 'node:url';

import { ProcessCluster } from '../jepsen-lite/cluster/process-cluster.js';
import { connect, type Client } from '../src/client/index.js';
import { runLoad, type Row } from './measure.js';

const depths = [1, 64, 256, 1024];
const keys = 100_000;
const valueBytes = 256;
const kills = { quick: 2, full: 10 };

export async function smoke(options: { quick: boolean; progress: (text: string) => void }): Promise<Row[]> {
  const program = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
  await using cluster = await ProcessCluster.create({ program });
  cluster.start();
  await using client = await connect({ endpoints: cluster.endpoints, deadlineMs: 20_000 });
  await whenReady(client);
  const seconds = options.quick ? 2 : 5;
  const value = 'v'.repeat(valueBytes);
  const rows: Row[] = [];
  for (const inFlight of depths) {
    for (const kind of ['put', 'get'] as const) {
      options.progress(`${kind}, ${inFlight} in flight`);
      const operation = (n: number): Promise<unknown> => {
        const key = `${letter(n)}/${(n * 7919) % keys}`;
        return kind === 'put' ? client.put(key, value) : client.get(key);
      };
      const result = await runLoad({ inFlight, seconds, operation });
      const name = `${kind}, ${inFlight} in flight, ${valueBytes} B values`;
      rows.push({ name, unit: 'operations/s', ours: result.perSecond });
      rows.push({ name: `${name}, p50`, unit: 'ms', ours: result.p50Ms });
      rows.push({ name: `${name}, p99`, unit: 'ms', ours: result.p99Ms });
    }
  }
  rows.push(...(await leaderKills(cluster, client, options)));
  return rows;
}

/** Keys that begin with all letters and digits, so that every shard gets its part. */
function letter(n: number): string {
  return (n % 36).toString(36);
}

async function whenReady(client: Client): Promise<void> {
  for (;;) {
    const { shards } = await client.status();
    if (shards.length > 0 && shards.every((shard) => shard.leader !== undefined)) return;
  }
}

/** Kills the leader of a shard, and measures until the next put of a key of that shard is acknowledged. */
async function leaderKills(
  cluster: ProcessCluster,
  client: Client,
  { quick, progress }: { quick: boolean; progress: (text: string) => void },
): Promise<Row[]> {
  const recoveries: number[] = [];
  const count = quick ? kills.quick : kills.full;
  for (let i = 0; i < count; i++) {
    progress(`leader killed, ${i + 1} of ${count}`);
    await whenReady(client);
    const { shards } = await client.status();
    const shard = shards[i % shards.length];
    const leader = cluster.node(Number(shard.leader));
    const key = shard.start.length === 0 ? '!' : shard.start;
    await client.put(key, 'before');
    const killedMs = performance.now();
    await leader.signal('SIGKILL');
    await client.put(key, 'after');
    recoveries.push(performance.now() - killedMs);
    leader.start();
  }
  recoveries.sort((a, b) => a - b);
  const median = recoveries[Math.floor(recoveries.length / 2)];
  return [
    { name: `leader killed to next acknowledged put, median of ${count}`, unit: 'ms', ours: Math.round(median) },
    {
      name: `leader killed to next acknowledged put, longest of ${count}`,
      unit: 'ms',
      ours: Math.round(recoveries[recoveries.length - 1]),
    },
  ];
}
