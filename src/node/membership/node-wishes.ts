/**
 * An operator's wish to replace a node that has lost its disk, or to remove one; or a node's own wish, that has found its directory
 * damaged (retirement.ts). Any node takes it, the placement leader begins it,
 * and it is part of the placement group's state from then on: whoever leads that group carries it out (membership-work.ts), to its
 * end, also when nobody waits.
 */
import { QuorateError } from '../../base/errors.js';
import type { NodeId } from '../../base/ids.js';
import type { Clock } from '../../env/clock.js';
import { inTime } from '../../env/in-time.js';
import type { Logger } from '../../env/logger.js';
import { pause } from '../../env/pause.js';
import { departureOf, unknownStore } from '../../placement/node-departure.js';
import { groupsOf, hasReplicaOn, isGone, routeOf } from '../../placement/node-registry.js';
import { removalBegin } from '../../placement/node-removal.js';
import { replacementBegin } from '../../placement/node-replacement.js';
import type { PlacementState } from '../../placement/placement-state.js';
import type { PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import { askPlacementLeader, type AskingNode } from './ask-placement-leader.js';
import type { InitialNode } from '../options.js';
import type { PlacementGroup } from '../placement-group.js';

export interface NodeWishesOptions extends AskingNode<Pick<PlacementGroup, 'state' | 'leaderNode' | 'decide'>> {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Nodes of the placement group as it was formed. */
  readonly founders: readonly NodeId[];
  /** Those that are configured to form the cluster. */
  readonly initialNodes: readonly InitialNode[];
  readonly isReachable: (node: NodeId) => boolean;
}

export type NodeWish = Extract<PeerRequest, { readonly type: 'replaceNode' | 'removeNode' }>;

/** Between two tries to begin, and between two looks whether it is done. */
const retryMs = 200;
const beginMsMax = 5000;

/** Pauses; throws when the time is up, with what is waited for. */
type Wait = (reason: string) => Promise<void>;

export class NodeWishes {
  readonly #options: NodeWishesOptions;
  readonly #closing = new AbortController();

  constructor(options: NodeWishesOptions) {
    this.#options = options;
  }

  /** See `AdminBackend.replaceNode`. */
  async replace(node: NodeId, timeoutMs: number): Promise<void> {
    const wait = this.#waiting(`node ${node} is not replaced`, timeoutMs);
    const begun = await this.#begin({ type: 'replaceNode', node, storeId: undefined }, wait);
    const retired = begun.type === 'replacementBegun' ? begun.storeId : undefined;
    const isOver = ({ nodes, retiredStores }: PlacementState): boolean =>
      retired === undefined || (retiredStores.has(retired) && nodes.get(node)?.storeId !== retired);
    const { group } = this.#options;
    while (!isOver(group.state)) await wait(waitedFor(group.state, node, 'removed'));
  }

  /** See `AdminBackend.removeNode`. */
  async remove(node: NodeId, timeoutMs: number): Promise<void> {
    const wait = this.#waiting(`node ${node} is not removed`, timeoutMs);
    const { group } = this.#options;
    await this.#begin({ type: 'removeNode', node, storeId: group.state.nodes.get(node)?.storeId }, wait);
    while (!isGone(group.state, node)) await wait(waitedFor(group.state, node, 'moved'));
  }

  #waiting(what: string, timeoutMs: number): Wait {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + timeoutMs;
    return async (reason) => {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0) {
        const message = `${what} after ${timeoutMs} ms: ${reason}`;
        throw new QuorateError('DEADLINE_EXCEEDED', message, { outcome: 'unknown' });
      }
      await pause(clock, Math.min(retryMs, leftMs), this.#closing.signal);
    };
  }

  async #begin(wish: NodeWish, wait: Wait): Promise<PeerResponse> {
    const { clock } = this.#options;
    for (;;) {
      try {
        const limits = { clock, ms: beginMsMax, signal: this.#closing.signal, late: noAnswer };
        return await inTime(
          askPlacementLeader(this.#options, wish, beginMsMax, () => this.begin(wish)),
          limits,
        );
      } catch (thrown) {
        const error = QuorateError.from(thrown);
        if (!error.retryable) throw error;
        await wait(error.message);
      }
    }
  }

  /** By the placement leader. Rejects with what {@link replacementBegin} and {@link removalBegin} throw, and with NOT_LEADER. */
  async begin(wish: NodeWish): Promise<PeerResponse> {
    const { nodeId, group, founders, initialNodes, logger } = this.#options;
    const { type, node } = wish;
    const damaged = type === 'replaceNode' ? wish.storeId : undefined;
    logger.info(`is asked to ${type === 'replaceNode' ? 'replace' : 'remove'} a node`, { node, damaged });
    const isReachable = (other: NodeId): boolean => other === nodeId || this.#options.isReachable(other);
    let storeId: string | undefined;
    await group.decide((state, placement) => {
      const facts = { groups: groupsOf(state, placement), founders, isReachable };
      const initial = initialNodes.find(({ id }) => id === node);
      const founder = initial && { ...initial, storeId: damaged ?? unknownStore(node) };
      return departureOf(state, founder, facts, (known) => {
        storeId = known.nodes.get(node)?.storeId;
        return type === 'replaceNode'
          ? replacementBegin(known, node, facts, wish.storeId)
          : removalBegin(known, node, facts, wish.storeId);
      });
    });
    return type === 'replaceNode' ? { type: 'replacementBegun', storeId } : { type: 'removalBegun' };
  }

  /** Ends what waits. */
  close(): void {
    this.#closing.abort(new QuorateError('NODE_STOPPING', 'the node is stopping', { outcome: 'unknown' }));
  }
}

function waitedFor(state: PlacementState, node: NodeId, what: string): string {
  const { shards } = state.shardMap;
  const moves = shards.flatMap(({ shard }) =>
    routeOf(state, node, shard)
      .slice(0, 1)
      .map((to) => `${shard} to node ${to}`),
  );
  if (moves.length > 0) return `its replicas of these shards are not ${what} yet: ${moves.join(', ')}`;
  const left = shards.filter((group) => hasReplicaOn(group, node)).map(({ shard }) => shard);
  return left.length === 0 ? 'it is almost done' : `its replicas of shards ${left.join(', ')} are not ${what} yet`;
}

function noAnswer(): QuorateError {
  return new QuorateError('DEADLINE_EXCEEDED', 'the placement leader does not answer', { retryable: true });
}
