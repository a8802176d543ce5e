/** Three real processes on loopback, as the suites of whole clusters measure them: settings and shards of users, but for what a suite says. */
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { ProcessCluster, type ProcessClusterOptions } from '../jepsen-lite/cluster/process-cluster.js';
import type { Client } from '../src/client/index.js';

const pollEveryMs = 20;

/** Started; it may take a while until it answers: {@link whenReady}. */
export async function startCluster(options: Omit<ProcessClusterOptions, 'program'> = {}): Promise<ProcessCluster> {
  const program = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
  const cluster = await ProcessCluster.create({ program, shards: 'ofTheNode', ...options });
  cluster.start();
  return cluster;
}

/** All nodes live, all shards led: what the next fault takes away, the others have. */
export async function whenReady(client: Client): Promise<void> {
  for (;;) {
    const { nodes, shards } = await client.status();
    const isWhole = shards.length > 0 && shards.every((shard) => shard.leader !== undefined);
    if (isWhole && nodes.every((node) => node.live)) return;
    await setTimeout(pollEveryMs);
  }
}
