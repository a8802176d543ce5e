/** Who the members of a walk's groups are at first, and are to be in the end. */
import { emptyBytes } from '../../../src/base/bytes.js';
import { type NodeId, placementShardId, ReplicaId, type ShardId } from '../../../src/base/ids.js';
import { nodeStage } from '../../../src/placement/node-registry.js';
import { createConfiguration, isJoint } from '../../../src/raft/config.js';
import { type GroupDescriptor, newGroup, withConfiguration } from '../../../src/shard/group-descriptor.js';
import type { WantedMembers } from '../../../src/shard/member-changes.js';
import type { WalkCluster } from './walk-cluster.js';

export const replicasOfShard = 3;

/** What an operator wants of a node, until it is so. */
export interface Order {
  readonly type: 'replace' | 'remove';
  readonly node: NodeId;
  readonly storeId: string;
  /** It was accepted. */
  hasBegun: boolean;
}

/** What an operator wants of a shard, until the placement group knows that it is so. */
export interface Wish {
  readonly shard: ShardId;
  readonly members: WantedMembers;
  isUnderWay: boolean;
}

/** The group stands without the node for ever. */
export function survives({ replicas, configuration }: GroupDescriptor, node: NodeId): boolean {
  const lost = replicas.find((of) => of.node === node)?.replica;
  return [configuration.voters, configuration.votersOutgoing].every(
    (ids) => ids.length === 0 || 2 * ids.filter((id) => id !== lost).length > ids.length,
  );
}

export function formed(shard: ShardId, nodes: readonly NodeId[], isLast = true): GroupDescriptor {
  const replicas = [...nodes].sort((a, b) => a - b).map((node, i) => ({ replica: ReplicaId(i + 1), node }));
  const start = shard <= 1 ? emptyBytes : Uint8Array.of(shard - 1);
  const end = isLast ? emptyBytes : Uint8Array.of(shard);
  return newGroup({ shard, start, end, epoch: { membership: 1, range: 1 }, replicas });
}

export function placementGroup(nodes: readonly NodeId[], seats: number): GroupDescriptor {
  const group = formed(placementShardId, nodes);
  const ids = group.replicas.map(({ replica }) => replica);
  const configuration = createConfiguration({ voters: ids.slice(0, seats), learners: ids.slice(seats) });
  return withConfiguration(group, configuration);
}

/** What is not as it should be when all has been well for long. */
export function membersFaults(cluster: WalkCluster): string[] {
  const { state, orders, wishes, seats, groups, learning } = cluster;
  const faults: string[] = [];
  if (state.removals.size > 0) faults.push(`removals ${[...state.removals.keys()].join(' ')}`);
  if (state.replacements.size > 0) faults.push(`replacements ${[...state.replacements.keys()].join(' ')}`);
  if (orders.length > 0) faults.push(`orders ${JSON.stringify(orders)}`);
  if (wishes.length > 0) faults.push(`wishes ${JSON.stringify(wishes)}`);
  const inService = [...state.nodes.keys()].sort((a, b) => a - b);
  for (const { descriptor, leader } of groups) {
    const { shard, replicas, configuration } = descriptor;
    const on = replicas.map(({ node }) => node).sort((a, b) => a - b);
    const isSeated = shard === placementShardId;
    const voters = isSeated ? Math.min(seats, inService.length) : replicasOfShard;
    const learners = isSeated ? inService.length - voters : (learning.get(shard) ?? 0);
    const says = `shard ${shard} on ${replicas.map((of) => `${of.node} (${of.storeId ?? ''})`).join(', ')}`;
    if (leader === undefined) faults.push(`${says} has no leader`);
    if (cluster.abandoned.has(shard)) continue;
    if (configuration.voters.length !== voters || isJoint(configuration))
      faults.push(`${says} has voters ${configuration.voters.join(' ')}, not ${voters}`);
    if (configuration.learners.length !== learners)
      faults.push(`${says} has learners ${configuration.learners.join(' ')}, not ${learners}`);
    if (isSeated && String(on) !== String(inService)) faults.push(`${says}; in service are ${inService.join(' ')}`);
    for (const of of replicas) if (!cluster.isAlive(of)) faults.push(`${says}: that on ${of.node} does not live`);
  }
  return faults;
}

/** Who votes in a directory that is out of use, when another may come in its place: nobody. */
export function voterOutOfUse({ state, groups }: WalkCluster): string | undefined {
  for (const { descriptor } of groups) {
    const { replicas, configuration } = descriptor;
    for (const { replica, node, storeId = `store-${node}` } of replicas) {
      const votes = [...configuration.voters, ...configuration.votersOutgoing].includes(replica);
      const stage = nodeStage(state, node);
      if (votes && state.retiredStores.has(storeId) && (stage === 'vacant' || stage === 'joining'))
        return `replica ${replica} of shard ${descriptor.shard} votes in ${storeId}, which is out of use`;
    }
  }
  return undefined;
}

/** A shard with fewer voters than one that is replaced leaves, or more than changes on their way explain. */
export function votersFault({ groups }: WalkCluster): string | undefined {
  for (const { descriptor } of groups) {
    const { shard, configuration, replicas } = descriptor;
    const voters = replicas.filter(({ replica }) => configuration.voters.includes(replica)).map(({ node }) => node);
    const isFew = voters.length < replicasOfShard - 1 || voters.length >= 2 * replicasOfShard;
    if (shard !== placementShardId && isFew) return `shard ${shard} has voters on ${voters.join(' ')}`;
  }
  return undefined;
}
