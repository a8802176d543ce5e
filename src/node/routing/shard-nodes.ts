/**
 * Which node to ask for a shard that is not led here, and what its answer says about the leader.
 *
 * A node with a replica of the shard asks the leader that its replica knows. One without asks the shard's nodes in
 * turn; who does not lead names the leader, which is asked at once, and first from then on, until it fails.
 */
import type { NodeId, ShardId } from '../../base/ids.js';
import type { Clock } from '../../env/clock.js';
import type { PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import type { ShardDescriptor } from '../../shard/descriptor.js';
import type { KvExecutor } from '../../shard/kv-executor.js';

export interface ShardNodesOptions {
  readonly nodeId: NodeId;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** The executor of the shard's replica on this node, if there is one. */
  readonly executor: (shard: ShardDescriptor) => KvExecutor | undefined;
  /** Whether a connection to the node is up. */
  readonly isReachable: (node: NodeId) => boolean;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
}

export class ShardNodes {
  readonly #options: ShardNodesOptions;
  /** As other nodes have named them. One for each shard at most. */
  readonly #leaders = new Map<ShardId, NodeId>();

  constructor(options: ShardNodesOptions) {
    this.#options = options;
  }

  /** For try number `tries`, from 1. Undefined when this node's replica knows no leader, or is it. */
  choose(shard: ShardDescriptor, tries: number, stale: boolean): NodeId | undefined {
    const { executor, nodeId, isReachable } = this.#options;
    const replica = executor(shard)?.replica;
    if (replica !== undefined && !stale) return replica.leaderNode === nodeId ? undefined : replica.leaderNode;
    return nodeInTurn({
      others: this.#others(shard),
      leader: stale ? undefined : this.#leaders.get(shard.shard),
      isReachable,
      tries,
    });
  }

  #others({ replicas }: ShardDescriptor): NodeId[] {
    return replicas.map(({ node }) => node).filter((node) => node !== this.#options.nodeId);
  }

  /**
   * Asks `node`, and whom it names as the leader if it does not lead. Resolves with the answer, whatever it says.
   * Rejects as `request` does.
   */
  async ask(shard: ShardDescriptor, node: NodeId, body: PeerRequest, timeoutMs: number): Promise<PeerResponse> {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + timeoutMs;
    const response = await this.#askOnce(shard, node, body, timeoutMs);
    if (response.type !== 'failed' || response.error.outcome !== 'notApplied') return response;
    const { leader } = response;
    if (leader === undefined || leader === node || !this.#others(shard).includes(leader)) return response;
    this.#leaders.set(shard.shard, leader);
    return this.#askOnce(shard, leader, body, Math.max(1, untilMs - clock.monotonicMs()));
  }

  async #askOnce(shard: ShardDescriptor, node: NodeId, body: PeerRequest, timeoutMs: number): Promise<PeerResponse> {
    let response: PeerResponse | undefined;
    try {
      response = await this.#options.request(node, body, timeoutMs);
      return response;
    } finally {
      const failed = response === undefined || response.type === 'failed';
      if (failed && this.#leaders.get(shard.shard) === node) this.#leaders.delete(shard.shard);
    }
  }
}

/**
 * The known leader, then nodes that can be reached, then the rest: one that was never dialled may be the leader. Every
 * one has its turn.
 */
function nodeInTurn(of: {
  readonly others: readonly NodeId[];
  readonly leader: NodeId | undefined;
  readonly isReachable: (node: NodeId) => boolean;
  readonly tries: number;
}): NodeId | undefined {
  const rank = (node: NodeId): number => (node === of.leader ? 0 : of.isReachable(node) ? 1 : 2);
  const inOrder = [...of.others].sort((a, b) => rank(a) - rank(b));
  return inOrder.length === 0 ? undefined : inOrder[(of.tries - 1) % inOrder.length];
}
