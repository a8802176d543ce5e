/** Which value files a tree has, how much of them is garbage, and which of them merges should empty: pure functions. */
import { assert } from '../../base/assert.js';
import type { NamedValueFile, TableMetadata } from '../sstable/sstable-format.js';
import type { Levels } from '../version/levels.js';
import type { VersionEdit } from '../version/version-edit.js';
import { valueFooterBytes, valueHeaderBytes, type ValueFileMetadata } from './value-file-format.js';

/** A value file of a tree, and how much of it its tables need. */
export interface UsedValueFile {
  readonly metadata: ValueFileMetadata;
  /** How many tables name it. */
  readonly tables: number;
  /** Of the records that they point to. What trimmed tables leave out counts, too. */
  readonly namedBytes: number;
}

/** By number. */
export type ValueFiles = ReadonlyMap<number, UsedValueFile>;

export const noValueFiles: ValueFiles = new Map();

/** Files are emptied together that would free so many times what is too much: one pass over the tables for all of them. */
const freedTogether = 16;
/** A file of which more than this part is named frees too little for what it costs. */
const namedShareMax = 0.85;

/** The files after an edit of `levels`: those that a table names. Counted from the edit alone: tables may name thousands. */
export function valueFilesAfter(
  files: ValueFiles,
  levels: Levels,
  { removed, added, addedValues = [] }: Pick<VersionEdit, 'removed' | 'added' | 'addedValues'>,
): ValueFiles {
  const tables = new Map<number, number>();
  const namedBytes = new Map<number, number>();
  const count = (named: readonly NamedValueFile[], sign: 1 | -1): void => {
    for (const { number, bytes } of named) {
      tables.set(number, (tables.get(number) ?? 0) + sign);
      namedBytes.set(number, (namedBytes.get(number) ?? 0) + sign * bytes);
    }
  };
  for (const { level, number } of removed) {
    count(levels[level].find((table) => table.number === number)?.valueFiles ?? [], -1);
  }
  for (const { table } of added) count(table.valueFiles, 1);
  for (const { number } of addedValues) assert(tables.has(number), `no table names value file ${number}`);
  if (tables.size === 0) return files;

  const after = new Map(files);
  for (const metadata of addedValues) after.set(metadata.number, { metadata, tables: 0, namedBytes: 0 });
  for (const [number, change] of tables) {
    const file = after.get(number);
    if (file === undefined) assert(false, `a table names value file ${number}, which is not there`);
    const left = file.tables + change;
    if (left === 0) after.delete(number);
    else {
      const bytes = file.namedBytes + (namedBytes.get(number) ?? 0);
      after.set(number, { metadata: file.metadata, tables: left, namedBytes: bytes });
    }
  }
  return after;
}

function recordBytes({ bytes }: ValueFileMetadata): number {
  return bytes - valueHeaderBytes - valueFooterBytes;
}

/**
 * The emptiest files, whose values a merge that meets them should move; none while all files together take at most
 * `spaceAmplification` times what tables point to.
 */
export function filesToCollect(files: ValueFiles, spaceAmplification: number): ReadonlySet<number> {
  const picked = new Set<number>();
  if (files.size === 0) return picked;
  const all = [...files].map(([number, { metadata, namedBytes }]) => {
    const records = recordBytes(metadata);
    return { number, records, share: Math.min(1, namedBytes / records) };
  });
  const total = sum(all.map(({ records }) => records));
  const live = sum(all.map(({ records, share }) => share * records));
  let missing = freedTogether * (total - spaceAmplification * live);
  if (missing <= 0) return picked;
  for (const { number, records, share } of all.sort((a, b) => a.share - b.share || a.number - b.number)) {
    if (missing <= 0 || share > namedShareMax) break;
    picked.add(number);
    missing -= (1 - share) * records;
  }
  return picked;
}

/** The table below level 0 that points most into these files, for its size. */
export function fullestOf(
  levels: Levels,
  files: ReadonlySet<number>,
): { readonly level: number; readonly table: TableMetadata } | undefined {
  let fullest: { level: number; table: TableMetadata } | undefined;
  let highest = 0;
  if (files.size === 0) return undefined;
  for (let level = 1; level < levels.length; level++) {
    for (const table of levels[level]) {
      const bytes = bytesNamed(table.valueFiles, files);
      if (bytes / table.bytes <= highest) continue;
      highest = bytes / table.bytes;
      fullest = { level, table };
    }
  }
  return fullest;
}

/** Of these files alone. Looks them up where they are few: a table may name thousands, and all tables are asked at a time. */
function bytesNamed(named: readonly NamedValueFile[], files: ReadonlySet<number>): number {
  let bytes = 0;
  if (files.size * Math.log2(named.length + 1) < named.length) {
    for (const number of files) bytes += bytesNamedOf(named, number);
  } else {
    for (const file of named) if (files.has(file.number)) bytes += file.bytes;
  }
  return bytes;
}

function bytesNamedOf(named: readonly NamedValueFile[], number: number): number {
  let [low, high] = [0, named.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (named[middle].number < number) low = middle + 1;
    else high = middle;
  }
  return low < named.length && named[low].number === number ? named[low].bytes : 0;
}

export interface ValueFileMetrics {
  readonly files: number;
  readonly fileBytes: number;
  /** Of these, what no table points to. */
  readonly garbageBytes: number;
}

export function valueFileMetrics(files: ValueFiles): ValueFileMetrics {
  let [fileBytes, garbageBytes] = [0, 0];
  for (const { metadata, namedBytes } of files.values()) {
    fileBytes += metadata.bytes;
    garbageBytes += Math.max(0, recordBytes(metadata) - namedBytes);
  }
  return { files: files.size, fileBytes, garbageBytes };
}

export function totalFileBytes(files: Iterable<ValueFileMetadata>): number {
  let bytes = 0;
  for (const file of files) bytes += file.bytes;
  return bytes;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0);
}
