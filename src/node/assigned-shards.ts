/** The shards that the map assigns to this node: a replica and an executor for each, made as soon as the map says so. */
import { defined } from '../base/assert.js';
import { QuorateError } from '../base/errors.js';
import { placementShardId } from '../base/ids.js';
import type { NodeId, ShardId } from '../base/ids.js';
import type { Clock } from '../env/clock.js';
import { preferredLeaders } from '../placement/preferred-leaders.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import { replicaOn } from '../shard/descriptor.js';
import type { KvExecutor } from '../shard/kv-executor.js';
import type { Replica } from '../shard/replica.js';
import type { ShardHost } from './shard-host.js';

export interface AssignedShardsOptions {
  readonly nodeId: NodeId;
  readonly host: ShardHost;
  readonly clock: Clock;
  readonly newExecutor: (replica: Replica) => KvExecutor;
  readonly onFailure: (error: Error) => void;
}

/** Replicas that are made at a time: with more none would be ready sooner, and what each needs meanwhile adds up. */
const creationsMax = 8;
/** A new shard's preferred leader campaigns after this: the other nodes need a moment to make their replicas. */
const firstCampaignMs = 100;

export class AssignedShards {
  readonly #options: AssignedShardsOptions;
  readonly #executors = new Map<ShardId, KvExecutor>();
  readonly #toCreate = new Map<ShardId, ShardDescriptor>();
  readonly #creating = new Set<ShardId>();
  #preferredLeaders: ReadonlyMap<ShardId, NodeId> = new Map();
  #closed = false;

  constructor(options: AssignedShardsOptions) {
    this.#options = options;
  }

  /** Takes over what the host has opened. */
  begin(): void {
    for (const { replica } of this.#options.host.shards) {
      if (replica.shard !== placementShardId) this.#createExecutor(replica.shard);
    }
  }

  /** These are the shards of the cluster from now on. */
  update(shards: readonly ShardDescriptor[]): void {
    this.#preferredLeaders = preferredLeaders(shards);
    for (const shard of shards) {
      if (replicaOn(shard, this.#options.nodeId) === undefined || this.#executors.has(shard.shard)) continue;
      if (!this.#creating.has(shard.shard)) this.#toCreate.set(shard.shard, shard);
    }
    this.#createNext();
  }

  #createNext(): void {
    for (const [id, shard] of this.#toCreate) {
      if (this.#closed || this.#creating.size >= creationsMax) return;
      this.#toCreate.delete(id);
      this.#creating.add(id);
      void this.#createReplica(shard).finally(() => {
        this.#creating.delete(id);
        this.#createNext();
      });
    }
  }

  executor(shard: ShardDescriptor): KvExecutor | undefined {
    return this.#executors.get(shard.shard);
  }

  /** The leader of the shard as far as the replica on this node knows. */
  leaderOf(shard: ShardDescriptor): NodeId | undefined {
    return this.#executors.get(shard.shard)?.replica.leaderNode;
  }

  /** Whether the cluster is formed, and of these shards all that have a replica here have a leader that is known. */
  haveLeaders(shards: readonly ShardDescriptor[]): boolean {
    const { nodeId } = this.#options;
    const isDone = (shard: ShardDescriptor): boolean =>
      replicaOn(shard, nodeId) === undefined || this.leaderOf(shard) !== undefined;
    return shards.length > 0 && shards.every(isDone);
  }

  /** The node that had better lead the shard. */
  preferredLeader(shard: ShardId): NodeId | undefined {
    return this.#preferredLeaders.get(shard);
  }

  async #createReplica(shard: ShardDescriptor): Promise<void> {
    const { nodeId, host, clock, onFailure } = this.#options;
    try {
      const { replica } = await host.create(shard);
      if (this.#closed || this.#executors.has(shard.shard)) return;
      this.#createExecutor(shard.shard);
      if (this.preferredLeader(shard.shard) === nodeId) clock.after(firstCampaignMs, () => replica.campaign());
    } catch (error) {
      if (!this.#closed) onFailure(error instanceof Error ? error : QuorateError.from(error));
    }
  }

  #createExecutor(shard: ShardId): void {
    const { replica } = defined(this.#options.host.shard(shard), `replica of shard ${shard}`);
    this.#executors.set(shard, this.#options.newExecutor(replica));
  }

  /** Makes nothing any more. */
  close(): void {
    this.#closed = true;
  }
}
