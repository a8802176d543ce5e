/**
 * A node whose log has not synced for an election timeout hands over all that it leads, shards that nobody writes to as well: to nodes
 * of which it knows that their logs sync. A follower there has stored entries that wait here, or the node leads a shard of which a majority has
 * stored what waits here: on a full disk a leader's own shards take nothing. Where it knows none, disks are slow everywhere, and another
 * leader would do no better.
 */
import type { NodeId, ReplicaId, ShardId } from '../../base/ids.js';
import type { Logger } from '../../env/logger.js';
import { nodeOf } from '../../shard/descriptor.js';
import { bestFollower, nodesStoringMore } from '../../shard/followers.js';
import type { Replica } from '../../shard/replica.js';

export interface StalledLogOptions {
  /** See `SharedLog.underWay`. */
  readonly underWay: () => number | undefined;
  readonly shards: () => Iterable<{ readonly replica: StallingReplica }>;
  /** For which the log may be busy with one thing. */
  readonly ticksMax: number;
  readonly logger: Logger;
}

export type StallingReplica = Pick<
  Replica,
  'shard' | 'isLeader' | 'isHandingOver' | 'leaderNode' | 'descriptor' | 'status' | 'transferLeadership'
>;

export class StalledLog {
  readonly #options: StalledLogOptions;
  /** As of the last tick. */
  #underWay: number | undefined;
  #ticks = 0;
  /** Nodes whose logs sync, as far as was seen since this one does not. */
  readonly #working = new Set<NodeId>();
  /** That were handed over, or would be if somebody took them, since then. */
  readonly #told = new Set<ShardId>();

  constructor(options: StalledLogOptions) {
    this.#options = options;
  }

  tick(): void {
    const underWay = this.#options.underWay();
    const isSame = underWay !== undefined && underWay === this.#underWay;
    this.#underWay = underWay;
    this.#ticks = isSame ? this.#ticks + 1 : 0;
    if (this.#ticks >= this.#options.ticksMax) this.#handOver();
    else if (this.#ticks === 0) this.#forget();
  }

  #forget(): void {
    this.#working.clear();
    this.#told.clear();
  }

  #handOver(): void {
    const replicas = [...this.#options.shards()].map(({ replica }) => replica);
    for (const replica of replicas) for (const node of nodesSyncing(replica)) this.#working.add(node);
    if (this.#working.size === 0) return;
    for (const replica of replicas) if (replica.isLeader && !replica.isHandingOver) this.#handOverOne(replica);
  }

  #handOverOne(replica: StallingReplica): void {
    const { shard, descriptor } = replica;
    const isWorking = (follower: ReplicaId): boolean => {
      const node = nodeOf(descriptor, follower);
      return node !== undefined && this.#working.has(node);
    };
    const best = bestFollower(replica.status(), isWorking);
    const to = best && nodeOf(descriptor, best);
    if (to === undefined || !replica.transferLeadership(to) || this.#told.has(shard)) return;
    this.#told.add(shard);
    this.#options.logger.warn('the log does not sync: hands over', { shard, to });
  }
}

function nodesSyncing(replica: StallingReplica): readonly NodeId[] {
  const status = replica.status();
  if (replica.isLeader) return nodesStoringMore(status, replica.descriptor);
  return replica.leaderNode !== undefined && status.commitIndex > status.stableIndex ? [replica.leaderNode] : [];
}
