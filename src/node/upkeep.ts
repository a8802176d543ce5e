/**
 * What a node does by itself, with the ticks, so that the cluster knows of it and its replicas are where they belong: enters itself in
 * the registry, hands leaderships to better nodes, finds out which replicas were removed, tells the shard map of changes.
 */
import { placementShardId, type NodeId, type ShardId } from '../base/ids.js';
import type { QuorateError } from '../base/errors.js';
import type { Logger } from '../env/logger.js';
import { placementDescriptor } from '../placement/bootstrap.js';
import type { NodeRecord } from '../placement/placement-format.js';
import type { PeerRequest, PeerResponse } from '../rpc/peer-messages.js';
import type { Replica } from '../shard/replica.js';
import type { AssignedShards } from './replicas/assigned-shards.js';
import { LeaderBalance, leaderInstead } from './leader-balance.js';
import { MembershipCheck } from './membership/membership-check.js';
import type { PlacementGroup } from './placement-group.js';
import { Registration } from './membership/registration.js';
import type { ShardHost } from './replicas/shard-host.js';
import { ShardReports } from './membership/shard-reports.js';

export interface UpkeepOptions {
  /** This node, as it is to be registered. */
  readonly self: NodeRecord;
  /** Of the configuration. */
  readonly firstNodes: readonly NodeId[];
  readonly host: ShardHost;
  readonly assigned: AssignedShards;
  readonly placement: PlacementGroup;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  /** See `Peers.refusedBy`. */
  readonly refusedBy: () => ReadonlySet<NodeId>;
  /** Another node says where this one listens. */
  readonly onAddress: (node: NodeId, address: string) => void;
  readonly logger: Logger;
  /** Who hears no leader for so long asks others. */
  readonly silentTicksMax: number;
  /** This node must not run. */
  readonly onRefused: (error: QuorateError) => void;
  /** A bug: the node must stop. */
  readonly onFailure: (error: unknown) => void;
}

export class Upkeep {
  readonly #registration: Registration;
  readonly #leaderBalance: LeaderBalance;
  readonly #membershipCheck: MembershipCheck;
  readonly #shardReports: ShardReports;

  constructor(options: UpkeepOptions) {
    const { self, firstNodes, host, assigned, placement, ...common } = options;
    const nodeId = self.id;
    const replicas = (): Replica[] => host.shards.map(({ replica }) => replica);
    const leader = (): NodeId | undefined => placement.leaderNode;
    const others = (): NodeId[] =>
      [...new Set([...firstNodes, ...placement.state.nodes.keys()])].filter((node) => node !== nodeId);
    const hasSeat = (): boolean => placement.replica !== undefined;
    this.#registration = new Registration({ ...common, self, others, leader, hasSeat, local: placement });
    this.#membershipCheck = new MembershipCheck({
      ...common,
      nodeId,
      shards: () => host.shards,
      shardInMap: (shard) => (shard === placementShardId ? placementDescriptor(firstNodes) : assigned.shard(shard)),
      depart: (hosted, why) => host.depart(hosted, why),
    });
    host.onSuperseded = (shard, replica) => this.#membershipCheck.superseded(shard, replica);
    const shardInMap = assigned.shard.bind(assigned);
    this.#shardReports = new ShardReports({ ...common, nodeId, replicas, shardInMap, group: placement });
    const placementLeader = (): NodeId | undefined => {
      const { replica } = placement;
      if (replica === undefined) return undefined;
      const members = replica.descriptor.replicas.map(({ node }) => node);
      const able = members.filter((node) => replica.isCaughtUp(node));
      return leaderInstead(nodeId, { members, able }, options.refusedBy());
    };
    const preferredLeader = (shard: ShardId): NodeId | undefined =>
      shard === placementShardId ? placementLeader() : assigned.preferredLeader(shard);
    this.#leaderBalance = new LeaderBalance({ ...common, nodeId, replicas, preferredLeader });
  }

  tick(): void {
    this.#registration.tick();
    this.#leaderBalance.tick();
    this.#membershipCheck.tick();
    this.#shardReports.tick();
  }

  /** Hands no leadership to others for the sake of balance any more. */
  stopBalance(): void {
    this.#leaderBalance.stop();
  }

  close(): void {
    this.#membershipCheck.close();
  }
}
