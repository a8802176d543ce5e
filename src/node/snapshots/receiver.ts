/**
 * A follower's node: fetches the Raft snapshots that leaders offer, and has them put in place. One of a shard at a time, and
 * `snapshotsInFlightMax` in all; an offer beyond that is refused, and comes again. One of a checkpoint of which a transfer broke
 * goes on where that was (left-overs.ts).
 */
import { AssertionError } from '../../base/assert.js';
import { DecodeError } from '../../base/coding.js';
import { CorruptionError, QuorateError } from '../../base/errors.js';
import type { NodeId, ReplicaId, ShardId } from '../../base/ids.js';
import type { Limits } from '../../base/limits.js';
import type { Clock } from '../../env/clock.js';
import { DiskError, type Disk } from '../../env/disk.js';
import type { Logger } from '../../env/logger.js';
import type { SnapshotRequest } from '../../raft/types.js';
import type { PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import type { Replica } from '../../shard/replica.js';
import type { SnapshotData } from '../../shard/replica-snapshots.js';
import type { HostedShard } from '../replicas/hosted-shard.js';
import { download, type DownloadProgress, type Fetched } from './download.js';
import { incomingFolder, installFolder } from './folders.js';
import { decideInstall, removeManifest } from './install.js';
import { isSame, LeftOvers, type Offer, type Source } from './left-overs.js';

export interface SnapshotReceiverOptions {
  readonly limits: Pick<Limits, 'snapshotsInFlightMax' | 'snapshotChunkBytesMax'>;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of this node's data directory. */
  readonly storeId: string;
  /** Folder of a shard; it is in that of all shards. */
  readonly folderOf: (shard: ShardId) => string;
  readonly shardsFolder: string;
  readonly shard: (id: ShardId) => HostedShard | undefined;
  /** There is no replica of the shard here, and this one is offered something. */
  readonly spokenTo: (shard: ShardId, replica: ReplicaId) => void;
  /** Ticks for which what was fetched stays when a transfer broke. */
  readonly leftOverTicksMax: number;
  /** On the connection for bulk. */
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  /** The disk has failed, or this is a bug: the node must stop. */
  readonly onFailure: (error: Error) => void;
}

interface Incoming extends Source {
  /** The newest that came with this checkpoint: the sender may have been elected again meanwhile. */
  request: SnapshotRequest;
  readonly giveUp: AbortController;
  readonly ended: Promise<void>;
}

/** Sums since the start. */
export interface ReceiverStats extends Readonly<DownloadProgress> {
  readonly installed: number;
}

export class SnapshotReceiver {
  readonly #options: SnapshotReceiverOptions;
  readonly #incoming = new Map<ShardId, Incoming>();
  readonly #leftOvers: LeftOvers;
  readonly #progress: DownloadProgress = { bytes: 0, readsAgain: 0 };
  #installed = 0;
  #closed = false;

  constructor(options: SnapshotReceiverOptions) {
    this.#options = options;
    this.#leftOvers = new LeftOvers({
      countMax: options.limits.snapshotsInFlightMax,
      ticksMax: options.leftOverTicksMax,
      replica: (shard) => options.shard(shard)?.replica,
      remove: (shard) => this.#removeFolder(shard),
    });
  }

  get stats(): ReceiverStats {
    return { ...this.#progress, installed: this.#installed };
  }

  /** Resolves when the follower has the state, or does not need it; rejects with a QuorateError when it failed. */
  async offer(from: NodeId, offer: Offer): Promise<PeerResponse> {
    const { shard, request, storeId } = offer;
    if (storeId !== undefined && storeId !== this.#options.storeId) {
      const message = `replica ${request.to} of shard ${shard} is in the data directory ${storeId}, not in this one`;
      throw new QuorateError('INVALID_ARGUMENT', message, { shard });
    }
    const replica = this.#options.shard(shard)?.replica;
    if (!this.#closed && replica === undefined) this.#options.spokenTo(shard, request.to);
    if (this.#closed || replica === undefined)
      throw new QuorateError('UNAVAILABLE', `no replica of shard ${shard}`, { shard });
    const fault = replica.messenger.offerFault(from, request);
    if (fault !== undefined) throw new QuorateError('INVALID_ARGUMENT', fault, { shard });
    if (!replica.snapshots.needs(request)) {
      replica.snapshots.step(request);
      return { type: 'snapshotTaken' };
    }
    await this.#take(from, offer, replica);
    return { type: 'snapshotTaken' };
  }

  async #take(from: NodeId, offer: Offer, replica: Replica): Promise<void> {
    const { shard, request } = offer;
    const current = this.#incoming.get(shard);
    if (current !== undefined && isSame(current, { from, offer, replica })) {
      if (request.term > current.request.term) current.request = request;
      await current.ended;
      return;
    }
    current?.giveUp.abort(new QuorateError('CANCELLED', 'another Raft snapshot was offered', { retryable: true }));
    if (current !== undefined || this.#incoming.size >= this.#options.limits.snapshotsInFlightMax) {
      throw new QuorateError('OVERLOADED', 'the node fetches other Raft snapshots', { shard, retryAfterMs: 500 });
    }
    const giveUp = new AbortController();
    // Nothing of it happens in this turn.
    const ended = Promise.resolve().then(() => this.#run(incoming));
    const incoming: Incoming = { from, offer, replica, request, giveUp, ended };
    this.#incoming.set(shard, incoming);
    await ended;
  }

  async #run(incoming: Incoming): Promise<void> {
    const { logger, clock, onFailure } = this.#options;
    const { replica } = incoming;
    const { shard } = replica;
    const { index } = incoming.request.snapshot;
    const beganMs = clock.monotonicMs();
    const before = { ...this.#progress };
    try {
      await this.#fetch(incoming, shard);
      const end = await replica.snapshots.install(incoming.request, this.#data(shard));
      if (end === 'ended') throw new QuorateError('NODE_STOPPING', 'the replica has ended', { shard });
      if (end === 'installed') this.#installed++;
      const bytes = this.#progress.bytes - before.bytes;
      const readsAgain = this.#progress.readsAgain - before.readsAgain;
      const ms = Math.round(clock.monotonicMs() - beganMs);
      logger.info('fetched a Raft snapshot', { shard, index, end, bytes, readsAgain, ms });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn('a Raft snapshot was not fetched', { shard, index, reason });
      if (this.#mustStop(error, incoming)) onFailure(error);
      if (error instanceof QuorateError) throw error;
      // The sender is to look whether it is the one whose files are damaged.
      const isDamaged = error instanceof CorruptionError || error instanceof DecodeError;
      const code = isDamaged ? 'CORRUPTION' : 'UNAVAILABLE';
      throw new QuorateError(code, reason, { shard, cause: error });
    } finally {
      if (!this.#leftOvers.has(shard)) await this.#removeFolder(shard);
      this.#incoming.delete(shard);
    }
  }

  #mustStop(error: unknown, { replica }: Source): error is Error {
    if (this.#closed) return false;
    if (!(error instanceof DiskError)) return error instanceof AssertionError;
    // A replica that is gone has taken the folder with it.
    const isGone = this.#options.shard(replica.shard)?.replica !== replica;
    return error.code !== 'noSpace' && !(isGone && error.code === 'notFound');
  }

  /** What cannot be removed goes before the next one, or at the next start. */
  async #removeFolder(shard: ShardId): Promise<void> {
    const { disk, folderOf } = this.#options;
    if (!this.#closed) await disk.removeTree(incomingFolder(folderOf(shard))).catch(() => undefined);
  }

  async #fetch(incoming: Incoming, shard: ShardId): Promise<void> {
    const { logger } = this.#options;
    const { from, offer } = incoming;
    const { index } = offer.request.snapshot;
    const fetched = await this.#leftOvers.take(incoming);
    this.#leftOvers.makeRoom(this.#incoming.size);
    const bytes = [...fetched.files.values()].reduce((sum, written) => sum + written, 0);
    if (bytes === 0) logger.info('fetches a Raft snapshot', { shard, from, index });
    else logger.info('goes on with a Raft snapshot', { shard, from, index, bytes });
    try {
      await this.#download(incoming, shard, fetched);
    } catch (error) {
      // The connection failed, or it was given up: neither this disk has, nor what is on it.
      const mayGoOn = error instanceof QuorateError && error.code !== 'INVALID_ARGUMENT';
      if (mayGoOn) this.#leftOvers.keep(incoming, fetched);
      throw error;
    }
  }

  #download({ from, offer, giveUp }: Incoming, shard: ShardId, fetched: Fetched): Promise<void> {
    const { disk, clock, limits, request, folderOf } = this.#options;
    return download({
      disk,
      clock,
      shard,
      folder: incomingFolder(folderOf(shard)),
      fetched,
      snapshot: offer.request.snapshot,
      checkpoint: offer.checkpoint,
      manifestBytes: offer.manifestBytes,
      chunkBytesMax: limits.snapshotChunkBytesMax,
      request: (body, timeoutMs) => request(from, body, timeoutMs),
      signal: giveUp.signal,
      progress: this.#progress,
    });
  }

  #data(shard: ShardId): SnapshotData {
    const { disk, folderOf, shardsFolder } = this.#options;
    const shardFolder = folderOf(shard);
    return {
      commit: async () => {
        await decideInstall(disk, shardsFolder, shardFolder);
        return installFolder(shardFolder);
      },
      finish: () => removeManifest(disk, shardFolder),
    };
  }

  /** Gives up what this node no longer takes for the leader's. */
  tick(): void {
    for (const [shard, { request, from, giveUp }] of this.#incoming) {
      const replica = this.#options.shard(shard)?.replica;
      const leader = replica?.leaderNode;
      if (replica === undefined || (replica.term > request.term && leader !== undefined && leader !== from)) {
        giveUp.abort(new QuorateError('NOT_LEADER', 'another node leads', { shard }));
      }
    }
    this.#leftOvers.tick();
  }

  /** Takes nothing any more, and gives up what is under way. */
  stop(): void {
    this.#closed = true;
    for (const { giveUp } of this.#incoming.values())
      giveUp.abort(new QuorateError('NODE_STOPPING', 'the node is stopping'));
  }

  /** Resolves when nothing is under way; after {@link stop}, once the trees are closed. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#incoming.values()].map(({ ended }) => ended));
    await this.#leftOvers.settled();
  }
}
