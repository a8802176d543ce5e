/**
 * The shards of this node on disk: `shards/<id>/` is a replica's tree. A tree is made aside and renamed, so a folder that
 * is there is whole. Beside it lie those of Raft snapshots: snapshots/folders.ts.
 */
import { CorruptionError } from '../base/errors.js';
import type { ShardId } from '../base/ids.js';
import type { Limits } from '../base/limits.js';
import type { Env } from '../env/env.js';
import { BlockCache } from '../lsm/block-cache.js';
import { Throttle } from '../env/throttle.js';
import { MemtableBudget } from '../lsm/memtable/memtable-budget.js';
import { RowCache } from '../lsm/row-cache.js';
import { OpenFiles } from '../lsm/sstable/open-files.js';
import { Tree } from '../lsm/tree.js';
import type { TreeResources } from '../lsm/tree.js';
import { StateMachine } from '../mvcc/state-machine.js';
import { encodeDescriptor } from '../shard/descriptor.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import { decodeGroupDescriptor, type GroupDescriptor } from '../shard/group-descriptor.js';
import { shardOfInstall } from './snapshots/folders.js';
import { finishInstall, switchFolders, type LogOfShard } from './snapshots/install.js';
import { ShardTree } from './shard-tree.js';

/** Bytes of a memtable for each byte of an entry of the log, at most: keys of a few bytes have mostly overhead. */
const memtableBytesPerEntryByte = 8;
/** Longest steps in which the parts of a memtable grow, together. */
const memtableStepBytes = 2 * 1024 * 1024;

export interface ShardFoldersOptions {
  readonly env: Pick<Env, 'background' | 'clock' | 'disk' | 'logger'>;
  /** The node's data directory. */
  readonly directory: string;
  readonly limits: Limits;
}

export interface OpenedShard {
  readonly descriptor: GroupDescriptor;
  readonly machine: StateMachine;
  readonly tree: ShardTree;
}

export class ShardFolders {
  readonly #folder: string;
  readonly #limits: Limits;
  readonly #resources: TreeResources;

  constructor({ env, directory, limits }: ShardFoldersOptions) {
    this.#folder = `${directory}/shards`;
    this.#limits = limits;
    this.#resources = {
      disk: env.disk,
      background: env.background,
      blockCache: new BlockCache(limits.blockCacheBytesMax),
      openFiles: new OpenFiles(limits.openTablesMax),
      rowCache: new RowCache(limits.rowCacheBytesMax),
      memtableBudget: new MemtableBudget({
        bytesMax: limits.nodeMemtableBytesMax,
        writeBytesMax: memtableBytesPerEntryByte * limits.entryBytesMax + memtableStepBytes,
      }),
      compactionThrottle: new Throttle({
        bytesPerSecondMax: limits.compactionBytesPerSecondMax,
        clock: env.clock,
      }),
      logger: env.logger,
      clock: env.clock,
    };
  }

  /** Of all shards. */
  get folder(): string {
    return this.#folder;
  }

  path(shard: ShardId): string {
    return `${this.#folder}/${shard}`;
  }

  /** Paths of all shards. Puts those in place that were decided for, and removes what else a crash has left. */
  async list(): Promise<string[]> {
    const { disk } = this.#resources;
    const paths: string[] = [];
    for (const name of await disk.list(this.#folder)) {
      const shard = shardOfInstall(name);
      if (shard !== undefined) await switchFolders(disk, this.#folder, `${this.#folder}/${shard}`);
    }
    for (const name of await disk.list(this.#folder)) {
      const path = `${this.#folder}/${name}`;
      if (/^\d+$/.test(name)) paths.push(path);
      else await disk.removeTree(path);
    }
    return paths;
  }

  /** Makes the folder of a shard that is not here yet. */
  async create(descriptor: ShardDescriptor): Promise<void> {
    const { disk } = this.#resources;
    const path = this.path(descriptor.shard);
    const aside = `${path}.new`;
    await disk.removeTree(aside);
    const tree = await Tree.create(aside, this.#resources, this.#treeOptions());
    await StateMachine.create(tree, encodeDescriptor(descriptor), this.#machineOptions());
    await tree.close();
    await disk.rename(aside, path);
    try {
      await disk.syncDirectory(this.#folder);
    } catch (error) {
      // Seen after a restart it would be taken for durable, and no later sync would make it so.
      await disk.rename(path, aside).catch(() => undefined);
      throw error;
    }
  }

  /** Throws CorruptionError. */
  async open(path: string, log: LogOfShard): Promise<OpenedShard> {
    const { disk } = this.#resources;
    await finishInstall(disk, path, log);
    const openTree = (): Promise<Tree> => Tree.open(path, this.#resources, this.#treeOptions());
    const tree = new ShardTree(await openTree(), async () => {
      await switchFolders(disk, this.#folder, path);
      return openTree();
    });
    const machine = await StateMachine.open(tree, this.#machineOptions());
    if (machine === undefined) throw new CorruptionError(path, 0, 'it holds no shard');
    return { descriptor: decodeGroupDescriptor(machine.descriptor), machine, tree };
  }

  #treeOptions(): Pick<Limits, 'memtableBytesMax' | 'sealedMemtablesMax' | 'largeValueBytesMin'> {
    const { memtableBytesMax, sealedMemtablesMax, largeValueBytesMin } = this.#limits;
    return { memtableBytesMax, sealedMemtablesMax, largeValueBytesMin };
  }

  #machineOptions(): { versionRetentionMs: number } {
    return { versionRetentionMs: this.#limits.versionRetentionMs };
  }
}
