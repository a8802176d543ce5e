/** A cluster's status for people and for machines. Pure. */
import { placementShardId } from '../base/ids.js';
import type { ClusterStatus, ReplicaStatus, ShardStatus } from '../client/index.js';
import { formatTable } from './table.js';
import { cut, escapeBytes, formatBytes, toBase64 } from './text.js';

const boundWidthMax = 24;

/**
 * The stable form; fields may be added, none is ever removed. `start` and `end` are escaped where they are not text.
 * What a node that did not answer would have had to say is null.
 */
export function statusToJson(status: ClusterStatus): unknown {
  return {
    clusterId: status.clusterId,
    nodes: nodesToJson(status),
    shards: status.shards.map((shard) => ({
      id: shard.id,
      start: escapeBytes(shard.start),
      end: escapeBytes(shard.end),
      startBase64: toBase64(shard.start),
      endBase64: toBase64(shard.end),
      ...groupToJson(shard),
    })),
    placement: groupToJson(status.placement),
  };
}

export function nodesToJson({ nodes }: ClusterStatus): readonly object[] {
  return nodes.map(({ id, clientAddress, peerAddress, pid, live, stage, softwareVersion, logBytes, snapshots }) => ({
    id,
    address: clientAddress,
    peerAddress,
    pid: live ? pid : null,
    live,
    stage: stage ?? null,
    softwareVersion: live ? softwareVersion : null,
    logBytes: live ? logBytes : null,
    snapshots: live ? snapshots : null,
  }));
}

/** What shards and the placement group have in common. */
function groupToJson(shard: ShardStatus): object {
  return {
    epoch: shard.epoch,
    leader: shard.leader ?? null,
    term: shard.term,
    replicas: byNode(shard).map(({ node, replica, role, appliedIndex, commitIndex, live }) => ({
      node,
      replica,
      role,
      appliedIndex: live ? appliedIndex : null,
      commitIndex: live ? commitIndex : null,
      live,
      lag: live ? lagOf(shard, appliedIndex) : null,
    })),
    bytes: shard.bytes,
  };
}

export function nodesTable(status: ClusterStatus): string {
  const leaders = new Map<number, number>();
  for (const { leader } of status.shards) if (leader !== undefined) leaders.set(leader, (leaders.get(leader) ?? 0) + 1);
  return formatTable(
    [
      { title: 'node' },
      { title: 'clients' },
      { title: 'peers' },
      { title: 'state' },
      { title: 'pid', align: 'right' },
      { title: 'leads', align: 'right' },
      { title: 'log', align: 'right' },
    ],
    status.nodes.map((node) => [
      node.id,
      node.clientAddress,
      node.peerAddress,
      (node.live ? 'live' : 'no answer') + (node.stage === undefined ? '' : `, ${node.stage}`),
      node.live ? node.pid : '-',
      leaders.get(node.id) ?? 0,
      node.live ? formatBytes(node.logBytes) : '-',
    ]),
  );
}

export function statusTables(status: ClusterStatus): string {
  const shards = formatTable(
    [
      { title: 'shard' },
      { title: 'from' },
      { title: 'to' },
      { title: 'epoch' },
      { title: 'leader' },
      { title: 'term', align: 'right' },
      ...status.nodes.map(({ id }) => ({ title: `applied on ${id}`, align: 'right' as const })),
      { title: 'size', align: 'right' },
    ],
    [status.placement, ...status.shards].map((shard) => [
      ...nameAndRange(shard),
      `${shard.epoch.membership}.${shard.epoch.range}`,
      shard.leader === undefined ? 'none' : shard.leader,
      shard.term,
      ...status.nodes.map(({ id }) => replicaCell(shard, id)),
      formatBytes(shard.bytes),
    ]),
  );
  const unformed = status.shards.length === 0 ? '\n\nno shards yet' : '';
  return `cluster ${status.clusterId}\n\n${nodesTable(status)}\n\n${shards}${unformed}`;
}

/** The placement group has no range of keys. */
function nameAndRange({ id, start, end }: ShardStatus): [number | string, string, string] {
  if (id === placementShardId) return ['placement', '', ''];
  return [id, start.length === 0 ? '-∞' : bound(start), end.length === 0 ? '∞' : bound(end)];
}

function bound(key: Uint8Array): string {
  return cut(escapeBytes(key), boundWidthMax);
}

/** Entries that the leader has committed and a replica has not applied. */
function lagOf(shard: ShardStatus, appliedIndex: number): number {
  const leader = shard.replicas.find(({ node }) => node === shard.leader);
  return Math.max(0, (leader?.commitIndex ?? appliedIndex) - appliedIndex);
}

function byNode(shard: ShardStatus): readonly ReplicaStatus[] {
  return [...shard.replicas].sort((a, b) => a.node - b.node);
}

/**
 * `120`, `118 (2)` with the lag where there is one, `?` when the node does not answer, with its role where it is no plain
 * voter; nothing without a replica.
 */
function replicaCell(shard: ShardStatus, node: number): string {
  const replica = shard.replicas.find((candidate) => candidate.node === node);
  if (replica === undefined) return '';
  const role = replica.role === 'voter' ? '' : `${replica.role} `;
  if (!replica.live) return `${role}?`;
  const lag = lagOf(shard, replica.appliedIndex);
  return role + (lag === 0 ? String(replica.appliedIndex) : `${replica.appliedIndex} (${lag})`);
}
