import type { TableMetadata } from '../sstable/sstable-format.js';
import type { Levels } from './levels.js';

/** What the tables of one level say of themselves, together. A trimmed table counts whole. */
export interface LevelSummary {
  readonly level: number;
  readonly tables: number;
  readonly trimmedTables: number;
  readonly entries: number;
  /** Distinct user keys of each table. */
  readonly keys: number;
  readonly tombstones: number;
  readonly rangeTombstones: number;
  /** Of keys and values, as they were given. */
  readonly rawBytes: number;
  /** Of data blocks before compression. */
  readonly dataBytes: number;
  /** Of data blocks in the files. */
  readonly storedBytes: number;
  /** Of the files. */
  readonly fileBytes: number;
}

export function summarizeLevels(levels: Levels): readonly LevelSummary[] {
  return levels.map((tables, level) => {
    const sum = (pick: (table: TableMetadata) => number): number => tables.reduce((all, table) => all + pick(table), 0);
    return {
      level,
      tables: tables.length,
      trimmedTables: sum(({ trimmed }) => (trimmed ? 1 : 0)),
      entries: sum(({ entries }) => entries),
      keys: sum(({ keys }) => keys),
      tombstones: sum(({ tombstones }) => tombstones),
      rangeTombstones: sum(({ rangeTombstones }) => rangeTombstones),
      rawBytes: sum(({ rawBytes }) => rawBytes),
      dataBytes: sum(({ dataBytes }) => dataBytes),
      storedBytes: sum(({ storedBytes }) => storedBytes),
      fileBytes: sum(({ bytes }) => bytes),
    };
  });
}
