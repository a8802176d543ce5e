/**
 * Checkpoints of this node's shards that Raft snapshots are sent from. Followers of a shard that need a snapshot at about
 * the same time share one; it stays a while after its last use, longer where a transfer broke, which is to go on with it.
 *
 * Invariant: of a checkpoint that is made or used, the log is kept from its index on (`pinnedIndex`), as far as the log's
 * keeper is willing; one that the log does not go on from is not used again.
 */
import { maskedCrc32 } from '../../base/checksum.js';
import { CorruptionError, QuorateError } from '../../base/errors.js';
import type { LogIndex, ReplicaId, ShardId } from '../../base/ids.js';
import { DiskError, type Disk } from '../../env/disk.js';
import type { Logger } from '../../env/logger.js';
import { TreeInspection } from '../../lsm/tree-inspection.js';
import { type Configuration, isMember } from '../../raft/config.js';
import type { RaftSnapshot } from '../../raft/types.js';
import type { HostedShard } from '../replicas/hosted-shard.js';
import { checkpointFolder } from './folders.js';
import { encodeManifest, manifestName, type SnapshotFile } from './manifest.js';

export interface CheckpointsOptions {
  readonly disk: Disk;
  /** Folder of a shard. */
  readonly folderOf: (shard: ShardId) => string;
  /** Where numbers of checkpoints begin: not those of an earlier process. */
  readonly firstNumber: number;
  /** Ticks for which one stays that nobody uses. */
  readonly unusedTicksMax: UnusedTicks;
  readonly logger: Logger;
}

export interface UnusedTicks {
  /** After the last transfer was delivered: for others who need one at about the same time. */
  readonly delivered: number;
  /** After the last one to some follower failed: for this one, when it can be reached again. */
  readonly failed: number;
}

/** A shard that this node leads. */
export interface CheckpointSource {
  readonly replica: HostedShard['replica'];
  readonly tree: Pick<HostedShard['tree'], 'checkpoint'>;
}

export interface Checkpoint {
  /** Of this process, never used twice. */
  readonly number: number;
  readonly snapshot: RaftSnapshot;
  readonly manifestBytes: number;
  /** Of all files. */
  readonly bytes: number;
}

export interface Chunk {
  readonly bytes: Uint8Array;
  readonly checksum: number;
}

interface Kept extends Checkpoint {
  readonly folder: string;
  /** Sizes by name. */
  readonly files: ReadonlyMap<string, number>;
}

interface Slot {
  readonly shard: ShardId;
  readonly configuration: Configuration;
  /** Entries after it are needed. */
  readonly pinnedIndex: LogIndex;
  readonly made: Promise<Kept>;
  /** Undefined while it is being made. */
  kept: Kept | undefined;
  users: number;
  /** Followers that were not sent all of it, and may go on. */
  readonly failed: Set<ReplicaId>;
  unusedTicksLeft: number;
}

export class Checkpoints {
  readonly #options: CheckpointsOptions;
  #nextNumber: number;
  readonly #slots = new Set<Slot>();
  readonly #removals = new Set<Promise<void>>();
  #closed = false;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
    this.#nextNumber = options.firstNumber;
  }

  /**
   * A checkpoint that the shard's log goes on from, and that knows follower `to`; {@link release} it. Rejects with a DiskError or
   * TreeClosedError, and with UNAVAILABLE when the shard changed while it was made.
   */
  async acquire(hosted: CheckpointSource, to: ReplicaId): Promise<Checkpoint> {
    const { firstIndex } = hosted.replica.logPrefix;
    const isOfUse = ({ pinnedIndex, configuration }: Slot): boolean =>
      pinnedIndex + 1 >= firstIndex && isMember(configuration, to);
    const { shard } = hosted.replica;
    this.#dropPassed(shard, firstIndex);
    const slot = this.#find(shard, isOfUse) ?? this.#add(hosted);
    slot.users++;
    try {
      return await slot.made;
    } catch (error) {
      this.#slots.delete(slot);
      throw error;
    }
  }

  /** Those that nobody can use any more: the log does not go on from them. */
  #dropPassed(shard: ShardId, firstIndex: LogIndex): void {
    for (const slot of this.#slots) {
      if (slot.shard !== shard || slot.users > 0 || slot.kept === undefined) continue;
      if (slot.pinnedIndex + 1 < firstIndex) this.#drop(slot);
    }
  }

  /** The transfer to follower `to` has ended. */
  release(checkpoint: Checkpoint, to: ReplicaId, outcome: 'delivered' | 'failed'): void {
    const { delivered, failed } = this.#options.unusedTicksMax;
    for (const slot of this.#slots) {
      if (slot.kept?.number !== checkpoint.number) continue;
      slot.users--;
      if (outcome === 'failed') slot.failed.add(to);
      else slot.failed.delete(to);
      slot.unusedTicksLeft = slot.failed.size > 0 ? failed : delivered;
    }
  }

  /** Of the shard's checkpoints that are made or used, the oldest: entries after it are needed. */
  pinnedIndex(shard: ShardId): LogIndex | undefined {
    let oldest: LogIndex | undefined;
    for (const slot of this.#slots) {
      if (slot.shard !== shard || slot.users === 0) continue;
      if (oldest === undefined || slot.pinnedIndex < oldest) oldest = slot.pinnedIndex;
    }
    return oldest;
  }

  /** The shard's checkpoints are not used again: the log will not go on from them. */
  outdate(shard: ShardId): void {
    for (const slot of this.#slots) if (slot.shard === shard && slot.kept !== undefined) this.#drop(slot);
  }

  /**
   * Bytes of a file, none beyond its end. Rejects with INVALID_ARGUMENT where there is no such checkpoint (any more) or
   * file, with UNAVAILABLE where it cannot be read.
   */
  async read(shard: ShardId, number: number, file: string, offset: number, bytesMax: number): Promise<Chunk> {
    const kept = this.#find(shard, (slot) => slot.kept?.number === number)?.kept;
    const size = kept?.files.get(file);
    if (kept === undefined || size === undefined) {
      throw new QuorateError('INVALID_ARGUMENT', `there is no ${file} of checkpoint ${number} (any more)`, { shard });
    }
    const bytes = new Uint8Array(Math.max(0, Math.min(bytesMax, size - offset)));
    const path = `${kept.folder}/${file}`;
    try {
      const read = await this.#readFile(path, bytes, offset);
      return { bytes: read, checksum: maskedCrc32(read) };
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      // It may have been dropped meanwhile. Whether the disk fails is for those to say who rely on it.
      throw new QuorateError('UNAVAILABLE', error.message, { shard, retryable: false, cause: error });
    }
  }

  async #readFile(path: string, target: Uint8Array, offset: number): Promise<Uint8Array> {
    const opened = await this.#options.disk.open(path, 'read');
    try {
      const length = await opened.read(target, offset);
      return target.subarray(0, length);
    } finally {
      await opened.close();
    }
  }

  /**
   * A follower found damage in what it was sent of the checkpoint: it is not used again, and all of it is read. Rejects with a
   * CorruptionError where the damage is in a file that is the shard's own, too.
   */
  async examine({ number }: Checkpoint): Promise<void> {
    const { disk, folderOf } = this.#options;
    for (const slot of this.#slots) {
      if (slot.kept?.number !== number) continue;
      const { folder } = slot.kept;
      try {
        const damage = await damageOfTree(disk, folder);
        if (damage === undefined) return;
        // By the name that stays: they are one file.
        const file = damage.file.replace(folder, folderOf(slot.shard));
        throw new CorruptionError(file, damage.offset, 'a follower could not use the Raft snapshot with it', damage);
      } finally {
        this.#drop(slot);
      }
    }
  }

  tick(): void {
    for (const slot of this.#slots) {
      if (slot.kept === undefined || slot.users > 0) continue;
      if (--slot.unusedTicksLeft <= 0) this.#drop(slot);
    }
  }

  #find(shard: ShardId, condition: (slot: Slot) => boolean): Slot | undefined {
    for (const slot of this.#slots) if (slot.shard === shard && condition(slot)) return slot;
    return undefined;
  }

  #add(hosted: CheckpointSource): Slot {
    const { shard, appliedIndex } = hosted.replica;
    const number = this.#nextNumber++;
    const made = this.#make(hosted, number);
    const { configuration } = hosted.replica.snapshots;
    const slot: Slot = {
      shard,
      configuration,
      pinnedIndex: appliedIndex,
      made,
      kept: undefined,
      users: 0,
      failed: new Set(),
      unusedTicksLeft: 0,
    };
    this.#slots.add(slot);
    made.then(
      (kept) => {
        slot.kept = kept;
        if (this.#closed) this.#drop(slot);
      },
      () => undefined,
    );
    return slot;
  }

  async #make({ replica, tree }: CheckpointSource, number: number): Promise<Kept> {
    const { disk, folderOf, logger } = this.#options;
    const { shard } = replica;
    const folder = checkpointFolder(folderOf(shard), number);
    const { configuration } = replica.snapshots;
    const index = await tree.checkpoint(folder);
    try {
      const hasChanged = replica.snapshots.configuration !== configuration;
      const snapshot = hasChanged ? undefined : replica.snapshots.name(index, configuration);
      if (snapshot === undefined) {
        throw new QuorateError('UNAVAILABLE', `shard ${shard} changed while a checkpoint was made`, { shard });
      }
      const files = await filesIn(disk, folder);
      const manifest = encodeManifest({ shard, index, term: snapshot.term, files });
      await writeFile(disk, `${folder}/${manifestName}`, manifest);
      const bytes = files.reduce((sum, file) => sum + file.bytes, manifest.length);
      const sizes = new Map(files.map((file) => [file.name, file.bytes]));
      sizes.set(manifestName, manifest.length);
      logger.info('made a checkpoint for a Raft snapshot', { shard, index, bytes });
      return { number, snapshot, manifestBytes: manifest.length, bytes, folder, files: sizes };
    } catch (error) {
      await disk.removeTree(folder).catch(() => undefined);
      throw error;
    }
  }

  #drop(slot: Slot): void {
    this.#slots.delete(slot);
    const { disk, logger } = this.#options;
    const { kept, shard } = slot;
    if (kept === undefined) return;
    // What cannot be removed goes at the next start.
    const removal = disk
      .removeTree(kept.folder)
      .catch((error: unknown) => logger.warn('a checkpoint could not be removed', { shard, error: String(error) }))
      .then(() => {
        this.#removals.delete(removal);
      });
    this.#removals.add(removal);
  }

  /** Makes none any more; those that are there go. To be called when the trees are closed. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([...this.#slots].map(({ made }) => made));
    for (const slot of this.#slots) this.#drop(slot);
    await Promise.all(this.#removals);
  }
}

/** The first damage in the tables and values; the checkpoint's own files are others the next time. */
async function damageOfTree(disk: Disk, folder: string): Promise<CorruptionError | undefined> {
  try {
    await using tree = await TreeInspection.open(disk, folder);
    return (await tree.verify())[0];
  } catch (error) {
    if (error instanceof CorruptionError) return undefined;
    throw error;
  }
}

async function filesIn(disk: Disk, folder: string): Promise<readonly SnapshotFile[]> {
  const files: SnapshotFile[] = [];
  for (const name of await disk.list(folder)) {
    const file = await disk.open(`${folder}/${name}`, 'read');
    try {
      files.push({ name, bytes: await file.size() });
    } finally {
      await file.close();
    }
  }
  return files;
}

async function writeFile(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const file = await disk.open(path, 'create');
  try {
    await file.write(bytes, 0);
  } finally {
    await file.close();
  }
}
