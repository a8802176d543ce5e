/**
 * Hands shards over to the nodes that had better lead them, calmly: one at a time, and only to a replica that has been
 * alive and caught up for some seconds. So leaders are spread again some seconds after a node has come back. Where the
 * leadership comes back, as from a node whose disk is stalled, the next try is made later each time.
 */
import type { NodeId, ShardId } from '../base/ids.js';
import type { Logger } from '../env/logger.js';
import type { Replica } from '../shard/replica.js';

export interface LeaderBalanceOptions {
  readonly nodeId: NodeId;
  readonly logger: Logger;
  /** All of this node. */
  readonly replicas: () => readonly LeadingReplica[];
  /** Undefined: no node is better than another. */
  readonly preferredLeader: (shard: ShardId) => NodeId | undefined;
}

type LeadingReplica = Pick<Replica, 'shard' | 'isReadyLeader' | 'isHandingOver' | 'isCaughtUp' | 'transferLeadership'>;

/** Ticks between two looks. */
const lookTicks = 20;
/** So many looks one after another must find the preferred replica caught up. */
const looksMin = 5;
/** Looks until the same shard is handed over again; doubles with each time that it came back. */
const pauseLooksMin = 30;
const pauseLooksMax = 1800;

interface Pause {
  readonly untilLook: number;
  readonly looks: number;
}

/**
 * Who had better lead the placement group than this node, where members refuse it: it came in place of another, which they have not heard
 * of, and who hears nothing of it can be told by another leader only. The next one in turn, since that one may be refused as well.
 *
 * @param members of the group
 * @param able those of them that could lead at once
 */
export function leaderInstead(
  self: NodeId,
  { members, able }: { readonly members: readonly NodeId[]; readonly able: readonly NodeId[] },
  refusedBy: ReadonlySet<NodeId>,
): NodeId | undefined {
  if (!members.some((node) => refusedBy.has(node))) return undefined;
  const others = able.filter((node) => node !== self && !refusedBy.has(node)).sort((a, b) => a - b);
  return others.find((node) => node > self) ?? others.at(0);
}

export class LeaderBalance {
  readonly #options: LeaderBalanceOptions;
  #ticks = 0;
  #looks = 0;
  readonly #pauses = new Map<ShardId, Pause>();
  /** By shard that another node had better lead: how many looks in a row found that node caught up. */
  #caughtUpLooks = new Map<ShardId, number>();
  #stopped = false;

  constructor(options: LeaderBalanceOptions) {
    this.#options = options;
  }

  tick(): void {
    if (!this.#stopped && ++this.#ticks % lookTicks === 0) this.#look();
  }

  #look(): void {
    const { nodeId, logger, replicas, preferredLeader } = this.#options;
    this.#looks++;
    const looks = new Map<ShardId, number>();
    let due: { readonly replica: LeadingReplica; readonly to: NodeId } | undefined;
    let isHandingOver = false;
    for (const replica of replicas()) {
      if (!replica.isReadyLeader) continue;
      isHandingOver ||= replica.isHandingOver;
      const { shard } = replica;
      const to = preferredLeader(shard);
      if (to === undefined || to === nodeId || !replica.isCaughtUp(to)) continue;
      const count = (this.#caughtUpLooks.get(shard) ?? 0) + 1;
      looks.set(shard, count);
      if (count >= looksMin && this.#looks >= (this.#pauses.get(shard)?.untilLook ?? 0)) due ??= { replica, to };
    }
    this.#caughtUpLooks = looks;
    if (due === undefined || isHandingOver) return;
    const { replica, to } = due;
    looks.delete(replica.shard);
    this.#pause(replica.shard);
    logger.info('hands over to the preferred leader', { shard: replica.shard, to });
    replica.transferLeadership(to);
  }

  #pause(shard: ShardId): void {
    const last = this.#pauses.get(shard);
    // It stayed away for as long again: what made it come back is over.
    const isOver = last === undefined || this.#looks >= last.untilLook + last.looks;
    const looks = isOver ? pauseLooksMin : Math.min(pauseLooksMax, 2 * last.looks);
    this.#pauses.set(shard, { untilLook: this.#looks + looks, looks });
  }

  /** Hands nothing over any more. */
  stop(): void {
    this.#stopped = true;
  }
}
