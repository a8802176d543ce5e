/**
 * A leader's node: offers Raft snapshots to followers that need them, and answers their reads.
 *
 * A transfer begins when the core wants it and ends with the answer to the offer: the follower has put the data in place,
 * or has failed. It is given up when leadership ends, when it takes too long, and when the log that is kept for it has become
 * too long. The core then asks again; the follower goes on with the files that it has, as long as the checkpoint is the same one.
 */
import { onAbort } from '../../base/abort.js';
import { AssertionError } from '../../base/assert.js';
import { CorruptionError, QuorateError } from '../../base/errors.js';
import type { LogIndex, NodeId, ReplicaId, ShardId, Term } from '../../base/ids.js';
import type { Limits } from '../../base/limits.js';
import type { Clock } from '../../env/clock.js';
import type { Logger } from '../../env/logger.js';
import { pause } from '../../env/pause.js';
import { Throttle } from '../../env/throttle.js';
import type { PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import { descriptorOf } from '../../shard/descriptor.js';
import type { Replica } from '../../shard/replica.js';
import type { HostedShard } from '../replicas/hosted-shard.js';
import type { LogAllowance } from '../replicas/log-allowance.js';
import type { Checkpoint, Checkpoints } from './checkpoints.js';

export type SenderLimits = Pick<Limits, 'snapshotBytesPerSecondMax' | 'snapshotChunkBytesMax' | 'snapshotsInFlightMax'>;

export interface SnapshotSenderOptions {
  readonly limits: SenderLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly checkpoints: Checkpoints;
  readonly shard: (id: ShardId) => HostedShard | undefined;
  /** See `ShardHost.logAllowance`. */
  readonly allowance: (hosted: HostedShard) => LogAllowance;
  /** A bug, or files of this node are damaged: it must stop. */
  readonly onFailure: (error: Error) => void;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
}

interface Transfer {
  readonly shard: ShardId;
  readonly to: ReplicaId;
  readonly term: Term;
  readonly giveUp: AbortController;
}

type Read = Extract<PeerRequest, { readonly type: 'readSnapshot' }>;

/** What a transfer may take at least, whatever its size. */
const transferMsMin = 60_000;
/** And this many times what it takes at the node's whole rate. */
const transferSlowness = 10;
/** A core asks again as soon as its follower shows life. */
const retryMs = 300;

export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  readonly #throttle: Throttle;
  readonly #closing = new AbortController();
  /** In the order in which the cores asked. */
  readonly #waiting: { readonly shard: ShardId; readonly to: ReplicaId }[] = [];
  readonly #transfers = new Set<Transfer>();
  readonly #running = new Set<Promise<void>>();
  #sentBytes = 0;

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
    const { limits, clock } = options;
    this.#throttle = new Throttle({ bytesPerSecondMax: limits.snapshotBytesPerSecondMax, clock });
  }

  /** Of files, since the start. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** The core of a leader wants a snapshot for a follower. One that waits is wanted once. */
  want(shard: ShardId, to: ReplicaId): void {
    if (this.#closing.signal.aborted) return;
    if (!this.#waiting.some((other) => other.shard === shard && other.to === to)) this.#waiting.push({ shard, to });
    this.#startNext();
  }

  #startNext(): void {
    while (this.#transfers.size < this.#options.limits.snapshotsInFlightMax) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const hosted = this.#options.shard(next.shard);
      if (hosted?.replica.isLeader !== true) continue;
      const transfer = { ...next, term: hosted.replica.term, giveUp: new AbortController() };
      this.#transfers.add(transfer);
      const running = this.#run(hosted, transfer).finally(() => {
        this.#transfers.delete(transfer);
        this.#running.delete(running);
        this.#startNext();
      });
      this.#running.add(running);
    }
  }

  /** Never rejects. */
  async #run(hosted: HostedShard, transfer: Transfer): Promise<void> {
    const { replica } = hosted;
    const { shard, to, term } = transfer;
    let outcome: 'delivered' | 'failed' = 'failed';
    try {
      await this.#transfer(hosted, transfer);
      outcome = 'delivered';
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof AssertionError || error instanceof CorruptionError) this.#options.onFailure(error);
      this.#options.logger.warn('a Raft snapshot was not delivered', { shard, to, reason });
      await pause(this.#options.clock, retryMs, this.#closing.signal).catch(() => undefined);
    }
    if (replica.isLeader && replica.term === term) replica.snapshots.ended(to, outcome);
  }

  async #transfer(hosted: HostedShard, { to, giveUp }: Transfer): Promise<void> {
    const { checkpoints } = this.#options;
    const checkpoint = await checkpoints.acquire(hosted, to);
    let outcome: 'delivered' | 'failed' = 'failed';
    try {
      giveUp.signal.throwIfAborted();
      await this.#offer(hosted, to, checkpoint, giveUp.signal);
      outcome = 'delivered';
    } catch (error) {
      // Only who reads its own files can tell whose they are. Were they this node's, it would offer them again and again.
      if (error instanceof QuorateError && error.code === 'CORRUPTION') await checkpoints.examine(checkpoint);
      throw error;
    } finally {
      checkpoints.release(checkpoint, to, outcome);
    }
  }

  async #offer({ replica }: HostedShard, to: ReplicaId, checkpoint: Checkpoint, giveUp: AbortSignal): Promise<void> {
    const { limits, clock, logger, request: send } = this.#options;
    const { shard, descriptor } = replica;
    const { node, storeId } = descriptorOf(descriptor, to) ?? {};
    const { number, snapshot, manifestBytes, bytes } = checkpoint;
    const request = node === undefined ? undefined : replica.snapshots.begin(to, snapshot);
    // The follower needs none any more, or another; the core knows.
    if (node === undefined || request === undefined) return;
    const beganMs = clock.monotonicMs();
    const timeoutMs = transferMsMin + (transferSlowness * 1000 * bytes) / limits.snapshotBytesPerSecondMax;
    logger.info('offers a Raft snapshot', { shard, to, node, index: snapshot.index, bytes });
    const offer = { type: 'offerSnapshot', shard, request, checkpoint: number, manifestBytes, storeId } as const;
    const response = await orAborted(send(node, offer, timeoutMs), giveUp);
    if (response.type === 'failed') throw response.error;
    const ms = Math.round(clock.monotonicMs() - beganMs);
    logger.info('a follower has the Raft snapshot', { shard, to, node, index: snapshot.index, ms });
  }

  /** See {@link Checkpoints.read}. Waits as long as the node's rate demands. */
  async read({ shard, checkpoint, file, offset, bytesMax }: Read): Promise<PeerResponse> {
    const { checkpoints, limits } = this.#options;
    const most = Math.min(bytesMax, limits.snapshotChunkBytesMax);
    const { bytes, checksum } = await checkpoints.read(shard, checkpoint, file, offset, most);
    await this.#throttle.admit(bytes.length, this.#closing.signal);
    this.#sentBytes += bytes.length;
    return { type: 'snapshotChunk', bytes, checksum };
  }

  /** Gives up what is of no use or too slow. */
  tick(): void {
    const { shard: find, checkpoints } = this.#options;
    for (const { shard, term, giveUp } of this.#transfers) {
      const hosted = find(shard);
      if (hosted?.replica.isLeader !== true || hosted.replica.term !== term) {
        giveUp.abort(new QuorateError('NOT_LEADER', 'this replica leads no more', { shard }));
      } else if (this.#isLogTooLong(hosted)) {
        checkpoints.outdate(shard);
        const reason = 'the log grows faster than it is sent (snapshotBytesPerSecondMax), or the disk is full';
        giveUp.abort(new QuorateError('OVERLOADED', reason, { shard }));
      }
    }
  }

  #isLogTooLong(hosted: HostedShard): boolean {
    const { allowance, checkpoints } = this.#options;
    const { replica } = hosted;
    return pinnedBytes(replica, checkpoints.pinnedIndex(replica.shard)) > allowance(hosted).catchingUp;
  }

  /** Begins nothing any more, and gives up what is under way. */
  stop(): void {
    const closing = new QuorateError('NODE_STOPPING', 'the node is stopping');
    this.#closing.abort(closing);
    this.#waiting.length = 0;
    for (const { giveUp } of this.#transfers) giveUp.abort(closing);
  }

  /** Resolves when nothing is under way; after {@link stop}, once the trees are closed. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }
}

/**
 * About what the log could be rid of without the checkpoint. Entries that are not applied stay anyway, and perhaps become so
 * only when the follower has the snapshot: where others are down, it is needed for a quorum.
 */
function pinnedBytes({ logPrefix, lastIndex, appliedIndex }: Replica, pinnedIndex: LogIndex | undefined): number {
  const { bytes, firstIndex } = logPrefix;
  const pinned = appliedIndex - Math.max(pinnedIndex ?? appliedIndex, firstIndex - 1);
  return pinned <= 0 ? 0 : (bytes * pinned) / (lastIndex - firstIndex + 1);
}

/** What `promise` gives, or the reason of the signal if that comes first; then nobody waits for the promise any more. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let stopListening = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stopListening = onAbort(signal, () => reject(signal.reason as Error));
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    stopListening();
  }
}
