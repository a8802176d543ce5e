/** Decides what to compact: a pure function of the levels and of what reads met. Leveled compaction as in LevelDB and RocksDB. */
import type { TableMetadata } from '../sstable/sstable-format.js';
import { overlaps, rangeOf, totalBytes, type Levels } from '../version/levels.js';
import { levelCount } from '../version/version-edit.js';

export interface PickerOptions {
  /** See TreeOptions. */
  readonly level0TablesCompact: number;
  readonly levelBytesBase: number;
  readonly levelBytesMultiplier: number;
}

export type CompactionDecision =
  | { readonly type: 'nothing' }
  /** The tables overlap nothing on the next level, nor each other: they go there as they are. */
  | {
      readonly type: 'move';
      readonly level: number;
      readonly outputLevel: number;
      readonly tables: readonly TableMetadata[];
    }
  /** Merge `upper`, of `level`, and `lower`, of `outputLevel`, into new tables of `outputLevel`. That may be `level`. */
  | {
      readonly type: 'compact';
      readonly level: number;
      readonly outputLevel: number;
      readonly upper: readonly TableMetadata[];
      readonly lower: readonly TableMetadata[];
    };

/** What reads had to pass over; see SstableReader. */
export interface SkippedTables {
  readonly numbers: ReadonlySet<number>;
  /** Replaced versions and tombstones above it must stay. */
  readonly safePoint: number;
}

export const noneSkipped: SkippedTables = { numbers: new Set(), safePoint: 0 };

/**
 * Works on the level that is most over its limit. Of level 0 all tables go at once: what stays behind would be older
 * than what has left, and equal entries are told apart by their level. Of another level goes the table that costs the
 * least to merge: the one with the fewest bytes under it on the next level for its own size.
 *
 * When no level is over its limit, a table goes that has something to drop and that reads had to pass over too often.
 */
export function pickCompaction(levels: Levels, options: PickerOptions, skipped: SkippedTables): CompactionDecision {
  const level = mostOverfull(levels, options);
  if (level === undefined) return pickSkipped(levels, skipped);
  return decide(levels, level, level === 0 ? levels[0] : [cheapestToMerge(levels[level], levels[level + 1])]);
}

function decide(levels: Levels, level: number, upper: readonly TableMetadata[]): CompactionDecision {
  const outputLevel = level + 1;
  const lower = overlapping(levels[outputLevel], upper);
  if (lower.length === 0 && overlapFree(upper)) return { type: 'move', level, outputLevel, tables: upper };
  return { type: 'compact', level, outputLevel, upper, lower };
}

/**
 * What hides nothing any more goes where there is nothing below: such a table is written again where it is. Any other
 * is merged with what it hides, and what comes out is counted anew.
 */
function pickSkipped(levels: Levels, skipped: SkippedTables): CompactionDecision {
  if (skipped.numbers.size === 0) return { type: 'nothing' };
  for (const [level, tables] of levels.entries()) {
    const table = tables.find((one) => skipped.numbers.has(one.number) && canDrop(one, skipped.safePoint));
    if (table === undefined) continue;
    const upper = level === 0 ? tables : [table];
    const below = levels.findIndex((others, i) => i > level && overlapping(others, upper).length > 0);
    if (below < 0) {
      const outputLevel = Math.max(1, level);
      return { type: 'compact', level, outputLevel, upper, lower: [] };
    }
    return { type: 'compact', level, outputLevel: below, upper, lower: overlapping(levels[below], upper) };
  }
  return { type: 'nothing' };
}

/** Whether there are tombstones or several versions of a key, and any of that may be below the safe point. */
function canDrop({ tombstones, entries, keys, smallestVersion }: TableMetadata, safePoint: number): boolean {
  return tombstones + entries - keys > 0 && smallestVersion <= safePoint;
}

function overlapping(tables: readonly TableMetadata[], upper: readonly TableMetadata[]): readonly TableMetadata[] {
  const range = rangeOf(upper);
  return tables.filter((table) => overlaps(table, range));
}

/** What levels have beyond their limits: compactions have to move at least that. All of level 0 when that is due. */
export function backlogBytes(levels: Levels, options: PickerOptions): number {
  let bytes = levels[0].length < options.level0TablesCompact ? 0 : totalBytes(levels[0]);
  for (let level = 1; level < levelCount - 1; level++) {
    bytes += Math.max(0, totalBytes(levels[level]) - levelBytesMax(level, options));
  }
  return bytes;
}

/** Bytes that a level from 1 on may have. */
function levelBytesMax(level: number, options: PickerOptions): number {
  return options.levelBytesBase * options.levelBytesMultiplier ** (level - 1);
}

function mostOverfull(levels: Levels, options: PickerOptions): number | undefined {
  let picked: number | undefined;
  let highest = 1;
  // The last level has nowhere to go.
  for (let level = 0; level < levelCount - 1; level++) {
    const fullness =
      level === 0
        ? levels[0].length / options.level0TablesCompact
        : totalBytes(levels[level]) / levelBytesMax(level, options);
    if (fullness < highest || (fullness === highest && picked !== undefined)) continue;
    // A level that is exactly full stays, except level 0, which counts tables.
    if (level > 0 && fullness === 1) continue;
    picked = level;
    highest = fullness;
  }
  return picked;
}

function cheapestToMerge(tables: readonly TableMetadata[], below: readonly TableMetadata[]): TableMetadata {
  let cheapest = tables[0];
  let lowest = Infinity;
  for (const table of tables) {
    const cost = totalBytes(below.filter((other) => overlaps(other, table))) / table.bytes;
    if (cost < lowest || (cost === lowest && table.number < cheapest.number)) {
      cheapest = table;
      lowest = cost;
    }
  }
  return cheapest;
}

function overlapFree(tables: readonly TableMetadata[]): boolean {
  return tables.every((a, i) => tables.every((b, j) => j <= i || !overlaps(a, b)));
}
