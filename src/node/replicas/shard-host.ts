/**
 * All replicas of this node: opens them at start, makes those that the shard map assigns and those that a leader elsewhere
 * speaks to, ends those that were removed, and drives them.
 *
 * One turn of the event loop: inputs (messages, proposals, reads, ticks, finished syncs) mark replicas; at the end of
 * the turn each marked replica carries out what its core decided; then each peer gets one frame with all messages.
 *
 * On disk: replica-store.ts.
 */
import { errorOf, QuorateError } from '../../base/errors.js';
import type { LogIndex, NodeId, ReplicaId, ShardId } from '../../base/ids.js';
import type { Limits } from '../../base/limits.js';
import type { Prng } from '../../base/prng.js';
import type { Clock } from '../../env/clock.js';
import type { Env } from '../../env/env.js';
import type { Logger } from '../../env/logger.js';
import type { SharedLog } from '../../log/shared-log.js';
import type { RaftMessage } from '../../raft/types.js';
import type { OutgoingMessage, ShardMessage } from '../../rpc/peer-messages.js';
import { replicaOn, type ReplicaDescriptor, type ShardDescriptor } from '../../shard/descriptor.js';
import { isFromLeader } from '../../shard/messenger.js';
import { Replica } from '../../shard/replica.js';
import type { LogRecords, ReplicaHost, ReplicaObserver, ReplicaTiming, Scheduled } from '../../shard/replica-host.js';
import type { HostedShard } from './hosted-shard.js';
import { type LogAllowance, logAllowance } from './log-allowance.js';
import { LogKeeper } from './log-keeper.js';
import { ProtocolError } from '../peers/protocol-error.js';
import { type OpenedReplica, ReplicaStore } from './replica-store.js';
import { StalledLog } from './stalled-log.js';

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

/** Why a replica goes. */
export type Departure =
  /** Replicas with ids below this one were removed. */
  | { readonly type: 'removed'; readonly nextReplica: ReplicaId }
  /** It has no data and has promised nothing: it comes back if somebody wants it. */
  | { readonly type: 'unwanted' };

/** Ticks between two looks whether the disk is full, or not any more. */
const lookForSpaceTicks = 5;

export class ShardHost implements ReplicaHost {
  readonly nodeId: NodeId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Prng;
  readonly limits: Limits;
  readonly timing: ReplicaTiming;
  readonly observer: ReplicaObserver | undefined;
  /** Takes one turn's messages to a node. Set by the owner before the first tick. */
  sendRaft: (node: NodeId, messages: readonly OutgoingMessage[]) => void = () => undefined;
  /** What becomes of a wish for a Raft snapshot, and which entries are needed for those under way. Set by the owner, too. */
  snapshots: SnapshotSource = { want: () => undefined, pinnedIndex: () => undefined };
  /** Whether a replica may be made for a message: of a shard that there is, and not one of its first. Set by the owner. */
  mayBeMade: (shard: ShardId, replica: ReplicaId) => boolean = () => false;
  /** See {@link ReplicaHost.storeOf}. Set by the owner. */
  storeOf: ReplicaHost['storeOf'] = () => undefined;
  /** Somebody speaks to a newer replica of the shard than the one here. Set by the owner. */
  onSuperseded: (shard: ShardId, replica: ReplicaId) => void = () => undefined;
  readonly #store: ReplicaStore;
  readonly #log: SharedLog;
  readonly #logKeeper: LogKeeper;
  readonly #stalledLog: StalledLog;
  readonly #shards = new Map<ShardId, HostedShard>();
  /** Being made, or ended: until then there is none of the shard. */
  readonly #changing = new Map<ShardId, Promise<void>>();
  readonly #listeners: ((shard: ShardId, hosted: HostedShard | undefined) => void)[] = [];
  readonly #outbox = new Map<NodeId, OutgoingMessage[]>();
  #scheduled = new Set<Scheduled>();
  /** Whoever ticks: a group without anything to do costs nothing. As of when each was carried out last. */
  readonly #awake = new Set<Scheduled>();
  readonly #unreachable = new Set<NodeId>();
  #turnPlanned = false;
  #ticks = 0;
  /** As of the last look. */
  #areTablesOutOfSpace = false;
  #failure: Error | undefined;
  #isRetiring = false;
  #closed = false;
  #onFailure: ((error: Error) => void) | undefined;

  private constructor(options: ShardHostOptions, store: ReplicaStore) {
    const { env } = options;
    this.#store = store;
    this.#log = store.log;
    this.nodeId = options.nodeId;
    this.clock = env.clock;
    this.logger = env.logger;
    this.random = env.random;
    this.limits = options.limits;
    this.timing = options.timing;
    this.observer = options.observer;
    this.#logKeeper = new LogKeeper({
      shards: () => this.#shards.values(),
      logBytes: () => this.#log.stats().bytes,
      allowance: (hosted) => this.logAllowance(hosted),
      snapshotIndex: (shard) => this.snapshots.pinnedIndex(shard),
      limits: this.limits,
      logger: this.logger,
      onFailure: (error) => this.fail(error),
    });
    this.#stalledLog = new StalledLog({
      underWay: () => this.#log.underWay,
      shards: () => this.#shards.values(),
      ticksMax: this.timing.electionTicksMax,
      logger: this.logger,
    });
    this.#log.onFailure((error) => this.fail(error));
  }

  /** Opens the log and every replica of the directory. Throws CorruptionError where something is damaged. */
  static async open(options: ShardHostOptions): Promise<ShardHost> {
    const store = await ReplicaStore.open(options);
    try {
      const opened = await store.openAll();
      const host = new ShardHost(options, store);
      for (const replica of opened) host.#host(replica);
      return host;
    } catch (error) {
      await store.log.close().catch(() => undefined);
      throw error;
    }
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

  /** How long the log of one of the shards may become for the sake of followers. */
  logAllowance({ tree }: HostedShard): LogAllowance {
    return logAllowance({ tableBytes: tree.stats().bytes, isDiskFull: this.isDiskFull }, this.limits);
  }

  /** Where the folders of the shards are. */
  get shardsFolder(): string {
    return this.#store.shardsFolder;
  }

  get logStats(): ReturnType<SharedLog['stats']> {
    return this.#log.stats();
  }

  // ---- replicas come and go

  /** `listener(shard, hosted)` runs when a replica has come, or has gone, from now on. */
  onChange(listener: (shard: ShardId, hosted: HostedShard | undefined) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * The replica of `descriptor` on this node; made when it is not there yet. Undefined where it was removed: it does not come
   * back.
   */
  async create(descriptor: ShardDescriptor): Promise<HostedShard | undefined> {
    const { shard } = descriptor;
    await this.#changing.get(shard);
    const existing = this.#shards.get(shard);
    const id = replicaOn(descriptor, this.nodeId);
    if (existing !== undefined) return existing.replica.replicaId === id ? existing : undefined;
    if (id === undefined || id < this.#store.smallestReplica(shard)) return undefined;
    await this.#change(shard, async () => this.#hostMade(await this.#store.create(descriptor)));
    return this.#shards.get(shard);
  }

  #hostMade(opened: OpenedReplica | undefined): void {
    if (opened === undefined) return;
    const hosted = this.#host(opened);
    for (const listener of this.#listeners) listener(hosted.replica.shard, hosted);
  }

  #host({ replicaId, descriptor, machine, tree, log }: OpenedReplica): HostedShard {
    tree.onFailure((error) => this.fail(error));
    const replica = new Replica({ host: this, descriptor, replicaId, log, machine, tree });
    for (const node of this.#unreachable) replica.peerUnreachable(node);
    if (this.#isRetiring) replica.retire();
    const hosted = { replica, tree };
    this.#shards.set(descriptor.shard, hosted);
    return hosted;
  }

  /** One at a time of a shard. Rejects when it could not be done. */
  async #change(shard: ShardId, work: () => Promise<void>): Promise<void> {
    const changing = work().finally(() => this.#changing.delete(shard));
    this.#changing.set(shard, changing);
    await changing;
  }

  /**
   * Somebody on another node speaks to a replica of the shard that is not here: one that was removed, which stays so; or a new
   * one, which is made if a leader does, to be filled by a Raft snapshot.
   */
  spokenTo(shard: ShardId, replica: ReplicaId, byLeader: boolean): void {
    if (this.#isOver || this.#changing.has(shard) || this.#shards.has(shard)) return;
    if (replica < this.#store.smallestReplica(shard)) {
      this.logger.debug('a message for a replica that was removed', { shard, replica });
      return;
    }
    if (!byLeader || !this.mayBeMade(shard, replica) || this.#unfilledCount >= this.limits.unfilledReplicasMax) return;
    this.logger.info('makes a replica that a leader speaks to', { shard, replica });
    this.#change(shard, async () => this.#hostMade(await this.#store.createUnfilled(shard, replica))).catch(
      (error: unknown) => this.fail(error instanceof Error ? error : QuorateError.from(error)),
    );
  }

  get #unfilledCount(): number {
    let count = this.#changing.size;
    for (const { replica } of this.#shards.values()) if (replica.standing === 'unfilled') count++;
    return count;
  }

  /** Ends the replica, and removes what it has. Messages to it have no effect any more, whenever they come. */
  depart(hosted: HostedShard, why: Departure): void {
    const { replica, tree } = hosted;
    const { shard } = replica;
    if (this.#isOver || this.#shards.get(shard) !== hosted) return;
    this.#shards.delete(shard);
    this.#awake.delete(replica);
    this.#scheduled.delete(replica);
    const message = `the replica of shard ${shard} on this node was removed`;
    replica.close(new QuorateError('NOT_LEADER', message, { shard, outcome: 'unknown' }));
    this.#change(shard, async () => {
      await tree.close();
      await replica.snapshots.settled();
      if (why.type === 'removed') await this.#store.bury(shard, why.nextReplica);
      else await this.#store.discard(shard);
    }).catch((error: unknown) => this.fail(error instanceof Error ? error : QuorateError.from(error)));
    for (const listener of this.#listeners) listener(shard, undefined);
  }

  get #isOver(): boolean {
    return this.#closed || this.#failure !== undefined;
  }

  // ---- inputs

  /**
   * Messages that node `from` sent. One for a replica that is not here (yet) has no other effect than {@link spokenTo}; Raft
   * sends again. Throws ProtocolError at the first that no correct node sends.
   */
  step(from: NodeId, messages: readonly ShardMessage[]): void {
    for (const { shard, message } of messages) {
      const replica = this.#shards.get(shard)?.replica;
      const fault = replica?.messenger.messageFault(from, message);
      if (fault !== undefined) throw new ProtocolError(`shard ${shard}: ${fault}`);
      if (replica === undefined) {
        this.spokenTo(shard, message.to, isFromLeader(message));
      } else if (message.to > replica.replicaId) {
        this.onSuperseded(shard, message.to);
      } else {
        replica.step(from, message);
      }
    }
  }

  /** See {@link Raft.tick}. */
  tick(ticksElapsed: number): void {
    for (const replica of this.#awake) replica.tick(ticksElapsed);
    this.#logKeeper.tick();
    this.#stalledLog.tick();
    this.#log.tick();
    if (++this.#ticks % lookForSpaceTicks === 0) this.#lookForSpace();
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

  send({ node, storeId }: Pick<ReplicaDescriptor, 'node' | 'storeId'>, shard: ShardId, message: RaftMessage): void {
    const messages = this.#outbox.get(node);
    if (messages === undefined) this.#outbox.set(node, [{ shard, message, storeId }]);
    else messages.push({ shard, message, storeId });
    this.#planTurn();
  }

  snapshotWanted(shard: ShardId, to: ReplicaId): void {
    this.snapshots.want(shard, to);
  }

  removed(shard: ShardId): void {
    const hosted = this.#shards.get(shard);
    if (hosted === undefined) return;
    this.logger.info('a replica has applied its removal', { shard, replica: hosted.replica.replicaId });
    this.depart(hosted, { type: 'removed', nextReplica: hosted.replica.descriptor.nextReplica });
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
      this.fail(errorOf(error));
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
    this.#log.lookForSpace();
    this.#areTablesOutOfSpace = false;
    for (const { tree } of this.#shards.values()) this.#areTablesOutOfSpace ||= tree.outOfSpace;
    if (this.#areTablesOutOfSpace) this.#log.giveUpSpares();
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
    await Promise.allSettled([...this.#changing.values()]);
    for (const { replica } of this.#shards.values()) replica.close();
    await Promise.allSettled([...this.#shards.values()].map(({ tree }) => tree.close()));
    await Promise.all([...this.#shards.values()].map(({ replica }) => replica.snapshots.settled()));
    await this.#log.close();
  }
}
