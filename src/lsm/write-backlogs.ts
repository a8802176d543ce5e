import { largestLevelBytes } from './compaction/level-targets.js';
import type { TreeOptions } from './tree-options.js';
import { totalBytes, type Levels } from './version/levels.js';
import type { ValueFileMetrics } from './value/value-files.js';
import type { Backlog } from './write-delay.js';

/** What backlogs need to know of levels. */
export interface LevelSizes {
  readonly levels: Levels;
  readonly level0Tables: number;
  /** Of the largest level below level 0. */
  readonly largestLevelBytes: number;
  /** Of all other tables: they store again what is there already, or is on its way there. */
  readonly unmergedBytes: number;
}

export function levelSizes(levels: Levels): LevelSizes {
  const largest = largestLevelBytes(levels);
  return {
    levels,
    level0Tables: levels[0].length,
    largestLevelBytes: largest,
    unmergedBytes: levels.reduce((sum, tables) => sum + totalBytes(tables), 0) - largest,
  };
}

/** What is behind, and how fast it was worked off lately: bytes of writes in a millisecond, undefined before it was measured. */
export interface WorkBehind {
  readonly activeBytes: number;
  readonly sealedCount: number;
  /** Of all memtables of the node. */
  readonly budget: { readonly bytes: number; readonly stopBytes: number };
  readonly levelSizes: Omit<LevelSizes, 'levels'>;
  readonly values: Pick<ValueFileMetrics, 'fileBytes' | 'garbageBytes'>;
  readonly flushRate: number | undefined;
  /** Out of level 0. */
  readonly level0Rate: number | undefined;
  /** Into the last level. */
  readonly lastLevelRate: number | undefined;
  /** Out of value files that went. */
  readonly valueRate: number | undefined;
}

/** Just below its end, a backlog presses as much as it can without stopping writes. */
const nearEnd = 0.999;

/** What writes wait for: a pure function; see docs/decisions/2026-11-21-write-delay.md. */
export function writeBacklogs(behind: WorkBehind, options: TreeOptions): readonly Backlog[] {
  const { activeBytes, sealedCount, budget, flushRate, level0Rate, lastLevelRate } = behind;
  const { level0Tables, largestLevelBytes: largest, unmergedBytes } = behind.levelSizes;
  const { memtableBytesMax, sealedMemtablesMax, level0TablesCompact, level0TablesStall, levelBytesMultiplier } =
    options;
  // The active memtable counts as far as it is filled: what writes add shows at once, not a table at a time.
  const memtables = sealedCount + Math.min(0.99, activeBytes / memtableBytesMax);
  // Memtables make level 0 press, but do not stop writes before they are there.
  const level0Coming = Math.min(level0Tables + memtables, nearEnd * level0TablesStall);
  // By their targets, levels above the largest have a ninth of it; a tree that is small may have level 0 besides.
  const spaceSlowFrom = Math.max(level0TablesCompact * memtableBytesMax, largest / 8);
  const spaceStopAt = 2 * spaceSlowFrom;
  const { fileBytes, garbageBytes } = behind.values;
  // What is allowed and, as above, an eighth more; a tree that is small may have some memtables of it.
  const allowedGarbage = (options.valueSpaceAmplificationMax - 1 + 1 / 8) * (fileBytes - garbageBytes);
  const garbageSlowFrom = Math.max(level0TablesCompact * memtableBytesMax, allowedGarbage);
  const garbageStopAt = 2 * garbageSlowFrom;
  return [
    {
      // The first sealed one is being flushed.
      used: sealedCount === 0 ? 0 : memtables,
      slowFrom: 1 + (sealedMemtablesMax - 1) / 3,
      stopAt: sealedMemtablesMax,
      drainBytesPerMs: flushRate,
    },
    { used: budget.bytes, slowFrom: budget.stopBytes * 0.75, stopAt: budget.stopBytes, drainBytesPerMs: flushRate },
    {
      used: level0Tables < level0TablesCompact ? 0 : Math.max(level0Tables, level0Coming),
      slowFrom: (level0TablesCompact + level0TablesStall) / 2,
      stopAt: level0TablesStall,
      // A guess until a compaction was measured: it reads and writes what a flush writes, and what it merges with.
      drainBytesPerMs: level0Rate ?? (flushRate && flushRate / 4),
    },
    {
      // It costs space and takes no memory: it never stops writes.
      used: Math.min(unmergedBytes, nearEnd * spaceStopAt),
      slowFrom: spaceSlowFrom,
      stopAt: spaceStopAt,
      // Until it was measured a guess: what gets there is merged with that many times as much.
      drainBytesPerMs: lastLevelRate ?? (flushRate && flushRate / levelBytesMultiplier),
    },
    {
      // As what is not merged.
      used: Math.min(garbageBytes, nearEnd * garbageStopAt),
      slowFrom: garbageSlowFrom,
      stopAt: garbageStopAt,
      drainBytesPerMs: behind.valueRate ?? (flushRate && flushRate / 4),
    },
  ];
}
