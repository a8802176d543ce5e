/**
 * What must hold some time after the last fault, when clients are quiet: the cluster serves everything through every
 * node in service, all replicas are equal, and nothing is left over that grows. Each check returns what is wrong, or
 * undefined.
 */
import { utf8 } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import type { ShardId } from '../base/ids.js';
import { writeSizes } from '../log/batch-writer.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import type { SimCluster } from './cluster.js';
import type { SimMachine } from './machine.js';

/** A few election timeouts, and replay after a restart. */
const recoverMsMax = 30_000;
/** A follower that missed all of a run gets it from the leader's log within this. */
const convergeMsMax = 30_000;
/** Asking is looking at all replicas of the cluster. */
const lookEveryMs = 10;
/** Asking is a call to each node. */
const askEveryMs = 100;
const quietMs = 5000;
/** A leader that does not see whose log is long has the last few entries dropped every 10 s (src/node/replicas/log-keeper.ts). */
const shrinkMsMax = 25_000;

export async function requireRecovery(cluster: SimCluster): Promise<string | undefined> {
  return (
    (await requireLeaders(cluster)) ??
    (await requireProgress(cluster)) ??
    (await requireConvergence(cluster)) ??
    (await requireAllLive(cluster)) ??
    requireNothingLeft(cluster)
  );
}

/** Every node in service is up and knows the leader of each of its shards. */
export async function requireLeaders(cluster: SimCluster): Promise<string | undefined> {
  if (await cluster.runUntilReady(recoverMsMax)) return undefined;
  const missing = cluster.inService.map(({ name, node, failure }) => {
    const without = node?.host.shards.filter(({ replica }) => replica.leaderNode === undefined) ?? [];
    const shards = without.map(({ replica }) => replica.shard).join(', ');
    return `${name} ${node === undefined ? `is down: ${failure?.message ?? ''}` : `without leader: [${shards}]`}`;
  });
  return `not every shard had a leader ${recoverMsMax} ms after healing: ${missing.join('; ')}`;
}

/** A write and a linearizable read through every node on every shard. */
async function requireProgress(cluster: SimCluster): Promise<string | undefined> {
  for (const machine of cluster.inService) {
    for (const { descriptor } of machine.node?.shardMap().shards ?? []) {
      for (const { shard, operation } of probes(descriptor, machine)) {
        const result = await call(cluster, machine, operation);
        if (result.type !== 'failed') continue;
        return `no ${operation.type} on shard ${shard} through ${machine.name} after healing: ${result.error.message}`;
      }
    }
  }
  return undefined;
}

export interface Probe {
  readonly shard: ShardId;
  readonly operation: Operation;
}

/** A write and a linearizable read. @param sessionByte of those that ask at different times, each has another, above all node ids */
export function probes({ shard, start }: ShardDescriptor, machine: SimMachine, sessionByte = 0): Probe[] {
  const key = Uint8Array.of(...start, ...utf8('!progress'));
  const requestId = { session: new Uint8Array(16).fill(machine.id).fill(sessionByte, 8), seq: shard };
  return [
    { shard, operation: { type: 'put', key, value: utf8(machine.name), condition: { type: 'none' }, requestId } },
    { shard, operation: { type: 'get', key, consistency: 'linearizable' } },
  ];
}

function call(cluster: SimCluster, machine: SimMachine, operation: Operation): Promise<OperationResult> {
  const answer = new Promise<OperationResult>((resolve) => {
    if (!machine.submit(operation, recoverMsMax, resolve))
      resolve({ type: 'failed', error: new QuorateError('UNAVAILABLE', `${machine.name} is down`) });
  });
  return cluster.scheduler.complete(answer, cluster.scheduler.nowMs + 2 * recoverMsMax);
}

/** All replicas of each shard come to one applied index, and have one state there. */
async function requireConvergence(cluster: SimCluster): Promise<string | undefined> {
  const { scheduler } = cluster;
  const untilMs = scheduler.nowMs + convergeMsMax;
  while (await scheduler.runUntil(() => lagging(cluster).length === 0, untilMs, lookEveryMs)) {
    // Leaders may propose housekeeping in between; then once more.
    if (await scheduler.complete(cluster.checkReplicasAgree())) return undefined;
  }
  return `replicas did not converge within ${convergeMsMax} ms: ${lagging(cluster).join('; ')}`;
}

function lagging(cluster: SimCluster): string[] {
  const applied = new Map<number, { readonly name: string; readonly index: number }[]>();
  for (const { node, name } of cluster.machines) {
    for (const { replica } of node?.host.shards ?? []) {
      const replicas = applied.get(replica.shard) ?? [];
      replicas.push({ name, index: replica.appliedIndex });
      applied.set(replica.shard, replicas);
    }
  }
  return [...applied]
    .filter(([, replicas]) => replicas.some(({ index }) => index !== replicas[0].index))
    .map(
      ([shard, replicas]) => `shard ${shard}: ${replicas.map(({ name, index }) => `${name} at ${index}`).join(', ')}`,
    );
}

/** Who has just learned that another came back with a new directory connects to it some moments later. */
async function requireAllLive(cluster: SimCluster): Promise<string | undefined> {
  const { scheduler } = cluster;
  const untilMs = scheduler.nowMs + recoverMsMax;
  for (;;) {
    const wrong = await someoneNotLive(cluster);
    if (wrong === undefined || scheduler.nowMs >= untilMs) return wrong;
    await scheduler.run(scheduler.nowMs + askEveryMs);
  }
}

async function someoneNotLive(cluster: SimCluster): Promise<string | undefined> {
  const isInService = (id: number): boolean => !cluster.machine(id).isWithdrawn;
  for (const { node, name } of cluster.inService) {
    if (node === undefined) return `${name} is down`;
    const { nodes } = await cluster.scheduler.complete(
      node.status(recoverMsMax),
      cluster.scheduler.nowMs + recoverMsMax,
    );
    const dead = nodes.filter(({ live, id }) => !live && isInService(id));
    if (dead.length > 0) return `${name} does not see node ${dead.map(({ id }) => id).join(', ')} live`;
  }
  return undefined;
}

/** No operation waits for ever, no log goes on growing, nothing piles up between the nodes. */
async function requireNothingLeft(cluster: SimCluster): Promise<string | undefined> {
  const { scheduler, limits } = cluster;
  const logBytes = (): number[] => cluster.inService.map(({ node }) => node?.host.logStats.bytes ?? 0);
  const before = logBytes();
  // One more may be begun, over a spare one with its reserve.
  const segmentBytes = limits.segmentBytesMax + writeSizes(limits.segmentBytesMax).reserveBytes;
  await scheduler.run(scheduler.nowMs + quietMs);
  for (const [i, { name, callsUnderWay }] of cluster.inService.entries()) {
    if (callsUnderWay > 0) return `${name} never answered ${callsUnderWay} operations`;
    const bytes = logBytes()[i];
    if (bytes > before[i] + segmentBytes) return `the log of the quiet ${name} grows: ${before[i]} to ${bytes}`;
  }
  // Above this, trees are flushed and entries dropped; and a quiet cluster writes next to nothing.
  const bytesMax = limits.logBytesFlush + 4 * limits.segmentBytesMax;
  const isShort = (): boolean => logBytes().every((bytes) => bytes <= bytesMax);
  if (!(await scheduler.runUntil(isShort, scheduler.nowMs + shrinkMsMax, lookEveryMs)))
    return `logs do not shrink to ${bytesMax} bytes: ${logBytes().join(', ')}`;
  const queued = cluster.network.queuedBytes;
  return queued > limits.peerQueueBytesMax ? `${queued} bytes wait in connections of a quiet cluster` : undefined;
}
