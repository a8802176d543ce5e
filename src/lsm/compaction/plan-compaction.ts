import type { TableMetadata } from '../sstable/sstable-format.js';
import { overlaps, rangeOf, totalBytes, type Levels } from '../version/levels.js';
import type { VersionEdit } from '../version/version-edit.js';
import type { CompactInput, CompactOutput } from './compact-job.js';
import type { CompactionDecision } from './picker.js';

export type CompactDecision = Extract<CompactionDecision, { type: 'compact' }>;

export interface MergePlan {
  /** Newest first, as CompactInput.runs. */
  readonly runs: CompactInput['runs'];
  readonly tombstoneDropVersionMax: number;
  readonly outputsMax: number;
}

/**
 * How to carry out the decision.
 *
 * A tombstone may go when nothing that it hides can be anywhere else. Below the merge that is so when no deeper level
 * overlaps it. Above it, in memtables and upper levels, there are normally
 * only newer versions; the plan does not take that on trust but keeps tombstones that are not older than all of those.
 */
export function planMerge(
  levels: Levels,
  decision: CompactDecision,
  options: {
    readonly safePoint: number;
    /** Smallest version in any memtable. */
    readonly memtableVersionMin: number;
    readonly sstableBytesTarget: number;
  },
): MergePlan {
  const { level, outputLevel, upper, lower } = decision;
  const inputs = [...upper, ...lower];
  const range = rangeOf(inputs);
  const overlapsMerge = levels.map((tables) =>
    tables.filter((table) => overlaps(table, range) && !inputs.includes(table)),
  );
  const isBottom = overlapsMerge.slice(outputLevel + 1).every((tables) => tables.length === 0);
  const above = overlapsMerge.slice(0, outputLevel + 1).flat();
  const versionAbove = above.reduce(
    (least, table) => Math.min(least, table.smallestVersion),
    options.memtableVersionMin,
  );
  return {
    runs: [...(level === 0 ? upper.map((table) => [table]) : [upper]), lower].filter((run) => run.length > 0),
    tombstoneDropVersionMax: isBottom ? Math.min(options.safePoint, versionAbove - 1) : -1,
    // Each but the last has at least the target. Twice that, since prefixes compress differently in new neighbourhoods.
    outputsMax: 2 * Math.ceil(totalBytes(inputs) / options.sstableBytesTarget) + 1 + rangeTablesMax(inputs),
  };
}

/** So many tables hold 64 GiB of range tombstones; what is beyond goes into the last one. */
const rangeTablesBound = 65_536;

/** Tables that may be begun for range tombstones, which take more together than apart: one for each fragment at most. */
function rangeTablesMax(inputs: readonly TableMetadata[]): number {
  return Math.min(
    rangeTablesBound,
    inputs.reduce((sum, { rangeTombstones }) => sum + 2 * rangeTombstones, 0),
  );
}

export function editOfMerge({ level, outputLevel, upper, lower }: CompactDecision, output: CompactOutput): VersionEdit {
  return {
    removed: [
      ...upper.map(({ number }) => ({ level, number })),
      ...lower.map(({ number }) => ({ level: outputLevel, number })),
    ],
    added: output.tables.map((table) => ({ level: outputLevel, table })),
    addedValues: output.valueFiles,
  };
}

export function editOfMove({ level, outputLevel, tables }: Extract<CompactionDecision, { type: 'move' }>): VersionEdit {
  return {
    removed: tables.map(({ number }) => ({ level, number })),
    added: tables.map((table) => ({ level: outputLevel, table })),
  };
}
