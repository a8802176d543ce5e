/** Our side: three processes with default settings, as many shards as they make by themselves, and a probe inside each. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { ProcessCluster } from '../../jepsen-lite/cluster/process-cluster.js';
import { compareBytes } from '../../src/base/bytes.js';
import { connect, type Client, type ClusterStatus, type ShardStatus } from '../../src/client/index.js';
import { quorateCalls } from './calls.js';
import { keyOf, valueOf } from './keys.js';
import { askProbe } from './probe-messages.js';
import type { DataOptions, MeasuredProcess, RunningSystem } from './system.js';

export interface RunningQuorate extends RunningSystem {
  /** With a stream to each node. */
  readonly client: Client;
  /** Folder of the sockets of the processes' probes. */
  readonly probes: string;
  readonly shards: number;
}

export const quorateName = 'Quorate';

const pollEveryMs = 100;
/** So many looks in a row must find all leaders where they were: then nobody hands over any more. */
const looksAlike = 15;
const preloadBatch = 500;

/** @param settings of every node, beyond the defaults */
export async function startQuorate(
  data: DataOptions,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<RunningQuorate> {
  const probes = mkdtempSync(join(tmpdir(), 'quorate-bench-probes-'));
  const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
  const probe = new URL('./node-probe.js', import.meta.url).href;
  const nodeOptions = `${process.env.NODE_OPTIONS ?? ''} --import ${probe}`;
  const environment = { NODE_OPTIONS: nodeOptions, BENCH_PROBE_FOLDER: probes };
  const cluster = await ProcessCluster.create({ program, shards: 'ofTheNode', settings, environment });
  let client: Client | undefined;
  const dispose = async (): Promise<void> => {
    await client?.close();
    await cluster[Symbol.asyncDispose]();
    rmSync(probes, { recursive: true });
  };
  try {
    cluster.start();
    client = await connect({ endpoints: cluster.endpoints, deadlineMs: 20_000 });
    await whenSettled(client);
    await preload(client, data);
    const status = await whenSettled(client);
    const shard = cannedShard(status);
    const keys = Array.from({ length: data.keys }, (_, n) => keyOf(n));
    const keysOfOneShard = keys.filter((key) => isIn(shard, key));
    const leader = cluster.node(Number(shard.leader));
    const others = cluster.nodes.filter((node) => node !== leader);
    return {
      calls: quorateCalls,
      endpoints: cluster.endpoints,
      leader: leader.endpoint,
      follower: others[0].endpoint,
      cannedKey: keysOfOneShard[0],
      keysOfOneShard,
      processes: [leader, ...others].map((node) => measured(`node ${node.id}`, Number(node.pid), probes)),
      client,
      probes,
      shards: status.shards.length,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function measured(name: string, pid: number, probes: string): MeasuredProcess {
  const inner: MeasuredProcess['inner'] = ({ watchesLoop } = { watchesLoop: true }) =>
    askProbe(probes, pid, { type: 'counters', watchesLoop });
  return { name, pid, inner };
}

/** One that another node leads than the placement group: so it is with most, and a put has to ask for its timestamp. */
function cannedShard({ shards, placement }: ClusterStatus): ShardStatus {
  return shards.find(({ leader }) => leader !== placement.leader) ?? shards[0];
}

function isIn({ start, end }: ShardStatus, key: Uint8Array): boolean {
  return compareBytes(start, key) <= 0 && (end.length === 0 || compareBytes(key, end) < 0);
}

/** All nodes live, all shards led, and leaders where they stay. */
async function whenSettled(client: Client): Promise<ClusterStatus> {
  let before = '';
  for (let alike = 0; ; await setTimeout(pollEveryMs)) {
    const status = await client.status();
    const { nodes, shards, placement } = status;
    const leaders = [placement, ...shards].map(({ leader }) => leader);
    const isWhole = shards.length > 0 && nodes.every(({ live }) => live) && leaders.every((one) => one !== undefined);
    const now = String(leaders);
    alike = isWhole && now === before ? alike + 1 : 0;
    before = now;
    if (alike >= looksAlike) return status;
  }
}

async function preload(client: Client, { keys, valueBytes }: DataOptions): Promise<void> {
  for (let n = 0; n < keys; n += preloadBatch) {
    const count = Math.min(preloadBatch, keys - n);
    const puts = Array.from({ length: count }, (_, i) => {
      return { type: 'put', key: keyOf(n + i), value: valueOf(valueBytes, n + i) } as const;
    });
    const results = await client.batch(puts);
    const failed = results.find((result) => result.type === 'failed');
    if (failed !== undefined) throw new Error('the data could not be written', { cause: failed });
  }
}
