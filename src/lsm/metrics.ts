import type { BlockCache } from './block-cache.js';
import type { MaintenanceStats } from './maintenance.js';
import type { ReadViewMetrics } from './read-views.js';
import type { RowCachePartition } from './row-cache.js';
import { spaceAmplification } from './space-amplification.js';
import type { OpenFiles } from './sstable/open-files.js';
import type { ReadCounters } from './sstable/sstable-resources.js';
import type { LevelSummary } from './version/level-summary.js';
import { totalBytes, type Levels } from './version/levels.js';
import { valueFileMetrics, type ValueFileMetrics, type ValueFiles } from './value/value-files.js';
import type { WaitClass } from './wait-histogram.js';

/**
 * What an operator or a benchmark looks for; plain data. Counts and sums are since the tree was opened, and only grow;
 * everything else is as it is now. Ratios whose denominator is 0 are undefined.
 */
export interface TreeMetrics {
  readonly levels: readonly LevelSummary[];
  readonly memtables: { readonly bytes: number; readonly sealed: number };
  readonly writes: {
    /** Keys and values, as they were given. */
    readonly bytes: number;
    readonly flushes: number;
    readonly flushedBytes: number;
    /** Times when none was taken, and how long they were. */
    readonly stalls: number;
    readonly stallMs: number;
    /** Pauses that slowed them down, and how long they were. */
    readonly delays: number;
    readonly delayMs: number;
    /** Both by their length. */
    readonly waits: readonly WaitClass[];
    readonly isStalled: boolean;
  };
  readonly compactions: {
    readonly count: number;
    readonly readBytes: number;
    readonly writtenBytes: number;
    readonly droppedEntries: number;
    readonly movedTables: number;
    /** What levels have beyond their limits. */
    readonly backlogBytes: number;
  };
  /** Large values beside the tables. */
  readonly values: ValueFileMetrics & {
    /** Of files that merges made of the values of others; part of `compactions.writtenBytes`. */
    readonly collectedBytes: number;
  };
  readonly reads: Readonly<ReadCounters>;
  /** Of the keys that a filter was asked for and that the table did not have, how many it rejected. */
  readonly filterUsefulness: number | undefined;
  /** Of all trees of the node. */
  readonly blockCache: {
    readonly bytes: number;
    readonly hits: number;
    readonly misses: number;
    readonly hitRate: number | undefined;
  };
  /** Of gets that memtables alone did not answer; of those, none while tables are taken in or where the cache has no room. */
  readonly rowCache: { readonly hits: number; readonly misses: number; readonly hitRate: number | undefined };
  /** Of all trees of the node. */
  readonly openFiles: number;
  readonly views: ReadViewMetrics;
  /** Bytes that flushes and compactions wrote for each byte that they flushed. */
  readonly writeAmplification: number | undefined;
  /** The same for each byte of keys and values that was written, be it flushed or not. */
  readonly writeAmplificationPerUserByte: number | undefined;
  /** Tables that a get may have to ask at most. */
  readonly readAmplification: number;
  /** See {@link spaceAmplification}: 1 when nothing is stored twice. */
  readonly spaceAmplification: number | undefined;
  readonly outOfSpace: boolean;
}

export interface MetricsSources {
  readonly values: ValueFileMetrics;
  readonly levels: readonly LevelSummary[];
  readonly tables: Levels;
  readonly memtables: TreeMetrics['memtables'];
  readonly writtenBytes: number;
  readonly maintenance: MaintenanceStats;
  readonly backlogBytes: number;
  readonly isStalled: boolean;
  readonly reads: ReadCounters;
  readonly blockCache: BlockCache;
  readonly rows: RowCachePartition;
  readonly openFiles: OpenFiles;
  readonly views: ReadViewMetrics;
}

/**
 * What a tree is made of now, and what its flushes and compactions have done. Beside {@link TreeMetrics} for who asks often, a
 * node for each of its shards: it adds up sizes of files alone, not the properties of all tables and what they overlap.
 */
export interface TreeStats extends MaintenanceStats {
  /** Of all tables and value files. */
  readonly bytes: number;
  readonly valueFiles: number;
  readonly memtableBytes: number;
  readonly sealedMemtables: number;
  readonly levels: readonly { readonly tables: number; readonly bytes: number }[];
  /** Whether no write may come now. */
  readonly stalled: boolean;
}

export function treeStats(sources: {
  readonly levels: Levels;
  readonly valueFiles: ValueFiles;
  readonly memtables: TreeMetrics['memtables'];
  readonly maintenance: MaintenanceStats;
  readonly stalled: boolean;
}): TreeStats {
  const { memtables, maintenance, stalled } = sources;
  const levels = sources.levels.map((tables) => ({ tables: tables.length, bytes: totalBytes(tables) }));
  return {
    ...maintenance,
    bytes: levels.reduce((sum, level) => sum + level.bytes, 0) + valueFileMetrics(sources.valueFiles).fileBytes,
    valueFiles: sources.valueFiles.size,
    memtableBytes: memtables.bytes,
    sealedMemtables: memtables.sealed,
    levels,
    stalled,
  };
}

export function treeMetrics(sources: MetricsSources): TreeMetrics {
  const { levels, values, memtables, writtenBytes, maintenance, backlogBytes, isStalled, reads, blockCache, rows } =
    sources;
  const { flushedBytes, compactionWrittenBytes } = maintenance;
  const filled = levels.filter(({ tables }) => tables > 0);
  const { hits, misses } = blockCache;
  return {
    levels,
    memtables,
    writes: {
      bytes: writtenBytes,
      flushes: maintenance.flushes,
      flushedBytes,
      stalls: maintenance.stalls,
      stallMs: maintenance.stallMs,
      delays: maintenance.writeDelays,
      delayMs: maintenance.writeDelayMs,
      waits: maintenance.writeWaits,
      isStalled,
    },
    compactions: {
      count: maintenance.compactions,
      readBytes: maintenance.compactionReadBytes,
      writtenBytes: compactionWrittenBytes,
      droppedEntries: maintenance.compactionDroppedEntries,
      movedTables: maintenance.movedTables,
      backlogBytes,
    },
    values: { ...values, collectedBytes: maintenance.collectedBytes },
    reads: { ...reads },
    filterUsefulness: ratio(reads.filterRejections, reads.filterRejections + reads.filterPassesInVain),
    blockCache: { bytes: blockCache.bytes, hits, misses, hitRate: ratio(hits, hits + misses) },
    rowCache: { hits: rows.hits, misses: rows.misses, hitRate: ratio(rows.hits, rows.hits + rows.misses) },
    openFiles: sources.openFiles.count,
    views: sources.views,
    writeAmplification: ratio(flushedBytes + compactionWrittenBytes, flushedBytes),
    writeAmplificationPerUserByte: ratio(flushedBytes + compactionWrittenBytes, writtenBytes),
    readAmplification: filled.reduce((runs, { level, tables }) => runs + (level === 0 ? tables : 1), 0),
    spaceAmplification: spaceAmplification(sources.tables, values.fileBytes),
    outOfSpace: maintenance.outOfSpace,
  };
}

function ratio(numerator: number, denominator: number): number | undefined {
  return denominator === 0 ? undefined : numerator / denominator;
}
