import type { Background } from '../../src/env/background.js';
import type { Clock } from '../../src/env/clock.js';
import type { Disk } from '../../src/env/disk.js';
import { silentLogger } from '../../src/env/logger.js';
import { BlockCache } from '../../src/lsm/block-cache.js';
import { lsmJobs } from '../../src/lsm/jobs.js';
import { MemtableBudget } from '../../src/lsm/memtable/memtable-budget.js';
import { RowCache } from '../../src/lsm/row-cache.js';
import { OpenFiles } from '../../src/lsm/sstable/open-files.js';
import type { TreeResources } from '../../src/lsm/tree.js';
import type { TreeOptions } from '../../src/lsm/tree-options.js';

/** Everything is small, so that a few hundred entries go through flushes and compactions into several levels. */
export const smallTree: Partial<TreeOptions> = {
  memtableBytesMax: 2048,
  blockBytes: 128,
  sstableBytesTarget: 1024,
  level0TablesCompact: 2,
  levelBytesBase: 4096,
  levelBytesMultiplier: 2,
  manifestBytesMax: 1024,
};

/** What a tree on this disk needs; jobs run at once, and time stands still. */
export function treeResources(disk: Disk): TreeResources {
  const background: Background = {
    run: async (job, signal) => {
      const handler = lsmJobs[job.type] as unknown as (...args: unknown[]) => Promise<never>;
      return handler(structuredClone(job.input), disk, signal ?? new AbortController().signal);
    },
  };
  const clock: Clock = {
    monotonicMs: () => 0,
    wallMicros: () => 0,
    after: () => ({ cancel: () => undefined }),
    endOfTurn: (callback) => queueMicrotask(callback),
  };
  const memtableBudget = new MemtableBudget({ bytesMax: 16 << 20, writeBytesMax: 1 << 20 });
  const openFiles = new OpenFiles(4);
  const blockCache = new BlockCache(4096);
  const rowCache = new RowCache(4096);
  return { disk, background, blockCache, openFiles, rowCache, memtableBudget, logger: silentLogger, clock };
}
