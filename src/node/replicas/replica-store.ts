/**
 * The replicas of this node on disk: their folders, and their parts of the shared log, which begin and end together.
 *
 * A replica comes into being with its folder; until then its part of the log is empty. It ends with its folder, too: what a
 * crash leaves in the log of a replica that is gone is dropped at the next start, before another may begin.
 */
import { CorruptionError } from '../../base/errors.js';
import { Term } from '../../base/ids.js';
import type { ReplicaId, ShardId } from '../../base/ids.js';
import { makeDurableDirectory } from '../../env/disk.js';
import type { Env } from '../../env/env.js';
import type { GroupLog } from '../../log/group-log.js';
import { SharedLog } from '../../log/shared-log.js';
import { initialIndex } from '../../mvcc/state-machine.js';
import type { ShardDescriptor } from '../../shard/descriptor.js';
import { logFault } from './log-fits-tree.js';
import { type OpenedShard, ShardFolders, type ShardFoldersOptions } from './shard-folders.js';

export interface OpenedReplica extends OpenedShard {
  readonly replicaId: ReplicaId;
  readonly log: GroupLog;
}

export interface ReplicaStoreOptions extends ShardFoldersOptions {
  readonly env: Env;
}

export class ReplicaStore {
  readonly log: SharedLog;
  readonly #options: ReplicaStoreOptions;
  readonly #folders: ShardFolders;

  private constructor(options: ReplicaStoreOptions, log: SharedLog) {
    this.#options = options;
    this.log = log;
    this.#folders = new ShardFolders(options);
  }

  /** Opens the log. Throws CorruptionError where something is damaged. */
  static async open(options: ReplicaStoreOptions): Promise<ReplicaStore> {
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
      spareSegmentsMax: limits.spareSegmentsMax,
      cacheBytesMax: limits.logCacheBytesMax,
      logger: env.logger,
    });
    return new ReplicaStore(options, log);
  }

  /** Opens every replica that is there, after which no other part of the log is left. Throws CorruptionError, and then has none open. */
  async openAll(): Promise<OpenedReplica[]> {
    const opened: OpenedReplica[] = [];
    try {
      await this.#openAll(opened);
      return opened;
    } catch (error) {
      await Promise.allSettled(opened.map(({ tree }) => tree.close()));
      throw error;
    }
  }

  async #openAll(opened: OpenedReplica[]): Promise<void> {
    const shards = await this.#folders.list();
    for (const shard of this.log.groups) {
      if (shards.includes(shard)) continue;
      const reason = 'the folder is missing, though the log has entries of the shard';
      if (!this.#folders.hasTombstone(shard)) throw new CorruptionError(this.#folders.path(shard), 0, reason);
      await this.log.drop(shard);
    }
    for (const shard of shards) {
      const replica = await this.#open(shard);
      if (replica !== undefined) opened.push(replica);
    }
  }

  /** Where the folders of the shards are. */
  get shardsFolder(): string {
    return this.#folders.folder;
  }

  /** Smallest id that a replica of the shard may have here: 1 unless one was removed. */
  smallestReplica(shard: ShardId): ReplicaId {
    return this.#folders.smallestReplica(shard);
  }

  /** A new shard's replica. Undefined where it was removed meanwhile. */
  async create(descriptor: ShardDescriptor): Promise<OpenedReplica | undefined> {
    await this.#folders.create(descriptor);
    return this.#open(descriptor.shard);
  }

  /** A replica that knows nothing but who it is. */
  async createUnfilled(shard: ShardId, replica: ReplicaId): Promise<OpenedReplica | undefined> {
    await this.#folders.createUnfilled(shard, replica);
    return this.#open(shard);
  }

  /** The replica of the shard, whose tree is closed, is gone for good: it and those before it never come back. */
  async bury(shard: ShardId, nextReplica: ReplicaId): Promise<void> {
    await this.#folders.bury({ shard, nextReplica });
    await this.log.drop(shard);
  }

  /** Forgets a replica, whose tree is closed, that has promised nothing: it may come back. */
  async discard(shard: ShardId): Promise<void> {
    await this.log.drop(shard);
    await this.#folders.discard(shard);
  }

  async #open(shard: ShardId): Promise<OpenedReplica | undefined> {
    const log = this.log.group(shard);
    const sync = (): Promise<void> => this.log.append(shard, { hardState: log.hardState, entries: [], mustSync: true });
    const { replicaId, ...opened } = await this.#folders.open(shard, { log, sync });
    const { appliedIndex } = opened.tree;
    if (appliedIndex >= initialIndex && log.lastIndex < initialIndex) log.truncatePrefix(initialIndex, Term(0));
    const fault = logFault(log, appliedIndex);
    if (fault !== undefined) {
      await opened.tree.close();
      throw new CorruptionError(`${this.#options.directory}/log`, 0, `shard ${shard}: ${fault}`);
    }
    if (replicaId !== undefined) return { replicaId, log, ...opened };
    await opened.tree.close();
    await this.bury(shard, opened.descriptor.nextReplica);
    this.#options.env.logger.info('a replica is gone: it had applied its removal', { shard });
    return undefined;
  }
}
