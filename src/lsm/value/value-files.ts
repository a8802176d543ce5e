/** Which value files a tree has, how much of them is garbage, and which of them merges should empty: pure functions. */
import { assert } from '../../base/assert.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import type { Levels } from '../version/levels.js';
import { valueFooterBytes, valueHeaderBytes, type ValueFileMetadata } from './value-file-format.js';

/** By number. */
export type ValueFiles = ReadonlyMap<number, ValueFileMetadata>;

export const noValueFiles: ValueFiles = new Map();

/** Files are emptied together that would free so many times what is too much: one pass over the tables for all of them. */
const freedTogether = 16;
/** A file of which more than this part is named frees too little for what it costs. */
const namedShareMax = 0.85;

/** The files after an edit that leads to `levels`: those that a table names. */
export function valueFilesAfter(files: ValueFiles, added: readonly ValueFileMetadata[], levels: Levels): ValueFiles {
  if (files.size === 0 && added.length === 0) return files;
  const all = new Map([...files.values(), ...added].map((file) => [file.number, file]));
  const after = new Map<number, ValueFileMetadata>();
  for (const number of namedBytes(levels).keys()) {
    const file = all.get(number);
    if (file === undefined) assert(false, `a table names value file ${number}, which is not there`);
    after.set(number, file);
  }
  return after;
}

/** Of the records that tables point to, by file. What trimmed tables leave out counts, too. */
function namedBytes(levels: Levels): ReadonlyMap<number, number> {
  const named = new Map<number, number>();
  for (const table of levels.flat()) {
    for (const { number, bytes } of table.valueFiles) named.set(number, (named.get(number) ?? 0) + bytes);
  }
  return named;
}

/**
 * The emptiest files, whose values a merge that meets them should move; none while all files together take at most
 * `spaceAmplification` times what tables point to.
 */
export function filesToCollect(files: ValueFiles, levels: Levels, spaceAmplification: number): ReadonlySet<number> {
  const picked = new Set<number>();
  if (files.size === 0) return picked;
  const named = namedBytes(levels);
  const all = [...files.values()].map(({ number, bytes }) => {
    const records = bytes - valueHeaderBytes - valueFooterBytes;
    return { number, records, share: Math.min(1, (named.get(number) ?? 0) / records) };
  });
  const total = sum(all.map(({ records }) => records));
  const live = sum(all.map(({ records, share }) => share * records));
  let missing = freedTogether * (total - spaceAmplification * live);
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
      const bytes = sum(table.valueFiles.map((file) => (files.has(file.number) ? file.bytes : 0)));
      if (bytes / table.bytes <= highest) continue;
      highest = bytes / table.bytes;
      fullest = { level, table };
    }
  }
  return fullest;
}

export interface ValueFileMetrics {
  readonly files: number;
  readonly fileBytes: number;
  /** Of these, what no table points to. */
  readonly garbageBytes: number;
}

export function valueFileMetrics(files: ValueFiles, levels: Levels): ValueFileMetrics {
  const named = namedBytes(levels);
  let [fileBytes, garbageBytes] = [0, 0];
  for (const { number, bytes } of files.values()) {
    const records = bytes - valueHeaderBytes - valueFooterBytes;
    fileBytes += bytes;
    garbageBytes += Math.max(0, records - (named.get(number) ?? 0));
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
