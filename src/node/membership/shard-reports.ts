/**
 * Tells the placement group who belongs to the shards that this node leads, where the shard map does not have that yet. Until
 * it does, requests still find the leader: whoever is asked and does not lead says who does.
 */
import { QuorateError } from '../../base/errors.js';
import type { ShardId } from '../../base/ids.js';
import { isJoint } from '../../raft/config.js';
import { withLearners, type ShardDescriptor } from '../../shard/descriptor.js';
import type { Replica } from '../../shard/replica.js';
import { reportMembers, type AskingNode } from './ask-placement-leader.js';
import type { PlacementGroup } from '../placement-group.js';

export interface ShardReportsOptions extends AskingNode<Pick<PlacementGroup, 'leaderNode' | 'updateShard'>> {
  readonly replicas: () => Iterable<Pick<Replica, 'shard' | 'isReadyLeader' | 'descriptor'>>;
  readonly shardInMap: (shard: ShardId) => ShardDescriptor | undefined;
  /** A bug: the node must stop. */
  readonly onFailure: (error: unknown) => void;
}

/** Ticks between two looks. */
const lookTicks = 10;

export class ShardReports {
  readonly #options: ShardReportsOptions;
  #ticks = 0;
  #isUnderWay = false;

  constructor(options: ShardReportsOptions) {
    this.#options = options;
  }

  tick(): void {
    if (++this.#ticks % lookTicks !== 0 || this.#isUnderWay) return;
    const { replicas, shardInMap, group } = this.#options;
    if (group.leaderNode === undefined) return;
    for (const { shard, isReadyLeader, descriptor } of replicas()) {
      // What is joint is over soon.
      if (!isReadyLeader || isJoint(descriptor.configuration)) continue;
      const known = shardInMap(shard);
      if (known === undefined || known.epoch.membership >= descriptor.epoch.membership) continue;
      void this.#report(withLearners(descriptor, descriptor.configuration.learners));
      return;
    }
  }

  /** One at a time. One that fails is due again with the next look. */
  async #report(descriptor: ShardDescriptor): Promise<void> {
    this.#isUnderWay = true;
    try {
      await reportMembers(this.#options, descriptor, false);
    } catch (error) {
      // Whoever leads the placement group then is told.
      if (!(error instanceof QuorateError)) this.#options.onFailure(error);
    } finally {
      this.#isUnderWay = false;
    }
  }
}
