/** What operators and routing clients may ask of a node. */
import { placementShardId, type NodeId, type ShardId } from '../base/ids.js';
import type { Clock } from '../env/clock.js';
import type { Logger } from '../env/logger.js';
import { nodeStage, plannedFor, storeInUse } from '../placement/node-registry.js';
import type { AdminBackend, ClusterStatus, ShardMapView, WantedReplicas } from '../rpc/backend.js';
import type { LocalStatus, PeerRequest, PeerResponse } from '../rpc/peer-messages.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import { reportMembers } from './membership/ask-placement-leader.js';
import { composeStatus, knownNodes, localReplicaStatus } from './cluster-status.js';
import type { Identity } from './directory/identity.js';
import { MembershipWork } from './membership/membership-work.js';
import { NodeWishes } from './membership/node-wishes.js';
import type { PlacementGroup } from './placement-group.js';
import { ReplicaChanges } from './membership/replica-changes.js';
import type { InitialNode } from './options.js';
import type { ShardHost } from './replicas/shard-host.js';
import type { Snapshots } from './snapshots/snapshots.js';

/** What only the surrounding process knows, for the status. */
export interface ProcessFacts {
  readonly pid: number;
  readonly softwareVersion: string;
}

export interface AdminOptions {
  readonly identity: Identity;
  readonly facts: ProcessFacts;
  readonly initialNodes: readonly InitialNode[];
  /** Nodes of the placement group as it was formed. */
  readonly founders: readonly NodeId[];
  readonly clock: Clock;
  readonly host: Pick<ShardHost, 'shard' | 'shards' | 'logStats'>;
  readonly snapshots: Pick<Snapshots, 'stats'>;
  readonly placement: PlacementGroup;
  readonly isReachable: (node: NodeId) => boolean;
  readonly leaderOf: (shard: ShardDescriptor) => NodeId | undefined;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  readonly logger: Logger;
  /** A bug: the node must stop. */
  readonly onFailure: (error: unknown) => void;
}

const statusMsMax = 1000;

export class Admin implements AdminBackend {
  readonly #options: AdminOptions;
  readonly replicaChanges: ReplicaChanges;
  readonly nodeWishes: NodeWishes;
  readonly #membershipWork: MembershipWork;

  constructor(options: AdminOptions) {
    this.#options = options;
    const { identity, founders, clock, logger, host, placement, leaderOf, isReachable, request, onFailure } = options;
    const { initialNodes } = options;
    const { nodeId } = identity;
    const isPlacement = (shard: ShardId): boolean => shard === placementShardId;
    this.replicaChanges = new ReplicaChanges({
      nodeId,
      clock,
      nodes: () => this.#nodes(),
      storeOf: (node) => storeInUse(placement.state, node),
      stageOf: (node) => nodeStage(placement.state, node),
      plannedFor: (shard) => plannedFor(placement.state, shard),
      shardInMap: (shard) =>
        isPlacement(shard) ? placement.replica?.descriptor : placement.state.shardMap.byId(shard),
      hosted: (shard) => host.shard(shard),
      leaderOf: (descriptor) => (isPlacement(descriptor.shard) ? placement.leaderNode : leaderOf(descriptor)),
      request,
      tellWanted: (descriptor) => reportMembers({ nodeId, group: placement, request }, descriptor, true),
    });
    const changes = this.replicaChanges;
    const common = { nodeId, logger, isReachable, founders, group: placement };
    this.nodeWishes = new NodeWishes({ ...common, initialNodes, clock, request });
    this.#membershipWork = new MembershipWork({ ...common, changes, onFailure });
  }

  /** See {@link ReplicaChanges.change}. */
  changeReplicas(wanted: WantedReplicas, timeoutMs: number): Promise<void> {
    return this.replicaChanges.change(wanted, timeoutMs);
  }

  /** See {@link NodeWishes.replace}. */
  replaceNode(node: NodeId, timeoutMs: number): Promise<void> {
    return this.nodeWishes.replace(node, timeoutMs);
  }

  /** See {@link NodeWishes.remove}. */
  removeNode(node: NodeId, timeoutMs: number): Promise<void> {
    return this.nodeWishes.remove(node, timeoutMs);
  }

  tick(): void {
    this.#membershipWork.tick();
  }

  /** Ends calls that wait for others. */
  close(): void {
    this.nodeWishes.close();
    this.#membershipWork.close();
    this.replicaChanges.close();
  }

  /** Also those of the configuration that this node has not heard of yet. */
  #nodes(): Set<NodeId> {
    const { initialNodes, placement } = this.#options;
    return new Set(knownNodes(placement.state, initialNodes).map(({ id }) => id));
  }

  async status(timeoutMs: number): Promise<ClusterStatus> {
    const { identity, initialNodes, placement, request } = this.#options;
    const others = this.#nodes();
    others.delete(identity.nodeId);
    const asked = [...others].map(async (node) => {
      const response = await request(node, { type: 'nodeStatus' }, Math.min(timeoutMs, statusMsMax));
      return response.type === 'nodeStatus' ? response.status : undefined;
    });
    const answers: LocalStatus[] = [this.localStatus()];
    for (const answer of await Promise.allSettled(asked)) {
      if (answer.status === 'fulfilled' && answer.value !== undefined) answers.push(answer.value);
    }
    const { clusterId } = identity;
    return composeStatus({ clusterId, initialNodes, placement: placement.state, answers });
  }

  /** This node's part of the status. */
  localStatus(): LocalStatus {
    const { identity, facts, host, snapshots } = this.#options;
    const replicas = host.shards.map(localReplicaStatus);
    const { sentBytes, received } = snapshots.stats;
    const { bytes, spareBytes } = host.logStats;
    return {
      node: identity.nodeId,
      ...facts,
      replicas,
      logBytes: bytes + spareBytes,
      snapshots: { sentBytes, receivedBytes: received.bytes, installed: received.installed },
    };
  }

  shardMap(): ShardMapView {
    const { initialNodes, placement, leaderOf } = this.#options;
    const { shardMap } = placement.state;
    return {
      revision: shardMap.revision,
      nodes: knownNodes(placement.state, initialNodes),
      shards: shardMap.shards.map((descriptor) => ({ descriptor, leader: leaderOf(descriptor) })),
    };
  }
}
