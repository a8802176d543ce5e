/** A node that follows in a shard of three, with its own disk; the test is the other nodes. */
import { maskedCrc32 } from '../../../src/base/checksum.js';
import { LogIndex, NodeId, ReplicaId, Term } from '../../../src/base/ids.js';
import { defaultLimits } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import type { Clock } from '../../../src/env/clock.js';
import type { Disk } from '../../../src/env/disk.js';
import type { Env } from '../../../src/env/env.js';
import { silentLogger } from '../../../src/env/logger.js';
import { SharedLog } from '../../../src/log/shared-log.js';
import { ShardHost } from '../../../src/node/replicas/shard-host.js';
import { SnapshotReceiver, type SnapshotReceiverOptions } from '../../../src/node/snapshots/receiver.js';
import type { PeerRequest, PeerResponse } from '../../../src/rpc/peer-messages.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { inlineBackground } from '../../lsm/harness.js';
import { configuration, newIndex, newTerm, oldIndex, prepare, shard, shardsFolder } from './support.js';

const leaderNode = NodeId(2);
/** A few make a table. */
export const chunkBytes = 128;
const limits = { ...defaultLimits, segmentBytesMax: 64 * 1024, snapshotChunkBytesMax: chunkBytes };
const timing = {
  tickMs: 50,
  heartbeatTicks: 2,
  electionTicksMin: 10,
  electionTicksMax: 20,
  quiesceTicks: 0,
  leaderLease: false,
};

export type Offer = Extract<PeerRequest, { readonly type: 'offerSnapshot' }>;

/** What the leader's node says of a checkpoint as of {@link newIndex}. */
export function offerOf(checkpoint: number, manifestBytes: number, term = Term(newTerm)): Offer {
  const snapshot = { index: newIndex, term: newTerm, configuration };
  const request = { type: 'snapshotRequest', from: ReplicaId(2), to: ReplicaId(1), term, snapshot } as const;
  return { type: 'offerSnapshot', shard, request, checkpoint, manifestBytes, storeId: undefined };
}

export const leftOverTicksMax = 5;

/** What the leader sends, by name. */
export type Sent = ReadonlyMap<string, Uint8Array>;

/** A follower's disk, whose log has entries up to {@link oldIndex} and some beyond, which were never committed. */
export async function prepareFollower(disk: SimDisk): Promise<Sent> {
  const source = 'checkpoint';
  await prepare(disk, source);
  const sizes = { segmentBytesMax: 64 * 1024, cacheBytesMax: 1024, rewriteBytesMin: 1024 * 1024, spareSegmentsMax: 2 };
  const shared = await SharedLog.open({ disk, directory: 'node/log', ...sizes, logger: silentLogger });
  const entries = Array.from({ length: 8 }, (_, i) => ({
    term: Term(1),
    index: LogIndex(1 + i),
    data: new Uint8Array(10),
  }));
  await shared.append(shard, { hardState: { term: Term(2), vote: 0, commit: oldIndex }, entries, mustSync: true });
  await shared.close();
  const names = await disk.list(source);
  return new Map(names.map((name) => [name, disk.content(`${source}/${name}`)]));
}

/** As the leader's node answers a read. */
export function answerTo(body: PeerRequest, sent: Sent): PeerResponse {
  if (body.type !== 'readSnapshot') throw new Error(body.type);
  const bytes = sent.get(body.file)?.slice(body.offset, body.offset + body.bytesMax) ?? new Uint8Array(0);
  return { type: 'snapshotChunk', bytes, checksum: maskedCrc32(bytes) };
}

export type Request = SnapshotReceiverOptions['request'];

/** The replicas of the node, and what fetches Raft snapshots for them, as a node puts them together. */
export class Follower {
  readonly host: ShardHost;
  readonly receiver: SnapshotReceiver;
  readonly failures: Error[] = [];

  private constructor(host: ShardHost, disk: Disk, clock: Clock, request: Request) {
    this.host = host;
    const onFailure = (error: Error): void => void this.failures.push(error);
    host.onFailure = onFailure;
    this.receiver = new SnapshotReceiver({
      limits,
      disk,
      clock,
      logger: silentLogger,
      storeId: 'store',
      folderOf: (id) => `${shardsFolder}/${id}`,
      shardsFolder,
      shard: (id) => host.shard(id),
      spokenTo: () => undefined,
      leftOverTicksMax,
      request,
      onFailure,
    });
  }

  static async start(
    disk: Disk,
    clock: Clock,
    request: Request = () => new Promise(() => undefined),
  ): Promise<Follower> {
    const unused = (): never => {
      throw new Error('it speaks through the test');
    };
    const network = { connect: unused, listen: unused };
    const random = new Prng(1);
    const env: Env = { disk, background: inlineBackground(disk), clock, random, network, logger: silentLogger };
    const host = await ShardHost.open({ env, directory: 'node', nodeId: NodeId(1), limits, timing });
    return new Follower(host, disk, clock, request);
  }

  offer(offer: Offer): Promise<PeerResponse> {
    return this.receiver.offer(leaderNode, offer);
  }

  /** This node leads, in this term. */
  heartbeat(from: number, term: number): void {
    const head = { type: 'heartbeat', from: ReplicaId(from), to: ReplicaId(1), term: Term(term) } as const;
    const zero = { commit: LogIndex(0), leaderCommit: LogIndex(0), readRound: 0, probe: 0, quiesce: false };
    this.host.step(NodeId(from), [{ shard, message: { ...head, ...zero } }]);
  }

  async stop(): Promise<void> {
    this.receiver.stop();
    await this.host.close();
    await this.receiver.settled();
  }
}

/** Index of the first and the last entry in the shard's log. */
export function logOf({ host }: Follower): [LogIndex, LogIndex] {
  const { logPrefix, lastIndex } = shardOf(host).replica;
  return [logPrefix.firstIndex, lastIndex];
}

export function shardOf(host: ShardHost): NonNullable<ReturnType<ShardHost['shard']>> {
  const hosted = host.shard(shard);
  if (hosted === undefined) throw new Error('the shard is not here');
  return hosted;
}
