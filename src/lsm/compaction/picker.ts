/** Decides what to compact: a pure function of the levels and of what reads met. Leveled compaction as in LevelDB and RocksDB. */
import { compareBytes } from '../../base/bytes.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import { overlaps, rangeOf, type Levels } from '../version/levels.js';
import { fullestOf } from '../value/value-files.js';
import { excessBytes, levelBelow, levelTargets, type LevelTargetOptions, type LevelTargets } from './level-targets.js';

export interface PickerOptions extends LevelTargetOptions {
  /** See TreeOptions. */
  readonly level0TablesCompact: number;
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

/** A table of which so many entries are old versions is written again when nobody reads those any more, though it be for nothing else. */
const oldVersionsShareMin = 1 / 5;

export const noneSkipped: SkippedTables = { numbers: new Set(), safePoint: 0 };

/**
 * Works on the level that is most over its target. Of level 0 the oldest tables go: what stays behind must not be older
 * than what has left, since equal entries are told apart by their level. Of another level goes the table that costs the
 * least to merge: the one with the fewest bytes under it for its own size.
 *
 * When no level is over its target, a table goes that has something to drop and that reads had to pass over too often, or
 * that deletes ranges; if there is none, one that has many old versions; and then one that points into value files that are to be
 * emptied.
 * @param collected numbers of those; see filesToCollect
 */
export function pickCompaction(
  levels: Levels,
  options: PickerOptions,
  skipped: SkippedTables,
  collected: ReadonlySet<number> = new Set(),
): CompactionDecision {
  const targets = levelTargets(levels, options);
  const level = mostOverfull(levels, targets, options.level0TablesCompact);
  if (level === undefined) {
    const droppable = pickDroppable(levels, targets, skipped);
    if (droppable.type !== 'nothing') return droppable;
    const old = pickOld(levels, skipped.safePoint);
    return old.type === 'nothing' ? pickForValues(levels, collected) : old;
  }
  const outputLevel = levelBelow(level, levels, targets);
  const below = levels[outputLevel];
  if (level > 0) return decide(level, outputLevel, [cheapestToMerge(levels[level], below)], below);
  const all = decide(level, outputLevel, levels[0], below);
  if (all.type === 'move') return all;
  // What came while the last compaction took its time does not make the next one ever longer.
  return decide(level, outputLevel, levels[0].slice(-2 * options.level0TablesCompact), below);
}

function decide(
  level: number,
  outputLevel: number,
  upper: readonly TableMetadata[],
  below: readonly TableMetadata[],
): CompactionDecision {
  const lower = overlapping(below, upper);
  if (lower.length === 0 && overlapFree(upper)) return { type: 'move', level, outputLevel, tables: upper };
  return { type: 'compact', level, outputLevel, upper, lower };
}

/** The table that points most into the value files that are to be emptied is written again where it is. */
function pickForValues(levels: Levels, collected: ReadonlySet<number>): CompactionDecision {
  const fullest = fullestOf(levels, collected);
  return fullest === undefined ? { type: 'nothing' } : writeAgain(fullest.level, fullest.table);
}

/** A table that was written while its old versions were still read: it has none when it is written again, so that this ends. */
function pickOld(levels: Levels, safePoint: number): CompactionDecision {
  for (let level = levels.length - 1; level > 0; level--) {
    const table = levels[level].find((one) => hasOldVersions(one) && one.largestEntryVersion <= safePoint);
    if (table !== undefined) return writeAgain(level, table);
  }
  return { type: 'nothing' };
}

function writeAgain(level: number, table: TableMetadata): CompactionDecision {
  return { type: 'compact', level, outputLevel: level, upper: [table], lower: [] };
}

/** Whether the newest version of each key, when all reads see it, makes much of the table garbage. */
function hasOldVersions({ entries, keys }: TableMetadata): boolean {
  return entries - keys > 0 && entries - keys >= oldVersionsShareMin * entries;
}

/**
 * Where there is nothing to do: the lowest safe point above that of `skipped` with which there may be, without anything else
 * changing; Infinity if there is none.
 */
export function safePointAwaited(levels: Levels, { numbers, safePoint }: SkippedTables): number {
  let awaited = Infinity;
  const note = (version: number): void => {
    if (version > safePoint && version < awaited) awaited = version;
  };
  for (const [level, tables] of levels.entries()) {
    for (const table of tables) {
      if (table.rangeTombstones > 0) note(table.largestVersion);
      if (level > 0 && hasOldVersions(table)) note(table.largestEntryVersion);
      if (numbers.has(table.number)) note(table.smallestVersion);
    }
  }
  return awaited;
}

/**
 * What hides nothing any more goes where there is nothing below: a table that was passed over is written again where it
 * is. Any other is merged with what it hides, and what comes out is counted anew. Tables that delete ranges end at the
 * bottom: there it is not tried again and again.
 */
function pickDroppable(levels: Levels, targets: LevelTargets, skipped: SkippedTables): CompactionDecision {
  for (const [level, tables] of levels.entries()) {
    for (const table of tables) {
      const isSkipped = skipped.numbers.has(table.number) && canDrop(table, skipped.safePoint);
      if (!isSkipped && !deletesRanges(table, skipped.safePoint)) continue;
      const upper = level === 0 ? tables : [table];
      const below = levels.findIndex((others, i) => i > level && overlapping(others, upper).length > 0);
      if (below >= 0) {
        return { type: 'compact', level, outputLevel: below, upper, lower: overlapping(levels[below], upper) };
      }
      if (!isSkipped) continue;
      const outputLevel = level === 0 ? levelBelow(level, levels, targets) : level;
      return { type: 'compact', level, outputLevel, upper, lower: [] };
    }
  }
  return { type: 'nothing' };
}

/** Whether there are tombstones or several versions of a key, and any of that may be below the safe point. */
function canDrop(table: TableMetadata, safePoint: number): boolean {
  const { tombstones, rangeTombstones, entries, keys, smallestVersion } = table;
  return tombstones + rangeTombstones + entries - keys > 0 && smallestVersion <= safePoint;
}

/** Whether there are range tombstones, and all of them hide for good: what is under them takes space for nothing. */
function deletesRanges({ rangeTombstones, largestVersion }: TableMetadata, safePoint: number): boolean {
  return rangeTombstones > 0 && largestVersion <= safePoint;
}

function overlapping(tables: readonly TableMetadata[], upper: readonly TableMetadata[]): readonly TableMetadata[] {
  const range = rangeOf(upper);
  return tables.filter((table) => overlaps(table, range));
}

/** What levels have beyond their targets: compactions have to move at least that. All of level 0 when that is due. */
export function backlogBytes(levels: Levels, options: PickerOptions): number {
  const excess = excessBytes(levels, levelTargets(levels, options), options.level0TablesCompact);
  return excess.reduce((sum, bytes) => sum + bytes, 0);
}

/**
 * The level with the most for its target, of those that are beyond it. What is to come from above counts as if the
 * target were that much larger: a level waits while those above it would fill it again, so that level 0 is not kept
 * waiting by a small base level.
 */
function mostOverfull(levels: Levels, targets: LevelTargets, level0TablesCompact: number): number | undefined {
  let picked: number | undefined;
  let highest = -1;
  let coming = 0;
  excessBytes(levels, targets, level0TablesCompact).forEach((excess, level) => {
    if (excess === 0) return;
    const target = targets.bytes[level];
    const fullness =
      level === 0 ? levels[0].length / level0TablesCompact : (target + excess) / Math.max(1, target + coming);
    coming += excess;
    if (fullness <= highest) return;
    picked = level;
    highest = fullness;
  });
  return picked;
}

/** Of tables that are in order of keys, as those below are: one pass over both. */
function cheapestToMerge(tables: readonly TableMetadata[], below: readonly TableMetadata[]): TableMetadata {
  let cheapest = tables[0];
  let lowest = Infinity;
  let first = 0;
  for (const table of tables) {
    while (first < below.length && compareBytes(below[first].endKey, table.smallestKey) <= 0) first++;
    let bytes = 0;
    for (let i = first; i < below.length && compareBytes(below[i].smallestKey, table.endKey) < 0; i++) {
      bytes += below[i].bytes;
    }
    const cost = bytes / table.bytes;
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
