import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';
import { parse } from 'yaml';

import { ProcessCluster, type ProcessClusterOptions } from '../../jepsen-lite/cluster/process-cluster.js';
import { configSchema, type ParsedConfig } from '../../src/node/config/schema.js';

/** What the nodes of a cluster that was asked for are told. */
async function configured(options: Pick<ProcessClusterOptions, 'shards'>): Promise<ParsedConfig['cluster']> {
  await using cluster = await ProcessCluster.create({ program: 'none', ...options });
  const config: unknown = parse(readFileSync(cluster.node(1).configFile, 'utf8'));
  return configSchema.parse(config).cluster;
}

test('a cluster has four shards, or as many as are asked for, or as many as a node makes by itself', async () => {
  expect((await configured({})).initialShards).toBe(4);
  expect((await configured({ shards: 3 })).initialShards).toBe(3);
  expect((await configured({ shards: 'ofTheNode' })).initialShards).toBe(8);
});
