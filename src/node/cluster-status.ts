/** The state of the cluster as operators see it: what this node knows, and what the others answer within a short time. */
import type { NodeId } from '../base/ids.js';
import { placementDescriptor } from '../placement/bootstrap.js';
import { isGone, nodeStage } from '../placement/node-registry.js';
import type { PlacementState } from '../placement/placement-state.js';
import type { ClusterStatus, NodeStatus, ReplicaStatus, ShardStatus } from '../rpc/backend.js';
import { noSnapshots } from '../rpc/snapshot-traffic-codec.js';
import type { LocalReplicaStatus, LocalStatus, MemberStatus } from '../rpc/peer-messages.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import { roleOf } from '../shard/member-changes.js';
import type { InitialNode } from './options.js';
import type { HostedShard } from './replicas/hosted-shard.js';

export function localReplicaStatus({ replica, tree }: HostedShard): LocalReplicaStatus {
  const { descriptor } = replica;
  const { configuration } = descriptor;
  return {
    shard: replica.shard,
    leader: replica.leaderNode,
    term: replica.term,
    appliedIndex: replica.appliedIndex,
    commitIndex: replica.commitIndex,
    bytes: tree.stats().bytes + tree.stats().memtableBytes,
    membership: descriptor.epoch.membership,
    members: descriptor.replicas.map((member) => ({ ...member, role: roleOf(configuration, member.replica) })),
  };
}

/** Those that have joined, and those of the configuration that have not yet; by id. */
export function knownNodes(placement: PlacementState, initialNodes: readonly InitialNode[]): readonly InitialNode[] {
  const notYet = initialNodes.filter(({ id }) => !placement.nodes.has(id) && !isGone(placement, id));
  return [...placement.nodes.values(), ...notYet].sort((a, b) => a.id - b.id);
}

export interface StatusInput {
  readonly clusterId: string;
  readonly initialNodes: readonly InitialNode[];
  readonly placement: PlacementState;
  /** What the nodes said that answered. */
  readonly answers: readonly LocalStatus[];
}

/** Pure: puts the answers together. Of a shard that several nodes speak for, the highest term knows best. */
export function composeStatus({ clusterId, initialNodes, placement, answers }: StatusInput): ClusterStatus {
  const byNode = new Map(answers.map((answer) => [answer.node, answer]));
  const nodes = knownNodes(placement, initialNodes).map(({ id, clientAddress, peerAddress }): NodeStatus => {
    const answer = byNode.get(id);
    return {
      id,
      clientAddress,
      peerAddress,
      pid: answer?.pid ?? 0,
      live: answer !== undefined,
      softwareVersion: answer?.softwareVersion ?? '',
      logBytes: answer?.logBytes ?? 0,
      snapshots: answer?.snapshots ?? noSnapshots,
      stage: nodeStage(placement, id),
    };
  });
  return {
    clusterId,
    nodes,
    shards: placement.shardMap.shards.map((shard) => shardStatus(shard, byNode)),
    placement: shardStatus(placementDescriptor(initialNodes.map(({ id }) => id)), byNode),
  };
}

function shardStatus(shard: ShardDescriptor, answers: ReadonlyMap<NodeId, LocalStatus>): ShardStatus {
  const known = new Map<NodeId, LocalReplicaStatus>();
  for (const node of answers.keys()) {
    const status = answers.get(node)?.replicas.find((replica) => replica.shard === shard.shard);
    if (status !== undefined) known.set(node, status);
  }
  const newest = [...known.values()].reduce<LocalReplicaStatus | undefined>(
    (best, status) => (best === undefined || betterInformed(status, best) ? status : best),
    undefined,
  );
  const leader = newest?.leader !== undefined && answers.has(newest.leader) ? newest.leader : undefined;
  const speaker = (leader === undefined ? undefined : known.get(leader)) ?? newest;
  const { start, end } = shard;
  // The map follows what the shard itself says.
  const isNewer = speaker !== undefined && speaker.membership >= shard.epoch.membership && speaker.members.length > 0;
  const members = isNewer ? speaker.members : membersOf(shard);
  const epoch = { ...shard.epoch, membership: isNewer ? speaker.membership : shard.epoch.membership };
  const replicas = members.map(({ node, replica, role }): ReplicaStatus => {
    const status = known.get(node);
    const { appliedIndex = 0, commitIndex = 0 } = status ?? {};
    return { node, replica, role, appliedIndex, commitIndex, live: status !== undefined };
  });
  return { id: shard.shard, start, end, epoch, leader, term: speaker?.term ?? 0, replicas, bytes: speaker?.bytes ?? 0 };
}

function membersOf({ replicas, learners = [] }: ShardDescriptor): readonly MemberStatus[] {
  return replicas.map((member) => ({ ...member, role: learners.includes(member.replica) ? 'learner' : 'voter' }));
}

function betterInformed(a: LocalReplicaStatus, b: LocalReplicaStatus): boolean {
  if (a.term !== b.term) return a.term > b.term;
  return a.leader !== undefined && b.leader === undefined;
}
