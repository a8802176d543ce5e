/**
 * The storage engine by itself, on this machine's disk and with worker threads of its own: `quorate/lsm`. An example is
 * in src/lsm/README.md.
 */
import { defaultLimits, rowCacheBytesLimit } from '../base/limits.js';
import { silentLogger, type Logger } from '../env/logger.js';
import { Throttle } from '../env/throttle.js';
import { checkNamed, checkPath } from '../lsm/arguments.js';
import { BlockCache } from '../lsm/block-cache.js';
import { guardedLogger } from '../lsm/callbacks.js';
import { MemtableBudget } from '../lsm/memtable/memtable-budget.js';
import { RowCache } from '../lsm/row-cache.js';
import { OpenFiles } from '../lsm/sstable/open-files.js';
import { checkOptions, treeOptions, type TreeOptions } from '../lsm/tree-options.js';
import { Tree, type TreeResources } from '../lsm/tree.js';
import { SystemClock } from '../platform/clock.js';
import { NodeDisk } from '../platform/disk.js';
import { backgroundPool } from './background-pool.js';
import { openTreeDirectory } from './directory/data-directory.js';

export { AssertionError } from '../base/assert.js';
export { CorruptionError, QuorateError } from '../base/errors.js';
export { LogIndex, Timestamp, timestampMax } from '../base/ids.js';
export { DiskError } from '../env/disk.js';
export { TreeClosedError } from '../lsm/background-errors.js';
export type { Entry, Found } from '../lsm/entry.js';
export { IngestError } from '../lsm/ingest.js';
export type { KeyBounds } from '../lsm/iterator/entry-iterator.js';
export type { TreeIterator, TreeRecord, VersionIterator } from '../lsm/iterator/tree-iterator.js';
export type { TreeMetrics, TreeStats } from '../lsm/metrics.js';
export { BatchTooLargeError } from '../lsm/memtable/memtable-budget.js';
export { TreeBatch } from '../lsm/tree-batch.js';
export type { TreeOptions } from '../lsm/tree-options.js';
export type { IteratorOptions, Tree } from '../lsm/tree.js';
export { DirectoryLockedError } from '../platform/directory-lock.js';

/**
 * Bytes that one batch may take in a memtable: its keys and values, and 28 for each entry. A larger one is refused with a
 * BatchTooLargeError.
 */
const writeBytesMax = 16 * 1024 * 1024;

const bytes = { min: 0, max: Number.MAX_SAFE_INTEGER, isWhole: true };

const optionRanges = {
  blockCacheBytesMax: bytes,
  rowCacheBytesMax: { ...bytes, max: rowCacheBytesLimit },
  memtablesBytesMax: { ...bytes, min: 4 * writeBytesMax },
  openTablesMax: { min: 1, max: 1_000_000, isWhole: true },
  backgroundThreads: { min: 1, max: 256, isWhole: true },
  compactionBytesPerSecondMax: { ...bytes, min: 1 },
};

export interface OpenTreeOptions extends Partial<TreeOptions> {
  /** Default 128 MiB. */
  readonly blockCacheBytesMax?: number;
  /** At most 7.5 GiB. Default 32 MiB. */
  readonly rowCacheBytesMax?: number;
  /** Memory of all memtables; writes wait before it is exceeded. At least 64 MiB. Default 128 MiB. */
  readonly memtablesBytesMax?: number;
  /**
   * Files of tables that are open at one time; reads wait for one when all are being read. What the process must be allowed
   * besides: 64 for each thread, for what one flush or merge reads and writes. At most a million. Default 1000.
   */
  readonly openTablesMax?: number;
  /** Threads for compactions, besides one for flushes; started when they are first needed. At most 256. Default 1. */
  readonly backgroundThreads?: number;
  /** What compactions write in a second, on average. Default: no limit. */
  readonly compactionBytesPerSecondMax?: number;
  /** What it throws is an uncaught exception of the process, and nothing to the tree. Default: says nothing. */
  readonly logger?: Logger;
}

/**
 * Opens the tree in a folder, which this process has for itself until the tree is closed; makes both if they are missing.
 * `close` of the tree ends its threads, too. The folder of a shard is opened with the data directory around it, where no node may
 * run meanwhile.
 *
 * @throws AssertionError when an option is misspelt or out of its range; DirectoryLockedError when another process has the
 * folder, or a node runs with it; QuorateError (INVALID_ARGUMENT) when it cannot be used; CorruptionError when a file is damaged or missing
 */
export async function openTree(directory: string, options: OpenTreeOptions = {}): Promise<Tree> {
  checkNamed(options, 'the options');
  const {
    blockCacheBytesMax = defaultLimits.blockCacheBytesMax,
    rowCacheBytesMax = defaultLimits.rowCacheBytesMax,
    memtablesBytesMax = defaultLimits.nodeMemtableBytesMax,
    openTablesMax = defaultLimits.openTablesMax,
    backgroundThreads = 1,
    compactionBytesPerSecondMax,
    logger = silentLogger,
    ...shape
  } = options;
  const guarded = guardedLogger(logger);
  // Before there is anything to give back.
  checkPath(directory, 'the directory');
  const treeShape = treeOptions(shape);
  checkOptions(
    {
      blockCacheBytesMax,
      rowCacheBytesMax,
      memtablesBytesMax,
      openTablesMax,
      backgroundThreads,
      compactionBytesPerSecondMax: compactionBytesPerSecondMax ?? Number.MAX_SAFE_INTEGER,
    },
    optionRanges,
  );
  const disk = new NodeDisk();
  const lock = await openTreeDirectory(disk, directory);
  const background = backgroundPool(backgroundThreads);
  const owned: AsyncDisposable = {
    async [Symbol.asyncDispose]() {
      try {
        await background[Symbol.asyncDispose]();
      } finally {
        await lock[Symbol.asyncDispose]();
      }
    },
  };
  try {
    const clock = new SystemClock();
    const resources: TreeResources = {
      disk,
      background,
      blockCache: new BlockCache(blockCacheBytesMax),
      openFiles: new OpenFiles(openTablesMax),
      rowCache: new RowCache(rowCacheBytesMax),
      memtableBudget: new MemtableBudget({ bytesMax: memtablesBytesMax, writeBytesMax }),
      compactionThrottle:
        compactionBytesPerSecondMax === undefined
          ? undefined
          : new Throttle({ bytesPerSecondMax: compactionBytesPerSecondMax, clock }),
      logger: guarded,
      clock,
      owned,
    };
    const exists = await Tree.exists(directory, disk);
    return exists
      ? await Tree.open(directory, resources, treeShape)
      : await Tree.create(directory, resources, treeShape);
  } catch (error) {
    await owned[Symbol.asyncDispose]();
    throw error;
  }
}
