/**
 * The suite of killed leaders: how long the shards of a node that was killed take to acknowledge a write again. The node is
 * killed with SIGKILL while its shards are written to, and started again once they have all answered.
 */
import type { ProcessCluster } from '../jepsen-lite/cluster/process-cluster.js';
import { connect, type Client } from '../src/client/index.js';
import { percentile, type Row, type SuiteOptions } from './measure.js';
import { startCluster, whenReady } from './real-cluster.js';

const killsByDefault = { quick: 5, full: 50 };

export async function leaderKills({ quick, kills, progress }: SuiteOptions): Promise<Row[]> {
  await using cluster = await startCluster();
  await using client = await connect({ endpoints: cluster.endpoints, deadlineMs: 20_000 });
  return await measureLeaderKills(cluster, client, {
    kills: kills ?? (quick ? killsByDefault.quick : killsByDefault.full),
    progress,
  });
}

/** Kills the leaders of the shards in turn. One that leads several leaves all of them without: each is a sample. */
export async function measureLeaderKills(
  cluster: ProcessCluster,
  client: Client,
  { kills, progress }: { readonly kills: number; readonly progress: (text: string) => void },
): Promise<Row[]> {
  const each: number[] = [];
  const all: number[] = [];
  for (let i = 0; i < kills; i++) {
    await whenReady(client);
    const { shards } = await client.status();
    const { leader } = shards[i % shards.length];
    const keys = shards
      .filter((shard) => shard.leader === leader)
      .map(({ start }) => (start.length === 0 ? '!' : start));
    const node = cluster.node(Number(leader));
    await Promise.all(keys.map((key) => client.put(key, 'before')));
    const killedMs = performance.now();
    await node.signal('SIGKILL');
    const samples = await Promise.all(
      keys.map(async (key) => {
        await client.put(key, 'after');
        return Math.round(performance.now() - killedMs);
      }),
    );
    each.push(...samples);
    all.push(Math.max(...samples));
    progress(`leader killed, ${i + 1} of ${kills}: next acknowledged puts after ${samples.join(', ')} ms`);
    node.start();
  }
  const name = `leader killed to next acknowledged put, ${kills} times`;
  return [...figures(`${name}, a shard`, each), ...figures(`${name}, all shards of the node`, all)];
}

function figures(name: string, samples: readonly number[]): Row[] {
  return [
    { name: `${name}, p50`, unit: 'ms', ours: percentile(samples, 0.5), samples },
    { name: `${name}, p99`, unit: 'ms', ours: percentile(samples, 0.99) },
    { name: `${name}, max`, unit: 'ms', ours: Math.max(...samples) },
  ];
}
