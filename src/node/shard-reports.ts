/**
 * Tells the placement group who belongs to the shards that this node leads, where the shard map does not have that yet. Until
 * it does, requests still find the leader: whoever is asked and does not lead says who does.
 */
import { QuorateError } from '../base/errors.js';
import type { NodeId, ShardId } from '../base/ids.js';
import type { PlacementLeader } from '../placement/placement-leader.js';
import { isJoint } from '../raft/config.js';
import type { PeerRequest, PeerResponse } from '../rpc/peer-messages.js';
import { withLearners, type ShardDescriptor } from '../shard/descriptor.js';
import type { Replica } from '../shard/replica.js';

export interface ShardReportsOptions {
  readonly nodeId: NodeId;
  readonly replicas: () => Iterable<Pick<Replica, 'shard' | 'isReadyLeader' | 'descriptor'>>;
  readonly shardInMap: (shard: ShardId) => ShardDescriptor | undefined;
  /** The placement leader's node, as far as known. */
  readonly leader: () => NodeId | undefined;
  readonly local: Pick<PlacementLeader, 'updateShard'>;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  /** A bug: the node must stop. */
  readonly onFailure: (error: unknown) => void;
}

/** Ticks between two looks. */
const lookTicks = 10;
const reportMsMax = 2000;

export class ShardReports {
  readonly #options: ShardReportsOptions;
  #ticks = 0;
  #isUnderWay = false;

  constructor(options: ShardReportsOptions) {
    this.#options = options;
  }

  tick(): void {
    if (++this.#ticks % lookTicks !== 0 || this.#isUnderWay) return;
    const { replicas, shardInMap, leader } = this.#options;
    const to = leader();
    if (to === undefined) return;
    for (const { shard, isReadyLeader, descriptor } of replicas()) {
      // What is joint is over soon.
      if (!isReadyLeader || isJoint(descriptor.configuration)) continue;
      const known = shardInMap(shard);
      if (known === undefined || known.epoch.membership >= descriptor.epoch.membership) continue;
      void this.#report(to, withLearners(descriptor, descriptor.configuration.learners));
      return;
    }
  }

  /** One at a time. One that fails is due again with the next look. */
  async #report(to: NodeId, descriptor: ShardDescriptor): Promise<void> {
    const { nodeId, local, request } = this.#options;
    this.#isUnderWay = true;
    try {
      if (to === nodeId) await local.updateShard(descriptor, false);
      else await request(to, { type: 'reportShard', descriptor, isWanted: false }, reportMsMax);
    } catch (error) {
      // Whoever leads the placement group then is told.
      if (!(error instanceof QuorateError)) this.#options.onFailure(error);
    } finally {
      this.#isUnderWay = false;
    }
  }
}
