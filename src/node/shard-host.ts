/**
 * All replicas of this node: opens them at start, makes those that the shard map assigns, and drives them.
 *
 * One turn of the event loop: inputs (messages, proposals, reads, ticks, finished syncs) mark replicas; at the end of
 * the turn each marked replica carries out what its core decided; then each peer gets one frame with all messages.
 *
 * On disk: `log/` is the shared log, `shards/<id>/` a replica's tree. A tree is made aside and renamed, so a folder
 * that is there is whole.
 */
import { CorruptionError, QuorateError } from '../base/errors.js';
import { LogIndex, Term } from '../base/ids.js';
import type { NodeId, ShardId } from '../base/ids.js';
import type { Limits } from '../base/limits.js';
import type { Prng } from '../base/prng.js';
import type { Clock } from '../env/clock.js';
import type { Env } from '../env/env.js';
import type { Logger } from '../env/logger.js';
import { SharedLog } from '../log/shared-log.js';
import { BlockCache } from '../lsm/block-cache.js';
import { MemtableBudget } from '../lsm/memtable/memtable-budget.js';
import { OpenFiles } from '../lsm/sstable/open-files.js';
import { Tree } from '../lsm/tree.js';
import type { TreeResources } from '../lsm/tree.js';
import { StateMachine, initialIndex } from '../mvcc/state-machine.js';
import type { RaftMessage } from '../raft/types.js';
import type { ShardMessage } from '../rpc/peer-messages.js';
import { decodeDescriptor, encodeDescriptor } from '../shard/descriptor.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import { encodeEntry } from '../shard/entry-format.js';
import { Replica } from '../shard/replica.js';
import type { LogRecords, ReplicaHost, ReplicaTiming, Scheduled } from '../shard/replica-host.js';
import { ProtocolError } from './protocol-error.js';

export interface ShardHostOptions {
  readonly env: Env;
  readonly directory: string;
  readonly nodeId: NodeId;
  readonly limits: Limits;
  readonly timing: ReplicaTiming;
}

/** A replica with what it stands on. */
export interface HostedShard {
  readonly replica: Replica;
  readonly tree: Tree;
}

/** Entries that a log may gather before its leader has them dropped, when every voter has them. */
const truncateEntriesMin = 1000;
/** Fewer of a shard that has become quiet are dropped this often: another node's log may be long because of them. */
const truncateFewTicks = 200;
/** Bytes of a memtable for each byte of an entry of the log, at most: keys of a few bytes have mostly overhead. */
const memtableBytesPerEntryByte = 8;
/** Longest steps in which the parts of a memtable grow, together. */
const memtableStepBytes = 2 * 1024 * 1024;
/** Ticks between two looks at what the log could drop. */
const housekeepingTicks = 20;

export class ShardHost implements ReplicaHost {
  readonly nodeId: NodeId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Prng;
  readonly limits: Limits;
  readonly timing: ReplicaTiming;
  /** Takes one turn's messages to a node. Set by the owner before the first tick. */
  sendRaft: (node: NodeId, messages: readonly ShardMessage[]) => void = () => undefined;
  readonly #options: ShardHostOptions;
  readonly #log: SharedLog;
  readonly #resources: TreeResources;
  readonly #shards = new Map<ShardId, HostedShard>();
  readonly #creating = new Map<ShardId, Promise<HostedShard>>();
  readonly #outbox = new Map<NodeId, ShardMessage[]>();
  #scheduled = new Set<Scheduled>();
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
    this.#resources = {
      disk: env.disk,
      background: env.background,
      blockCache: new BlockCache(options.limits.blockCacheBytesMax),
      openFiles: new OpenFiles(options.limits.openTablesMax),
      memtableBudget: new MemtableBudget({
        bytesMax: options.limits.nodeMemtableBytesMax,
        writeBytesMax: memtableBytesPerEntryByte * options.limits.entryBytesMax + memtableStepBytes,
      }),
      logger: env.logger,
      clock: env.clock,
    };
    log.onFailure((error) => this.fail(error));
  }

  /** Opens the log and every replica of the directory. Throws CorruptionError where something is damaged. */
  static async open(options: ShardHostOptions): Promise<ShardHost> {
    const { env, directory, limits } = options;
    await env.disk.makeDirectory(`${directory}/shards`);
    await env.disk.syncDirectory(directory);
    const isNew = (await env.disk.list(`${directory}/shards`)).length === 0;
    if (!isNew && !(await env.disk.exists(`${directory}/log`))) {
      throw new CorruptionError(`${directory}/log`, 0, 'the folder is missing, though there are shards');
    }
    const log = await SharedLog.open({
      disk: env.disk,
      directory: `${directory}/log`,
      segmentBytesMax: limits.segmentBytesMax,
      cacheBytesMax: limits.logCacheBytesMax,
      logger: env.logger,
    });
    const host = new ShardHost(options, log);
    for (const name of await env.disk.list(`${directory}/shards`)) {
      const path = `${directory}/shards/${name}`;
      if (/^\d+$/.test(name)) await host.#openShard(path);
      else await env.disk.removeTree(path);
    }
    for (const shard of log.groups) {
      if (host.#shards.has(shard)) continue;
      const path = `${directory}/shards/${shard}`;
      throw new CorruptionError(path, 0, 'the folder is missing, though the log has entries of the shard');
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
    const { disk } = this.#options.env;
    const folder = `${this.#options.directory}/shards`;
    const aside = `${folder}/${descriptor.shard}.new`;
    const path = `${folder}/${descriptor.shard}`;
    await disk.removeTree(aside);
    const tree = await Tree.create(aside, this.#resources, this.#treeOptions());
    await StateMachine.create(tree, encodeDescriptor(descriptor), this.#machineOptions());
    await tree.close();
    await disk.rename(aside, path);
    await disk.syncDirectory(folder);
    return this.#openShard(path);
  }

  async #openShard(path: string): Promise<HostedShard> {
    const tree = await Tree.open(path, this.#resources, this.#treeOptions());
    const machine = await StateMachine.open(tree, this.#machineOptions());
    if (machine === undefined) throw new CorruptionError(path, 0, 'it holds no shard');
    const descriptor = decodeDescriptor(machine.descriptor);
    const log = this.#log.group(descriptor.shard);
    if (log.lastIndex < initialIndex) log.truncatePrefix(initialIndex, Term(0));
    if (tree.durableAppliedIndex > log.lastIndex) {
      const reason = `the log ends at ${log.lastIndex}, though the tree has applied entry ${tree.durableAppliedIndex}`;
      throw new CorruptionError(`${this.#options.directory}/log`, 0, `shard ${descriptor.shard}: ${reason}`);
    }
    tree.onFailure((error) => this.fail(error));
    const replica = new Replica({ host: this, descriptor, log, machine, tree });
    if (this.#isRetiring) replica.retire();
    const hosted = { replica, tree };
    this.#shards.set(descriptor.shard, hosted);
    return hosted;
  }

  #treeOptions(): { memtableBytesMax: number; sealedMemtablesMax: number } {
    const { memtableBytesMax, sealedMemtablesMax } = this.limits;
    return { memtableBytesMax, sealedMemtablesMax };
  }

  #machineOptions(): { versionRetentionMs: number } {
    return { versionRetentionMs: this.limits.versionRetentionMs };
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
    for (const { replica } of this.#shards.values()) replica.tick();
    this.#lookForSpace();
    if (++this.#ticks % housekeepingTicks !== 0) return;
    this.#keepLogShort();
    if (this.#log.isDiskFull) this.#tryLog();
  }

  peerUnreachable(node: NodeId): void {
    for (const { replica } of this.#shards.values()) replica.peerUnreachable(node);
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
      for (const replica of scheduled) replica.handleReady();
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

  /** Trees look for space by themselves; the log only when it is written to. An entry that changes nothing will do. */
  #tryLog(): void {
    const leader = this.shards.find(({ replica }) => replica.isReadyLeader)?.replica;
    leader?.propose(encodeEntry({ type: 'truncateLog', upTo: LogIndex(0) }), () => undefined);
  }

  /**
   * Leaders have entries dropped that every voter holds, many at a time, and now and then the few of a quiet shard, which
   * keep whole segments: a leader does not see whose log is long. Where the log is, at once; and there trees are flushed
   * that keep the log from shrinking.
   */
  #keepLogShort(): void {
    const isLong = this.#log.stats().bytes >= this.limits.logBytesFlush;
    const isTimeForFew = this.#ticks % truncateFewTicks === 0;
    for (const { replica } of this.#shards.values()) {
      const upTo = replica.truncatableByAll();
      const count = upTo - replica.truncatable;
      // What this proposes is an entry, too: one alone is not worth the next.
      const enough = isLong && replica.keepsLogLong ? 1 : isTimeForFew ? 2 : truncateEntriesMin;
      if (count >= enough) replica.propose(encodeEntry({ type: 'truncateLog', upTo }), () => undefined);
    }
    if (!isLong) return;
    for (const { replica, tree } of this.#shards.values()) {
      // Where the log keeps entries that this tree has in tables, somebody else needs them: a flush would not help.
      if (!replica.keepsLogLong || tree.durableAppliedIndex >= replica.firstLogIndex) continue;
      if (tree.durableAppliedIndex === tree.appliedIndex) continue;
      tree.flush().catch((error: unknown) => this.fail(QuorateError.from(error)));
      this.logger.debug('flushes a tree to shorten the log', { shard: replica.shard });
    }
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
    await this.#log.close();
  }
}
