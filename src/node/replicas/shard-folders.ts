/**
 * The shards of this node on disk: `shards/<id>/` is a replica's tree. A tree is made aside and renamed, so a folder that
 * is there is whole. One of a replica that has no data yet names it (`replica-<id>`), until a Raft snapshot takes its place.
 * Beside it lie those of Raft snapshots (snapshots/folders.ts), and what is left of replicas that are gone (tombstones.ts).
 */
import { CorruptionError } from '../../base/errors.js';
import { placementShardId, ReplicaId, ShardId } from '../../base/ids.js';
import type { NodeId } from '../../base/ids.js';
import type { Limits } from '../../base/limits.js';
import { syncNames } from '../../env/disk.js';
import type { Env } from '../../env/env.js';
import { BlockCache } from '../../lsm/block-cache.js';
import { Throttle } from '../../env/throttle.js';
import { MemtableBudget } from '../../lsm/memtable/memtable-budget.js';
import { RowCache } from '../../lsm/row-cache.js';
import { OpenFiles } from '../../lsm/sstable/open-files.js';
import { Tree } from '../../lsm/tree.js';
import type { TreeResources } from '../../lsm/tree.js';
import { StateMachine, type StateMachineOptions } from '../../mvcc/state-machine.js';
import { encodeDescriptor, replicaOn } from '../../shard/descriptor.js';
import type { ShardDescriptor } from '../../shard/descriptor.js';
import { decodeGroupDescriptor, type GroupDescriptor, unknownGroup } from '../../shard/group-descriptor.js';
import { shardOfInstall } from '../snapshots/folders.js';
import { dropInstall, finishInstall, switchFolders, type LogOfShard } from '../snapshots/install.js';
import { ShardTree } from './shard-tree.js';
import { bury, empty, tombstoneName, tombstoneOf, type Tombstone } from './tombstones.js';

/** Bytes of a memtable for each byte of an entry of the log, at most: keys of a few bytes have mostly overhead. */
const memtableBytesPerEntryByte = 8;
/** Longest steps in which the parts of a memtable grow, together. */
const memtableStepBytes = 2 * 1024 * 1024;

export interface ShardFoldersOptions {
  readonly env: Pick<Env, 'background' | 'clock' | 'disk' | 'logger'>;
  /** The node's data directory. */
  readonly directory: string;
  readonly nodeId: NodeId;
  readonly limits: Limits;
}

/** What the folder of a replica without data has, and no other. */
const unfilledMark = /^replica-(\d{1,15})$/;

export interface OpenedShard {
  readonly descriptor: GroupDescriptor;
  /** Undefined when this node's replica was removed, and has applied that. */
  readonly replicaId: ReplicaId | undefined;
  readonly machine: StateMachine;
  readonly tree: ShardTree;
}

type TreeLimits = Pick<Limits, 'memtableBytesMax' | 'sealedMemtablesMax' | 'largeValueBytesMin'>;

export class ShardFolders {
  readonly #folder: string;
  readonly #nodeId: NodeId;
  readonly #limits: Limits;
  readonly #resources: TreeResources;
  /** Smallest id that a replica here may have, by shard, where one was removed. */
  readonly #tombstones = new Map<ShardId, ReplicaId>();

  constructor({ env, directory, nodeId, limits }: ShardFoldersOptions) {
    this.#folder = `${directory}/shards`;
    this.#nodeId = nodeId;
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

  /** All shards. Puts those in place that were decided for, and removes what else a crash has left. */
  async list(): Promise<ShardId[]> {
    const { disk } = this.#resources;
    const shards: ShardId[] = [];
    for (const name of await disk.list(this.#folder)) {
      const shard = shardOfInstall(name);
      if (shard !== undefined) await switchFolders(disk, this.#folder, `${this.#folder}/${shard}`);
    }
    for (const name of await disk.list(this.#folder)) {
      const path = `${this.#folder}/${name}`;
      const tombstone = tombstoneOf(name);
      if (/^\d+$/.test(name)) shards.push(ShardId(Number(name)));
      else if (tombstone !== undefined && (await this.#remember(tombstone))) await empty(disk, path);
      else await disk.removeTree(path);
    }
    return shards;
  }

  /** Smallest id that a replica of the shard may have here: 1 unless one was removed. */
  smallestReplica(shard: ShardId): ReplicaId {
    return this.#tombstones.get(shard) ?? ReplicaId(1);
  }

  /** Whether a replica of the shard was removed from here. */
  hasTombstone(shard: ShardId): boolean {
    return this.#tombstones.has(shard);
  }

  /** Whether an earlier one does not say more. One that says less goes. */
  async #remember({ shard, nextReplica }: Tombstone): Promise<boolean> {
    const before = this.#tombstones.get(shard);
    if (before !== undefined && before >= nextReplica) return false;
    this.#tombstones.set(shard, nextReplica);
    if (before !== undefined) {
      await this.#resources.disk.removeTree(`${this.#folder}/${tombstoneName({ shard, nextReplica: before })}`);
    }
    return true;
  }

  /** The replica of the shard is gone for good, whose tree is closed. What is left of it goes, at the next start at the latest. */
  async bury(tombstone: Tombstone): Promise<void> {
    await bury(this.#resources.disk, this.#folder, tombstone);
    await this.#remember(tombstone);
  }

  /** Removes the folder of a replica that never had data, whose tree is closed. */
  async discard(shard: ShardId): Promise<void> {
    const { disk } = this.#resources;
    const aside = `${this.path(shard)}.new`;
    await dropInstall(disk, this.#folder, this.path(shard));
    await disk.removeTree(aside);
    await disk.rename(this.path(shard), aside);
    await syncNames(disk, this.#folder);
    await disk.removeTree(aside);
  }

  /** Makes the folder of a new shard's replica. */
  create(descriptor: ShardDescriptor): Promise<void> {
    return this.#create(descriptor.shard, async (tree) => {
      await StateMachine.create(tree, encodeDescriptor(descriptor), machineOptions(descriptor.shard, this.#limits));
    });
  }

  /** Makes the folder of a replica that has no data yet. */
  createUnfilled(shard: ShardId, replica: ReplicaId): Promise<void> {
    const { disk } = this.#resources;
    return this.#create(shard, async (_tree, folder) => {
      const mark = await disk.open(`${folder}/replica-${replica}`, 'create');
      await mark.close();
      await disk.syncDirectory(folder);
    });
  }

  async #create(shard: ShardId, fill: (tree: Tree, folder: string) => Promise<void>): Promise<void> {
    const { disk } = this.#resources;
    const path = this.path(shard);
    const aside = `${path}.new`;
    await disk.removeTree(aside);
    const tree = await Tree.create(aside, this.#resources, treeOptions(shard, this.#limits));
    await fill(tree, aside);
    await tree.close();
    await disk.rename(aside, path);
    try {
      await syncNames(disk, this.#folder);
    } catch (error) {
      // Seen after a restart it would be taken for durable, and no later sync would make it so.
      await disk.rename(path, aside).catch(() => undefined);
      throw error;
    }
  }

  /** Throws CorruptionError. */
  async open(shard: ShardId, log: LogOfShard): Promise<OpenedShard> {
    const { disk } = this.#resources;
    const path = this.path(shard);
    await finishInstall(disk, path, log);
    const openTree = (): Promise<Tree> => Tree.open(path, this.#resources, treeOptions(shard, this.#limits));
    const tree = new ShardTree(await openTree(), async () => {
      await switchFolders(disk, this.#folder, path);
      return openTree();
    });
    try {
      const machine = await StateMachine.open(tree, machineOptions(shard, this.#limits));
      if (machine === undefined) return await this.#openUnfilled(path, shard, tree);
      const descriptor = decodeGroupDescriptor(machine.descriptor);
      return { descriptor, replicaId: replicaOn(descriptor, this.#nodeId), machine, tree };
    } catch (error) {
      await tree.close().catch(() => undefined);
      throw error;
    }
  }

  async #openUnfilled(path: string, shard: ShardId, tree: ShardTree): Promise<OpenedShard> {
    const marks = (await this.#resources.disk.list(path)).map((name) => unfilledMark.exec(name)?.[1]);
    const mark = marks.find((id) => id !== undefined);
    if (mark === undefined) throw new CorruptionError(path, 0, 'it holds no shard');
    const machine = StateMachine.unfilled(tree, machineOptions(shard, this.#limits));
    return { descriptor: unknownGroup(shard), replicaId: ReplicaId(Number(mark)), machine, tree };
  }
}

/**
 * Versions of the placement group count its changes, of which there is one every 1.5 s where timestamps are asked for: the high water is
 * raised. Nobody reads what was so long ago; whoever reads its state, which all do after each change, steps over what is still there.
 */
const placementRetention = 1000;
/** So what has been replaced leaves memory after some minutes, and is dropped from tables within an hour or so. */
const placementMemtableBytesMax = 64 * 1024;

/** How the state machine of the shard is opened. */
export function machineOptions(
  shard: ShardId,
  { versionRetentionMs }: Pick<Limits, 'versionRetentionMs'>,
): StateMachineOptions {
  return { retention: shard === placementShardId ? placementRetention : versionRetentionMs * 1000 };
}

function treeOptions(shard: ShardId, limits: Limits): TreeLimits {
  const { sealedMemtablesMax, largeValueBytesMin } = limits;
  const bytesMax = shard === placementShardId ? placementMemtableBytesMax : Infinity;
  return { memtableBytesMax: Math.min(limits.memtableBytesMax, bytesMax), sealedMemtablesMax, largeValueBytesMin };
}
