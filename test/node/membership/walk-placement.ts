import { QuorateError } from '../../../src/base/errors.js';
import type { PlacementChange } from '../../../src/placement/placement-format.js';
import type { PlacementState } from '../../../src/placement/placement-state.js';
import type { ReplicaDescriptor } from '../../../src/shard/descriptor.js';
import type { GroupDescriptor } from '../../../src/shard/group-descriptor.js';
import type { WalkCluster } from './walk-cluster.js';

export type Decision = (state: PlacementState, placement: GroupDescriptor) => readonly PlacementChange[];

/** The placement group, as long as this one leads it. */
export class LedPlacement {
  constructor(
    private readonly cluster: WalkCluster,
    private readonly leader: ReplicaDescriptor,
  ) {}

  get state(): PlacementState {
    return this.cluster.state;
  }

  get replica(): unknown {
    const { leader, descriptor } = this.cluster.placement;
    return { isReadyLeader: leader === this.leader, descriptor };
  }

  async decide(decision: Decision): Promise<void> {
    await Promise.resolve();
    if (this.cluster.placement.leader !== this.leader) throw new QuorateError('NOT_LEADER', 'it leads no more');
    this.cluster.decide(decision);
  }
}
