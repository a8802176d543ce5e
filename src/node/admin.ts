/** What operators and routing clients may ask of a node. */
import type { NodeId } from '../base/ids.js';
import type { Clock } from '../env/clock.js';
import type { PlacementState } from '../placement/placement-state.js';
import type { AdminBackend, ClusterStatus, ShardMapView, WantedReplicas } from '../rpc/backend.js';
import type { LocalStatus, PeerRequest, PeerResponse } from '../rpc/peer-messages.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import { composeStatus, localReplicaStatus } from './cluster-status.js';
import type { Identity } from './identity.js';
import { ReplicaChanges } from './replica-changes.js';
import type { InitialNode } from './options.js';
import type { ShardHost } from './shard-host.js';
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
  readonly clock: Clock;
  readonly host: Pick<ShardHost, 'shard' | 'shards' | 'logStats'>;
  readonly snapshots: Pick<Snapshots, 'stats'>;
  readonly placement: () => PlacementState;
  readonly leaderOf: (shard: ShardDescriptor) => NodeId | undefined;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
}

const statusMsMax = 1000;

export class Admin implements AdminBackend {
  readonly #options: AdminOptions;
  readonly #replicaChanges: ReplicaChanges;

  constructor(options: AdminOptions) {
    this.#options = options;
    const { identity, clock, host, placement, leaderOf, request } = options;
    this.#replicaChanges = new ReplicaChanges({
      nodeId: identity.nodeId,
      clock,
      nodes: () => this.#nodes(),
      shardInMap: (shard) => placement().shardMap.byId(shard),
      hosted: (shard) => host.shard(shard),
      leaderOf,
      request,
    });
  }

  /** See {@link ReplicaChanges.change}. */
  changeReplicas(wanted: WantedReplicas, timeoutMs: number): Promise<void> {
    return this.#replicaChanges.change(wanted, timeoutMs);
  }

  /** Ends calls that wait for others. */
  close(): void {
    this.#replicaChanges.close();
  }

  /** Also those of the configuration that this node has not heard of yet. */
  #nodes(): Set<NodeId> {
    const { initialNodes, placement } = this.#options;
    return new Set([...initialNodes.map(({ id }) => id), ...placement().nodes.keys()]);
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
    return composeStatus({ clusterId, initialNodes, placement: placement(), answers });
  }

  /** This node's part of the status. */
  localStatus(): LocalStatus {
    const { identity, facts, host, snapshots } = this.#options;
    const replicas = host.shards.map(localReplicaStatus);
    const { sentBytes, received } = snapshots.stats;
    return {
      node: identity.nodeId,
      ...facts,
      replicas,
      logBytes: host.logStats.bytes,
      snapshots: { sentBytes, receivedBytes: received.bytes, installed: received.installed },
    };
  }

  shardMap(): ShardMapView {
    const { initialNodes, placement, leaderOf } = this.#options;
    const { nodes, shardMap } = placement();
    return {
      revision: shardMap.revision,
      nodes: initialNodes.map((initial) => nodes.get(initial.id) ?? initial),
      shards: shardMap.shards.map((descriptor) => ({ descriptor, leader: leaderOf(descriptor) })),
    };
  }
}
