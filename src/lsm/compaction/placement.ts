import type { TableMetadata } from '../sstable/sstable-format.js';
import { overlaps, type KeyRange, type Levels } from '../version/levels.js';
import { levelTargets, type LevelTargetOptions } from './level-targets.js';

/** The keys that a compaction under way may write tables of, and where. */
export interface OutputRange extends KeyRange {
  readonly level: number;
}

/**
 * Where tables go that come from elsewhere and are newer than all others, of several the later ones: each to the deepest level
 * in use with nothing of its keys on it or above it, so that reads and writes do not wait for merges that have nothing to merge.
 * To level 0, where there is none. (RocksDB, IngestExternalFile.)
 * @param writing of the compaction under way: its outputs will lie between its inputs, too
 */
export function placeTables(
  levels: Levels,
  tables: readonly TableMetadata[],
  { options, writing }: { readonly options: LevelTargetOptions; readonly writing: OutputRange | undefined },
): { readonly level: number; readonly table: TableMetadata }[] {
  const { baseLevel } = levelTargets(levels, options);
  const occupied: KeyRange[][] = levels.map((others) => [...others]);
  if (writing !== undefined) occupied[writing.level].push(writing);
  return tables.map((table) => {
    let free = 0;
    while (free < occupied.length && !occupied[free].some((other) => overlaps(other, table))) free++;
    const level = free - 1 >= baseLevel ? free - 1 : 0;
    occupied[level].push(table);
    return { level, table };
  });
}
