import { QuorateError } from '../../../src/base/errors.js';
import type { PlacementChange } from '../../../src/placement/placement-format.js';
import type { PlacementState } from '../../../src/placement/placement-state.js';
import type { ReplicaDescriptor } from '../../../src/shard/descriptor.js';
import type { GroupDescriptor } from '../../../src/shard/group-descriptor.js';
import type { NodeId } from '../../../src/base/ids.js';
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

/** As they are read from the placement group: by their keys. */
export function inOrder(state: PlacementState): PlacementState {
  const byKey = ([a]: readonly [NodeId, unknown], [b]: readonly [NodeId, unknown]): number =>
    String(a) < String(b) ? -1 : 1;
  return {
    ...state,
    removals: new Map([...state.removals].sort(byKey)),
    replacements: new Map([...state.replacements].sort(byKey)),
  };
}

/** What waits for nothing but turns of promises has happened. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 12; i++) await Promise.resolve();
}
