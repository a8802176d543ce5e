/**
 * Which node to ask for a shard that is not led here, and what its answer says about the leader.
 *
 * A node with a replica of the shard asks the leader that its replica knows. One without asks the shard's nodes in
 * turn; who does not lead names the leader, which is asked at once, and first from then on, until it fails. A leader that
 * cannot be reached from here is asked by way of the node that named it (`relay.ts`). A replica that hears none, for longer than
 * an election takes, has the others asked for one.
 */
import type { NodeId, ShardId } from '../../base/ids.js';
import type { Clock } from '../../env/clock.js';
import type { PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import type { ShardDescriptor } from '../../shard/descriptor.js';
import type { KvExecutor } from '../../shard/kv-executor.js';
import type { Replica } from '../../shard/replica.js';

export interface ShardNodesOptions {
  readonly nodeId: NodeId;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** The executor of the shard's replica on this node, if there is one. */
  readonly executor: (shard: ShardDescriptor) => KvExecutor | undefined;
  /** Whether a connection to the node is up. */
  readonly isReachable: (node: NodeId) => boolean;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number, relay: boolean) => Promise<PeerResponse>;
}

/** Tries of an operation, about a tenth of a second, in which a replica without a leader is left to elect or hear one. */
const triesAlone = 4;
/** Between two questions for the leader of one shard. */
const searchAgainMs = 100;
const searchMsMax = 1000;

export class ShardNodes {
  readonly #options: ShardNodesOptions;
  /** As other nodes have named them. One for each shard at most. */
  readonly #leaders = new Map<ShardId, NodeId>();
  /** Who hands on what is for a leader that cannot be reached from here. One for each shard at most. */
  readonly #relays = new Map<ShardId, NodeId>();
  /** Whose turn it is to be asked for a leader, and when. One for each shard at most. */
  readonly #searches = new Map<ShardId, { readonly turn: number; readonly againAtMs: number }>();

  constructor(options: ShardNodesOptions) {
    this.#options = options;
  }

  /** For try number `tries`, from 1. Undefined when this node's replica knows no way to a leader, or is it. */
  choose(shard: ShardDescriptor, tries: number, stale: boolean): NodeId | undefined {
    const { executor, nodeId, isReachable } = this.#options;
    const replica = executor(shard)?.replica;
    const others = this.#others(shard);
    if (stale) return nodeInTurn({ others, first: undefined, isReachable, tries });
    const named = this.#leaders.get(shard.shard);
    const relay = this.#relays.get(shard.shard);
    const away = named !== undefined && isReachable(named) ? named : (relay ?? named);
    if (replica === undefined) return nodeInTurn({ others, first: away, isReachable, tries });
    const leader = replica.leaderNode;
    if (leader === nodeId) return undefined;
    if (leader !== undefined && isReachable(leader)) return leader;
    if (away === undefined && tries > triesAlone) this.#search(shard, replica);
    return away ?? leader;
  }

  /** Asks one of the others, each in its turn, whether it hears a leader. What is to be done waits here meanwhile. */
  #search(shard: ShardDescriptor, { replicaId }: Pick<Replica, 'replicaId'>): void {
    const { clock, isReachable, request } = this.#options;
    const reachable = this.#others(shard).filter((node) => isReachable(node));
    const { turn, againAtMs } = this.#searches.get(shard.shard) ?? { turn: 0, againAtMs: 0 };
    const now = clock.monotonicMs();
    if (reachable.length === 0 || now < againAtMs) return;
    const node = reachable[turn % reachable.length];
    this.#searches.set(shard.shard, { turn: turn + 1, againAtMs: now + searchAgainMs });
    request(node, { type: 'askStanding', shard: shard.shard, replica: replicaId }, searchMsMax, false).then(
      (response) => {
        if (response.type === 'standing' && response.leader !== undefined) this.#told(shard, response.leader, node);
      },
      () => undefined, // The next one is asked, if it is still asked for.
    );
  }

  /** `by` says that `leader` leads. */
  #told(shard: ShardDescriptor, leader: NodeId, by: NodeId): void {
    if (!this.#others(shard).includes(leader)) return;
    this.#leaders.set(shard.shard, leader);
    if (leader !== by && !this.#options.isReachable(leader)) this.#relays.set(shard.shard, by);
  }

  #others({ replicas }: ShardDescriptor): NodeId[] {
    return replicas.map(({ node }) => node).filter((node) => node !== this.#options.nodeId);
  }

  /**
   * Asks `node`, and whom it names as the leader if it does not lead: by way of `node` where that one cannot be reached. Resolves
   * with the answer, whatever it says. Rejects as `request` does.
   */
  async ask(shard: ShardDescriptor, node: NodeId, body: PeerRequest, timeoutMs: number): Promise<PeerResponse> {
    const { clock, isReachable } = this.#options;
    const untilMs = clock.monotonicMs() + timeoutMs;
    const isRelay = this.#relays.get(shard.shard) === node;
    const response = await this.#askOnce(shard, node, body, { timeoutMs, relay: isRelay });
    if (response.type !== 'failed' || response.error.outcome !== 'notApplied') return response;
    const { leader } = response;
    if (leader === undefined || leader === node || !this.#others(shard).includes(leader)) return response;
    const left = Math.max(1, untilMs - clock.monotonicMs());
    this.#told(shard, leader, node);
    if (isReachable(leader)) return this.#askOnce(shard, leader, body, { timeoutMs: left, relay: false });
    // It could not hand it on, or it can be asked to.
    return isRelay ? response : this.#askOnce(shard, node, body, { timeoutMs: left, relay: true });
  }

  async #askOnce(
    { shard }: ShardDescriptor,
    node: NodeId,
    body: PeerRequest,
    { timeoutMs, relay }: { readonly timeoutMs: number; readonly relay: boolean },
  ): Promise<PeerResponse> {
    let response: PeerResponse | undefined;
    try {
      response = await this.#options.request(node, body, timeoutMs, relay);
      return response;
    } finally {
      const failed = response === undefined || response.type === 'failed';
      if (failed && this.#leaders.get(shard) === node) this.#leaders.delete(shard);
      if (failed && relay && this.#relays.get(shard) === node) this.#relays.delete(shard);
    }
  }
}

/**
 * The first, if there is one, then nodes that can be reached, then the rest: one that was never dialled may be the leader. Every
 * one has its turn.
 */
function nodeInTurn(of: {
  readonly others: readonly NodeId[];
  readonly first: NodeId | undefined;
  readonly isReachable: (node: NodeId) => boolean;
  readonly tries: number;
}): NodeId | undefined {
  const rank = (node: NodeId): number => (node === of.first ? 0 : of.isReachable(node) ? 1 : 2);
  const inOrder = [...of.others].sort((a, b) => rank(a) - rank(b));
  return inOrder.length === 0 ? undefined : inOrder[(of.tries - 1) % inOrder.length];
}
