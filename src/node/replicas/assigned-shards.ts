/**
 * The shards of the map, as far as they concern this node: a replica and an executor for each that was formed with one here,
 * made as soon as the map says so; an executor for each replica that came otherwise.
 */
import { QuorateError } from '../../base/errors.js';
import { placementShardId } from '../../base/ids.js';
import type { NodeId, ReplicaId, ShardId } from '../../base/ids.js';
import type { Clock } from '../../env/clock.js';
import { isAsFormed } from '../../placement/bootstrap.js';
import { preferredLeaders } from '../../placement/preferred-leaders.js';
import type { ShardDescriptor } from '../../shard/descriptor.js';
import { replicaOn } from '../../shard/descriptor.js';
import type { KvExecutor } from '../../shard/kv-executor.js';
import type { Replica } from '../../shard/replica.js';
import type { HostedShard } from './hosted-shard.js';
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
  #shards: ReadonlyMap<ShardId, ShardDescriptor> = new Map();
  #preferredLeaders: ReadonlyMap<ShardId, NodeId> = new Map();
  #closed = false;

  constructor(options: AssignedShardsOptions) {
    this.#options = options;
  }

  /** Takes over what the host has opened. */
  begin(): void {
    const { host } = this.#options;
    for (const hosted of host.shards) this.#changed(hosted.replica.shard, hosted);
    host.onChange((shard, hosted) => this.#changed(shard, hosted));
  }

  #changed(shard: ShardId, hosted: HostedShard | undefined): void {
    if (hosted === undefined) this.#executors.delete(shard);
    else if (shard !== placementShardId) this.#executors.set(shard, this.#options.newExecutor(hosted.replica));
  }

  /** Whether there is such a shard, and this is not one of the replicas that it was formed with, which are made here. */
  mayBeMade(shard: ShardId, replica: ReplicaId): boolean {
    const known = this.#shards.get(shard);
    return known !== undefined && !(isAsFormed(known) && replicaOn(known, this.#options.nodeId) === replica);
  }

  /** As the map has it. */
  shard(id: ShardId): ShardDescriptor | undefined {
    return this.#shards.get(id);
  }

  /** These are the shards of the cluster from now on. */
  update(shards: readonly ShardDescriptor[]): void {
    this.#preferredLeaders = preferredLeaders(shards);
    this.#shards = new Map(shards.map((shard) => [shard.shard, shard]));
    for (const shard of shards) {
      if (!isAsFormed(shard) || replicaOn(shard, this.#options.nodeId) === undefined) continue;
      if (this.#executors.has(shard.shard)) continue;
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

  /** Undefined where there is no replica here, or one without data. */
  executor(shard: ShardDescriptor): KvExecutor | undefined {
    const executor = this.#executors.get(shard.shard);
    return executor?.replica.standing === 'member' ? executor : undefined;
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
      const hosted = await host.create(shard);
      if (this.#closed || hosted === undefined) return;
      if (this.preferredLeader(shard.shard) === nodeId) clock.after(firstCampaignMs, () => hosted.replica.campaign());
    } catch (error) {
      if (!this.#closed) onFailure(error instanceof Error ? error : QuorateError.from(error));
    }
  }

  /** Makes nothing any more. */
  close(): void {
    this.#closed = true;
  }
}
