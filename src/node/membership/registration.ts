/**
 * Tells the placement group that this node is there, and where, until it has said yes. A node that hears nothing of the group's
 * leader, as one does that comes in place of another and is no member yet, asks the other nodes in turn who that is.
 */
import { QuorateError } from '../../base/errors.js';
import type { NodeId } from '../../base/ids.js';
import type { Logger } from '../../env/logger.js';
import type { PlacementLeader } from '../../placement/placement-leader.js';
import type { NodeRecord } from '../../placement/placement-format.js';
import type { PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';

export interface RegistrationOptions {
  readonly self: NodeRecord;
  /** The placement leader's node, as far as known. */
  readonly leader: () => NodeId | undefined;
  readonly local: Pick<PlacementLeader, 'register'>;
  /** Who may know of the leader. */
  readonly others: () => readonly NodeId[];
  /** Whether a replica of the placement group is here, which may hear of the leader. */
  readonly hasSeat: () => boolean;
  /** With one, and without a leader for so long, the others are asked. */
  readonly silentTicksMax: number;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  /** A node that was asked says where the leader listens. */
  readonly onAddress: (leader: NodeId, address: string) => void;
  readonly logger: Logger;
  /** It said no: this node must not run. */
  readonly onRefused: (error: QuorateError) => void;
  /** A bug: the node must stop. */
  readonly onFailure: (error: unknown) => void;
}

/** Ticks after a try that failed, until the next. */
const retryTicks = 10;
const tryMsMax = 2000;

export class Registration {
  readonly #options: RegistrationOptions;
  #state: 'due' | 'underWay' | 'done' = 'due';
  #ticksToWait = 0;
  #silentTicks = 0;
  #turn = 0;
  /** Who leads, as another node says. */
  #hint: NodeId | undefined;

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  /** As soon as there is a leader: until the node is registered, nobody could tell its disk from an empty one. */
  tick(): void {
    if (this.#state !== 'due') return;
    const leader = this.#options.leader();
    this.#silentTicks = leader === undefined ? this.#silentTicks + 1 : 0;
    if (this.#ticksToWait-- > 0) return;
    this.#ticksToWait = 0;
    const to = leader ?? this.#nextToAsk();
    if (to !== undefined) void this.#try(to);
  }

  #nextToAsk(): NodeId | undefined {
    const { hasSeat, silentTicksMax } = this.#options;
    const hint = this.#hint;
    this.#hint = undefined;
    if (hint !== undefined || (hasSeat() && this.#silentTicks < silentTicksMax)) return hint;
    const others = this.#options.others();
    return others.at(this.#turn++ % Math.max(1, others.length));
  }

  async #try(leader: NodeId): Promise<void> {
    this.#state = 'underWay';
    try {
      await this.#registerAt(leader);
      this.#state = 'done';
      this.#options.logger.info('the node is registered', { storeId: this.#options.self.storeId });
    } catch (error) {
      this.#state = 'due';
      this.#ticksToWait = retryTicks;
      if (!(error instanceof QuorateError)) this.#options.onFailure(error);
      else if (!error.retryable) this.#options.onRefused(error);
    }
  }

  async #registerAt(leader: NodeId): Promise<void> {
    const { self, local, request, onAddress } = this.#options;
    if (leader === self.id) {
      await local.register(self);
      return;
    }
    const { id: node, storeId, clientAddress, peerAddress } = self;
    const body = { type: 'registerNode', node, storeId, clientAddress, peerAddress } as const;
    const response = await request(leader, body, tryMsMax);
    if (response.type !== 'failed') return;
    const { leader: hint, leaderAddress } = response;
    if (hint !== undefined && leaderAddress !== undefined) onAddress(hint, leaderAddress);
    this.#hint = hint;
    throw response.error;
  }
}
