/**
 * How many bytes each level should have: a pure function, anchored at the bottom, where nearly all of the data is. A level
 * has the multiplier-th part of the one below it. So what is stored twice is a small part of the whole, whatever the
 * size of the tree: with fixed targets from the top the last level may be smaller than the one above it.
 * (RocksDB, level_compaction_dynamic_level_bytes.)
 */
import { totalBytes, type Levels } from '../version/levels.js';
import { levelCount } from '../version/version-edit.js';

export interface LevelTargetOptions {
  /** See TreeOptions. */
  readonly levelBytesBase: number;
  readonly levelBytesMultiplier: number;
}

export interface LevelTargets {
  /** Level 0 is compacted into this one; those between are not used, and emptied when they are not empty. */
  readonly baseLevel: number;
  /** For each level; 0 for level 0, which counts tables, and for those that are not used. Infinity for the last. */
  readonly bytes: readonly number[];
}

export const lastLevel = levelCount - 1;

/** The base level is the deepest one whose target is at most `levelBytesBase`; the last one while the tree is small. */
export function levelTargets(levels: Levels, options: LevelTargetOptions): LevelTargets {
  // Until the last level has the most, the one that has will be there.
  let target = largestLevelBytes(levels);
  const bytes: number[] = Array.from({ length: levelCount }, () => 0);
  bytes[lastLevel] = Infinity;
  let baseLevel = lastLevel;
  while (target > options.levelBytesBase && baseLevel > 1) {
    target /= options.levelBytesMultiplier;
    bytes[--baseLevel] = target;
  }
  return { baseLevel, bytes };
}

/** What each level has beyond its target. All of level 0 when that is due. */
export function excessBytes(levels: Levels, targets: LevelTargets, level0TablesCompact: number): readonly number[] {
  return levels.map((tables, level) => {
    if (level === 0) return tables.length < level0TablesCompact ? 0 : totalBytes(tables);
    return Math.max(0, totalBytes(tables) - targets.bytes[level]);
  });
}

/** Where what leaves a level goes: the next level that is used. Nothing is passed over that may be older. */
export function levelBelow(level: number, levels: Levels, { baseLevel }: LevelTargets): number {
  let below = level + 1;
  while (below < baseLevel && levels[below].length === 0) below++;
  return below;
}

/** Of the largest level below level 0. */
export function largestLevelBytes(levels: Levels): number {
  return Math.max(...levels.slice(1).map(totalBytes));
}
