/**
 * One question for timestamps, on its way: to the placement leader, or by way of a node that hands it on to it where that
 * cannot be reached, or none is known here (`relay.ts`).
 */
import { QuorateError } from '../../base/errors.js';
import type { NodeId, Timestamp } from '../../base/ids.js';
import type { Clock } from '../../env/clock.js';
import type { Logger } from '../../env/logger.js';
import type { PeerRequest } from '../../rpc/peer-messages.js';
import type { Peers } from '../peers/peers.js';
import type { PlacementGroup } from '../placement-group.js';
import { wayToLeader } from './relay.js';

export interface TimestampRouteOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nodeId: NodeId;
  readonly placement: Pick<PlacementGroup, 'leaderNode' | 'voucher' | 'timestamps'>;
  readonly peers: Pick<Peers, 'reachable' | 'request'>;
}

/** A relay that does not answer leaves time for another, before a caller gives up. */
const relayMsMax = 400;
/** Until then a line that is cut without a sign is known to be (docs/protocol/peer.md, "Silence"). */
const avoidMs = 2000;

type Question = Extract<PeerRequest, { type: 'timestamps' }>;

export class TimestampRoute {
  readonly #options: TimestampRouteOptions;
  /** A leader that was asked in vain. */
  #avoided: { readonly leader: NodeId; readonly untilMs: number; readonly error: QuorateError } | undefined;
  /** The relay that helped last, since the leader itself answered. */
  #helped: NodeId | undefined;
  /** Since one helped. */
  #relaysFailed = 0;

  constructor(options: TimestampRouteOptions) {
    this.#options = options;
  }

  /** Tries one way. Rejects with what went wrong on it; the next call may take another. */
  ask(count: number, timeoutMs: number): Promise<Timestamp> {
    const { nodeId, placement, peers } = this.#options;
    const leader = placement.leaderNode;
    if (leader === nodeId) return this.#inTime(placement.timestamps(count), timeoutMs);
    const isAvoided = this.#avoidance(leader) !== undefined;
    const relays = { helped: this.#helped, relaysFailed: this.#relaysFailed };
    const way = wayToLeader({ leader, isAvoided, reachable: peers.reachable, ...relays });
    switch (way.type) {
      case 'direct':
        return this.#askLeader(way.node, count, timeoutMs);
      case 'relay':
        return this.#askRelay(way.node, count, Math.min(timeoutMs, relayMsMax));
      case 'none':
        return Promise.reject(
          new QuorateError('NOT_LEADER', `${this.#whyNotDirect(leader)}, nor reaches another node`),
        );
    }
  }

  #avoidance(leader: NodeId | undefined): QuorateError | undefined {
    const avoided = this.#avoided;
    if (avoided === undefined || avoided.leader !== leader) return undefined;
    return this.#options.clock.monotonicMs() < avoided.untilMs ? avoided.error : undefined;
  }

  async #askLeader(leader: NodeId, count: number, timeoutMs: number): Promise<Timestamp> {
    const { placement, clock } = this.#options;
    this.#avoided = undefined;
    try {
      const voucher = placement.voucher;
      const first = await this.#request(leader, { type: 'timestamps', count, voucher }, timeoutMs, false);
      this.#helped = undefined;
      return first;
    } catch (thrown) {
      const error = QuorateError.from(thrown);
      // Whose line is known to be cut is not reachable; and who has too much to do is not asked the same by way of another.
      const mayHelp = error.code === 'NOT_LEADER' || error.code === 'DEADLINE_EXCEEDED';
      if (mayHelp) this.#avoided = { leader, untilMs: clock.monotonicMs() + avoidMs, error };
      throw error;
    }
  }

  async #askRelay(relay: NodeId, count: number, timeoutMs: number): Promise<Timestamp> {
    const { logger, placement } = this.#options;
    const why = this.#whyNotDirect(placement.leaderNode);
    try {
      const first = await this.#request(relay, { type: 'timestamps', count, voucher: undefined }, timeoutMs, true);
      if (this.#helped !== relay) logger.info('gets timestamps by way of another node', { by: relay, why });
      this.#helped = relay;
      this.#relaysFailed = 0;
      return first;
    } catch (thrown) {
      this.#relaysFailed++;
      this.#avoided = undefined;
      const error = QuorateError.from(thrown);
      const { code, retryable, retryAfterMs } = error;
      const message = `${why}; asked instead of it, node ${relay}: ${error.message}`;
      throw new QuorateError(code, message, { retryable, retryAfterMs, cause: error });
    }
  }

  #whyNotDirect(leader: NodeId | undefined): string {
    const { nodeId } = this.#options;
    if (leader === undefined) return `node ${nodeId} hears no leader of the placement group`;
    const error = this.#avoidance(leader);
    if (error !== undefined) return `node ${leader} as the leader of the placement group: ${error.message}`;
    return `node ${nodeId} cannot reach node ${leader}, which leads the placement group`;
  }

  async #request(node: NodeId, body: Question, timeoutMs: number, relay: boolean): Promise<Timestamp> {
    const { count } = body;
    const response = await this.#options.peers.request(node, body, timeoutMs, relay);
    if (response.type === 'failed') throw response.error;
    if (response.type === 'timestamps' && response.count === count) return response.first;
    throw new QuorateError('INTERNAL', `node ${node} answered a request for ${count} timestamps with something else`);
  }

  /** A placement group that cannot answer must not keep every shard of this node waiting. */
  #inTime(issued: Promise<Timestamp>, timeoutMs: number): Promise<Timestamp> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.after(timeoutMs, () =>
        reject(new QuorateError('NOT_LEADER', 'the placement leader here did not issue timestamps in time')),
      );
      issued.then(resolve, reject).finally(() => timer.cancel());
    });
  }
}
