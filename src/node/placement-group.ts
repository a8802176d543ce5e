/**
 * This node's part in the placement group: what its replica knows and, where it leads, does. The replica may go and another come,
 * as on a node that is replaced; what was known stays until the next one knows.
 */
import { QuorateError } from '../base/errors.js';
import { placementShardId, type NodeId, type Timestamp } from '../base/ids.js';
import type { Clock } from '../env/clock.js';
import type { Logger } from '../env/logger.js';
import type { NodeRecord } from '../placement/placement-format.js';
import { PlacementLeader } from '../placement/placement-leader.js';
import { emptyPlacementState, type PlacementState } from '../placement/placement-state.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import type { Voucher } from '../shard/read-gate.js';
import type { Replica } from '../shard/replica.js';
import { PlacementView } from './routing/placement-view.js';
import type { ShardHost } from './replicas/shard-host.js';

export interface PlacementGroupOptions {
  readonly host: Pick<ShardHost, 'shard' | 'onChange'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the first leader of a new cluster writes. */
  readonly firstMap: readonly ShardDescriptor[];
  readonly onChange: (state: PlacementState) => void;
  /** The node must stop. */
  readonly onFailure: (error: unknown) => void;
}

interface Seat {
  readonly replica: Replica;
  readonly leader: PlacementLeader;
  readonly view: PlacementView;
}

export class PlacementGroup {
  readonly #options: PlacementGroupOptions;
  #seat: Seat | undefined;
  #state: PlacementState = emptyPlacementState;

  constructor(options: PlacementGroupOptions) {
    this.#options = options;
    const { host, onFailure } = options;
    this.#sit(host.shard(placementShardId)?.replica);
    host.onChange((shard, hosted) => {
      if (shard !== placementShardId) return;
      this.#sit(hosted?.replica);
      this.load().catch(onFailure);
    });
  }

  #sit(replica: Replica | undefined): void {
    this.#seat?.view.close();
    this.#seat = undefined;
    if (replica === undefined) return;
    const { clock, logger, firstMap, onFailure } = this.#options;
    const leader = new PlacementLeader({ replica, clock, logger, firstMap });
    const change = (state: PlacementState): void => this.#changed(replica, state);
    this.#seat = { replica, leader, view: new PlacementView(replica, { change, failure: onFailure }) };
  }

  #changed(replica: Replica, state: PlacementState): void {
    if (this.#seat?.replica !== replica || replica.standing !== 'member') return;
    this.#state = state;
    this.#options.onChange(state);
  }

  /** Resolves when {@link state} is what the replica holds. */
  async load(): Promise<void> {
    await this.#seat?.view.load();
  }

  /** Undefined while there is none on this node. */
  get replica(): Replica | undefined {
    return this.#seat?.replica;
  }

  get state(): PlacementState {
    return this.#state;
  }

  /** As far as the replica here knows. */
  get leaderNode(): NodeId | undefined {
    return this.#seat?.replica.leaderNode;
  }

  /** What the replica here says of itself, for the leader: see docs/protocol/timestamps.md. */
  get voucher(): Voucher | undefined {
    if (this.#seat === undefined) return undefined;
    const { replicaId, term } = this.#seat.replica;
    return { replica: replicaId, term };
  }

  // ---- what the leader does: see PlacementLeader. All of it rejects with NOT_LEADER where this node does not lead.

  timestamps(...asked: Parameters<PlacementLeader['timestamps']>): Promise<Timestamp> {
    return this.#leading((leader) => leader.timestamps(...asked));
  }

  register(node: NodeRecord): Promise<void> {
    return this.#leading((leader) => leader.register(node));
  }

  updateShard(descriptor: ShardDescriptor, isWanted: boolean): Promise<void> {
    return this.#leading((leader) => leader.updateShard(descriptor, isWanted));
  }

  decide(...decision: Parameters<PlacementLeader['decide']>): Promise<void> {
    return this.#leading((leader) => leader.decide(...decision));
  }

  #leading<T>(act: (leader: PlacementLeader) => Promise<T>): Promise<T> {
    if (this.#seat !== undefined) return act(this.#seat.leader);
    const message = 'no replica of the placement group here';
    return Promise.reject(new QuorateError('NOT_LEADER', message, { shard: placementShardId }));
  }
}
