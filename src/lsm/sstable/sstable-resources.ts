import type { Disk } from '../../env/disk.js';
import { BlockCache, type BlockCachePartition } from '../block-cache.js';
import { OpenFiles } from './open-files.js';

/** Sums over the reads of tables since their tree was opened. */
export interface ReadCounters {
  /** Gets that asked a filter, and those of them that the filter answered: the table has no such key. */
  filterChecks: number;
  filterRejections: number;
  /** Gets that a filter let pass and that found nothing: false positives, and keys with newer versions only. */
  filterPassesInVain: number;
  /** Blocks that were read from disk, and their bytes there. */
  blocksRead: number;
  blockBytesRead: number;
  /** Tombstones and replaced versions in tables that iterators had to pass over. */
  entriesSkipped: number;
  /** How often so many of them were in one table as it has entries. */
  tablesSkippedThrough: number;
}

export function newReadCounters(): ReadCounters {
  return {
    filterChecks: 0,
    filterRejections: 0,
    filterPassesInVain: 0,
    blocksRead: 0,
    blockBytesRead: 0,
    entriesSkipped: 0,
    tablesSkippedThrough: 0,
  };
}

/** What a reader of one table shares with others. */
export interface SstableResources {
  readonly disk: Disk;
  /** The table's own part of the cache. */
  readonly cache: BlockCachePartition;
  readonly openFiles: OpenFiles;
  readonly counters: ReadCounters;
}

/** For a job that reads blocks once: few files, and blocks only if there is a cache for them. */
export function jobResources(disk: Disk, cacheBytesMax = 0): () => SstableResources {
  const cache = new BlockCache(cacheBytesMax);
  const shared = { disk, openFiles: new OpenFiles(32), counters: newReadCounters() };
  return () => ({ ...shared, cache: cache.partition() });
}
