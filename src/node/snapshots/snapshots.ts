/** Raft snapshots of this node: what it sends, and what it fetches. */
import type { LogIndex, NodeId, ReplicaId, ShardId } from '../../base/ids.js';
import type { Limits } from '../../base/limits.js';
import type { Env } from '../../env/env.js';
import type { PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import type { HostedShard } from '../replicas/hosted-shard.js';
import type { LogAllowance } from '../replicas/log-allowance.js';
import type { ShardHost } from '../replicas/shard-host.js';
import { Checkpoints } from './checkpoints.js';
import { SnapshotReceiver, type ReceiverStats } from './receiver.js';
import { SnapshotSender } from './sender.js';

export interface SnapshotsOptions {
  readonly env: Pick<Env, 'disk' | 'clock' | 'random' | 'logger'>;
  readonly limits: Limits;
  /** Of this node's data directory. */
  readonly storeId: string;
  readonly host: Pick<ShardHost, 'shardsFolder' | 'shard' | 'spokenTo' | 'logAllowance'>;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  /** As `request`, on a connection of its own. */
  readonly requestBulk: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  readonly onFailure: (error: Error) => void;
}

/** Half a minute, and five for a transfer that broke. */
const unusedTicksMax = { delivered: 600, failed: 6000 };

/** Sums since the start. */
export interface SnapshotStats {
  readonly sentBytes: number;
  readonly received: ReceiverStats;
}

export class Snapshots {
  readonly #checkpoints: Checkpoints;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;

  constructor(options: SnapshotsOptions) {
    const { env, limits, storeId, host, request, requestBulk, onFailure } = options;
    const { disk, clock, random, logger } = env;
    const { shardsFolder } = host;
    const shard = (id: ShardId): HostedShard | undefined => host.shard(id);
    const spokenTo = (id: ShardId, replica: ReplicaId): void => host.spokenTo(id, replica, true);
    const allowance = (hosted: HostedShard): LogAllowance => host.logAllowance(hosted);
    const folderOf = (id: ShardId): string => `${shardsFolder}/${id}`;
    const common = { limits, clock, logger, shard, onFailure };
    const firstNumber = random.split('checkpoints').u32() + 1;
    this.#checkpoints = new Checkpoints({ disk, folderOf, firstNumber, unusedTicksMax, logger });
    this.#sender = new SnapshotSender({ ...common, allowance, checkpoints: this.#checkpoints, request });
    // No longer than the sender has it.
    const leftOverTicksMax = unusedTicksMax.failed;
    const receiving = { disk, storeId, folderOf, shardsFolder, spokenTo, leftOverTicksMax, request: requestBulk };
    this.#receiver = new SnapshotReceiver({ ...common, ...receiving });
  }

  get stats(): SnapshotStats {
    return { sentBytes: this.#sender.sentBytes, received: this.#receiver.stats };
  }

  /** This node's replica leads the shard, and follower `to` needs a snapshot. */
  want(shard: ShardId, to: ReplicaId): void {
    this.#sender.want(shard, to);
  }

  /** Entries after it are needed for a snapshot that is being sent; undefined where there is none. */
  pinnedIndex(shard: ShardId): LogIndex | undefined {
    return this.#checkpoints.pinnedIndex(shard);
  }

  /** Rejects with a QuorateError; with a DiskError where what is to be read cannot be. */
  answer(
    from: NodeId,
    body: Extract<PeerRequest, { readonly type: 'offerSnapshot' | 'readSnapshot' }>,
  ): Promise<PeerResponse> {
    return body.type === 'offerSnapshot' ? this.#receiver.offer(from, body) : this.#sender.read(body);
  }

  tick(): void {
    this.#sender.tick();
    this.#receiver.tick();
    this.#checkpoints.tick();
  }

  /** Begins nothing any more, and gives up what is under way. */
  stop(): void {
    this.#sender.stop();
    this.#receiver.stop();
  }

  /** After {@link stop} and the end of all trees: resolves when no file is touched any more. */
  async close(): Promise<void> {
    await this.#receiver.settled();
    await this.#sender.settled();
    await this.#checkpoints.close();
  }
}
