/**
 * All replicas of this node: opens them at start, makes those that the shard map assigns, and drives them.
 *
 * One turn of the event loop: inputs (messages, proposals, reads, ticks, finished syncs) mark replicas; at the end of
 * the turn each marked replica carries out what its core decided; then each peer gets one frame with all messages.
 *
 * On disk: `log/` is the shared log; `shards/` is for shard-folders.ts.
 */
import { CorruptionError } from '../base/errors.js';
import { ShardId, Term } from '../base/ids.js';
import type { LogIndex, NodeId, ReplicaId } from '../base/ids.js';
import type { Limits } from '../base/limits.js';
import type { Prng } from '../base/prng.js';
import type { Clock } from '../env/clock.js';
import { makeDurableDirectory } from '../env/disk.js';
import type { Env } from '../env/env.js';
import type { Logger } from '../env/logger.js';
import { SharedLog } from '../log/shared-log.js';
import { initialIndex } from '../mvcc/state-machine.js';
import type { RaftMessage } from '../raft/types.js';
import type { ShardMessage } from '../rpc/peer-messages.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import { Replica } from '../shard/replica.js';
import type { LogRecords, ReplicaHost, ReplicaObserver, ReplicaTiming, Scheduled } from '../shard/replica-host.js';
import type { HostedShard } from './hosted-shard.js';
import { logFault } from './log-fits-tree.js';
import { LogKeeper } from './log-keeper.js';
import { ProtocolError } from './peers/protocol-error.js';
import { ShardFolders } from './shard-folders.js';

export interface ShardHostOptions {
  readonly env: Env;
  readonly directory: string;
  readonly nodeId: NodeId;
  readonly limits: Limits;
  readonly timing: ReplicaTiming;
  readonly observer?: ReplicaObserver | undefined;
}

export interface SnapshotSource {
  want(shard: ShardId, to: ReplicaId): void;
  pinnedIndex(shard: ShardId): LogIndex | undefined;
}

/** Ticks between two looks for space where the disk was full. */
const lookForSpaceTicks = 20;

export class ShardHost implements ReplicaHost {
  readonly nodeId: NodeId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Prng;
  readonly limits: Limits;
  readonly timing: ReplicaTiming;
  readonly observer: ReplicaObserver | undefined;
  /** Takes one turn's messages to a node. Set by the owner before the first tick. */
  sendRaft: (node: NodeId, messages: readonly ShardMessage[]) => void = () => undefined;
  /** What becomes of a wish for a Raft snapshot, and which entries are needed for those under way. Set by the owner, too. */
  snapshots: SnapshotSource = { want: () => undefined, pinnedIndex: () => undefined };
  readonly #options: ShardHostOptions;
  readonly #log: SharedLog;
  readonly #folders: ShardFolders;
  readonly #logKeeper: LogKeeper;
  readonly #shards = new Map<ShardId, HostedShard>();
  readonly #creating = new Map<ShardId, Promise<HostedShard>>();
  readonly #outbox = new Map<NodeId, ShardMessage[]>();
  #scheduled = new Set<Scheduled>();
  /** Whoever ticks: a group without anything to do costs nothing. As of when each was carried out last. */
  readonly #awake = new Set<Scheduled>();
  readonly #unreachable = new Set<NodeId>();
  #turnPlanned = false;
  #ticks = 0;
  /** As of the last tick. */
  #areTablesOutOfSpace = false;
  #failure: Error | undefined;
  #isRetiring = false;
  #closed = false;
  #onFailure: ((error: Error) => void) | undefined;

  private constructor(options: ShardHostOptions, log: SharedLog) {
    const { env } = options;
    this.#options = options;
    this.#log = log;
    this.nodeId = options.nodeId;
    this.clock = env.clock;
    this.logger = env.logger;
    this.random = env.random;
    this.limits = options.limits;
    this.timing = options.timing;
    this.observer = options.observer;
    this.#folders = new ShardFolders(options);
    this.#logKeeper = new LogKeeper({
      shards: () => this.#shards.values(),
      logBytes: () => log.stats().bytes,
      snapshotIndex: (shard) => this.snapshots.pinnedIndex(shard),
      limits: this.limits,
      logger: this.logger,
      onFailure: (error) => this.fail(error),
    });
    log.onFailure((error) => this.fail(error));
  }

  /** Opens the log and every replica of the directory. Throws CorruptionError where something is damaged. */
  static async open(options: ShardHostOptions): Promise<ShardHost> {
    const { env, directory, limits } = options;
    await makeDurableDirectory(env.disk, `${directory}/shards`);
    const isNew = (await env.disk.list(`${directory}/shards`)).length === 0;
    if (!isNew && !(await env.disk.exists(`${directory}/log`))) {
      throw new CorruptionError(`${directory}/log`, 0, 'the folder is missing, though there are shards');
    }
    const log = await SharedLog.open({
      disk: env.disk,
      directory: `${directory}/log`,
      segmentBytesMax: limits.segmentBytesMax,
      rewriteBytesMin: limits.logBytesRewrite,
      cacheBytesMax: limits.logCacheBytesMax,
      logger: env.logger,
    });
    const host = new ShardHost(options, log);
    for (const path of await host.#folders.list()) await host.#openShard(path);
    for (const shard of log.groups) {
      if (host.#shards.has(shard)) continue;
      const reason = 'the folder is missing, though the log has entries of the shard';
      throw new CorruptionError(host.#folders.path(shard), 0, reason);
    }
    return host;
  }

  shard(id: ShardId): HostedShard | undefined {
    return this.#shards.get(id);
  }

  /** All replicas of this node, ordered by shard. */
  get shards(): readonly HostedShard[] {
    return [...this.#shards.values()].sort((a, b) => a.replica.shard - b.replica.shard);
  }

  /** Log or tables have no space to grow: what is left is for what was accepted before. */
  get isDiskFull(): boolean {
    return this.#areTablesOutOfSpace || this.#log.isDiskFull;
  }

  /** Where the folders of the shards are. */
  get shardsFolder(): string {
    return this.#folders.folder;
  }

  get logStats(): ReturnType<SharedLog['stats']> {
    return this.#log.stats();
  }

  /** The replica of `descriptor` on this node; made when it is not there yet. */
  async create(descriptor: ShardDescriptor): Promise<HostedShard> {
    const existing = this.#shards.get(descriptor.shard);
    if (existing !== undefined) return existing;
    let creating = this.#creating.get(descriptor.shard);
    if (creating === undefined) {
      creating = this.#createShard(descriptor).finally(() => this.#creating.delete(descriptor.shard));
      this.#creating.set(descriptor.shard, creating);
    }
    return creating;
  }

  async #createShard(descriptor: ShardDescriptor): Promise<HostedShard> {
    await this.#folders.create(descriptor);
    return this.#openShard(this.#folders.path(descriptor.shard));
  }

  async #openShard(path: string): Promise<HostedShard> {
    const shard = shardOf(path);
    const log = this.#log.group(shard);
    const sync = (): Promise<void> =>
      this.#log.append(shard, { hardState: log.hardState, entries: [], mustSync: true });
    const { descriptor, machine, tree } = await this.#folders.open(path, { log, sync });
    if (log.lastIndex < initialIndex) log.truncatePrefix(initialIndex, Term(0));
    const fault = logFault(log, tree.appliedIndex);
    if (fault !== undefined) {
      throw new CorruptionError(`${this.#options.directory}/log`, 0, `shard ${descriptor.shard}: ${fault}`);
    }
    tree.onFailure((error) => this.fail(error));
    const replica = new Replica({ host: this, descriptor, log, machine, tree });
    for (const node of this.#unreachable) replica.peerUnreachable(node);
    if (this.#isRetiring) replica.retire();
    const hosted = { replica, tree };
    this.#shards.set(descriptor.shard, hosted);
    return hosted;
  }

  get #isOver(): boolean {
    return this.#closed || this.#failure !== undefined;
  }

  // ---- inputs

  /**
   * Messages that node `from` sent. One for a replica that is not here (yet) is dropped; Raft sends again. Throws
   * ProtocolError at the first that no correct node sends.
   */
  step(from: NodeId, messages: readonly ShardMessage[]): void {
    for (const { shard, message } of messages) {
      const replica = this.#shards.get(shard)?.replica;
      const fault = replica?.messageFault(from, message);
      if (fault !== undefined) throw new ProtocolError(`shard ${shard}: ${fault}`);
      replica?.step(message);
    }
  }

  tick(): void {
    for (const replica of this.#awake) replica.tick();
    this.#lookForSpace();
    this.#logKeeper.tick();
    if (++this.#ticks % lookForSpaceTicks === 0) this.#log.lookForSpace();
  }

  /** No connection to `node` could be made, or it broke. A quiet group learns only so that its leader may be dead. */
  peerUnreachable(node: NodeId): void {
    if (this.#unreachable.has(node)) return;
    this.#unreachable.add(node);
    for (const { replica } of this.#shards.values()) replica.peerUnreachable(node);
  }

  peerReachable(node: NodeId): void {
    if (!this.#unreachable.delete(node)) return;
    for (const { replica } of this.#shards.values()) replica.peerReachable(node);
  }

  // ---- what replicas ask for

  append(shard: ShardId, records: LogRecords): Promise<void> {
    return this.#log.append(shard, records);
  }

  send(node: NodeId, shard: ShardId, message: RaftMessage): void {
    const messages = this.#outbox.get(node);
    if (messages === undefined) this.#outbox.set(node, [{ shard, message }]);
    else messages.push({ shard, message });
    this.#planTurn();
  }

  snapshotWanted(shard: ShardId, to: ReplicaId): void {
    this.snapshots.want(shard, to);
  }

  schedule(replica: Scheduled): void {
    this.#scheduled.add(replica);
    this.#planTurn();
  }

  #planTurn(): void {
    if (this.#turnPlanned || this.#isOver) return;
    this.#turnPlanned = true;
    this.clock.endOfTurn(() => {
      this.#turnPlanned = false;
      this.#endTurn();
    });
  }

  #endTurn(): void {
    if (this.#isOver) return;
    try {
      // What carrying out marks again in this turn (a single voter that commits at once) waits for the next.
      const scheduled = this.#scheduled;
      this.#scheduled = new Set();
      for (const replica of scheduled) {
        replica.handleReady();
        if (replica.isQuiet) this.#awake.delete(replica);
        else this.#awake.add(replica);
      }
      for (const [node, messages] of this.#outbox) this.sendRaft(node, messages);
      this.#outbox.clear();
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Replicas do nothing more. The owner is told, also of a failure that came before it listened. */
  fail(error: Error): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#failure = error;
    this.#onFailure?.(error);
  }

  set onFailure(callback: (error: Error) => void) {
    this.#onFailure = callback;
    if (this.#failure !== undefined) callback(this.#failure);
  }

  // ---- housekeeping

  #lookForSpace(): void {
    this.#areTablesOutOfSpace = false;
    for (const { tree } of this.#shards.values()) this.#areTablesOutOfSpace ||= tree.outOfSpace;
  }

  /** The node is about to stop: every leadership is handed over, once, to whoever takes it; none is taken any more. */
  retire(): void {
    this.#isRetiring = true;
    for (const { replica } of this.#shards.values()) replica.retire();
  }

  get isHandingOver(): boolean {
    for (const { replica } of this.#shards.values()) if (replica.isHandingOver) return true;
    return false;
  }

  /** Ends replicas, then trees, then the log. What is not in a table stays in the log and is replayed. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { replica } of this.#shards.values()) replica.close();
    await Promise.allSettled([...this.#creating.values()]);
    for (const { replica } of this.#shards.values()) replica.close();
    await Promise.allSettled([...this.#shards.values()].map(({ tree }) => tree.close()));
    await Promise.all([...this.#shards.values()].map(({ replica }) => replica.snapshots.settled()));
    await this.#log.close();
  }
}

function shardOf(path: string): ShardId {
  return ShardId(Number(path.slice(path.lastIndexOf('/') + 1)));
}
