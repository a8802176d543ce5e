import { assert } from '../base/assert.js';
import { defaultLimits } from '../base/limits.js';
import { lastLevel } from './compaction/level-targets.js';
import type { Compression } from './sstable/compression.js';
import type { SstableWriterOptions } from './sstable/sstable-writer.js';

const kib = 1024;
const mib = 1024 * kib;
const gib = 1024 * mib;
/** A longer timer would fire at once. */
const timerMsMax = 2 ** 31 - 1;

/** The numbers that an option may be. */
export interface OptionRange {
  readonly min: number;
  readonly max: number;
  /** Counts, bytes and milliseconds are; ratios need not be. */
  readonly isWhole: boolean;
}

/** How a tree is shaped. All of it may differ from one opening to the next: files on disk say for themselves how they were made. */
export interface TreeOptions {
  /** A memtable of this many bytes is sealed and flushed. At most 1 GiB. Default `limits.memtableBytesMax`, 16 MiB. */
  readonly memtableBytesMax: number;
  /** With this many sealed memtables writes stall. Default `limits.sealedMemtablesMax`, 4. */
  readonly sealedMemtablesMax: number;
  /**
   * Values of at least so many bytes leave a memtable for a value file, and only a pointer to them is merged. 2^53 − 1 for none.
   * Default `limits.largeValueBytesMin`, 4 KiB (docs/decisions/2026-11-21-large-values.md).
   */
  readonly largeValueBytesMin: number;
  /** Merges move large values while value files take more than this many times the bytes that are needed. Default 1.3. */
  readonly valueSpaceAmplificationMax: number;
  /** A merge moves at most about so many bytes of large values. Default 64 MiB. */
  readonly collectedBytesMax: number;
  /** A data block is closed when it has reached this many bytes. At most 16 MiB. Default 8 KiB. */
  readonly blockBytes: number;
  /** Bits of bloom filter for each user key of a table, 1 to 64. Default 10, of which about 1.2 % false positives follow. */
  readonly bloomBitsPerKey: number;
  /**
   * Tables that are written to this level or a deeper one are compressed, and so are values in value files, which stay
   * whatever the level: unless no level is. Default 0, all of them; 7 for none.
   */
  readonly compressionLevelMin: number;
  /**
   * Compaction starts a new table of the last level at the next user key when one has reached this many bytes; on levels
   * above it at a quarter of that, so that one compaction takes little of the level below. At most 1 GiB. Default 8 MiB.
   */
  readonly sstableBytesTarget: number;
  /** Level 0 is compacted into the next level in use when it has this many tables. Default 4. */
  readonly level0TablesCompact: number;
  /** With this many tables in level 0 writes stall. Default 12. */
  readonly level0TablesStall: number;
  /** The largest target of the first level in use below level 0. Default 32 MiB: about what it gets from level 0 at a time. */
  readonly levelBytesBase: number;
  /** The target of each level is this many times that of the one above it. At least 2. Default 10. */
  readonly levelBytesMultiplier: number;
  /** A manifest whose edits take more than this (and more than its own first record) is followed by a new one. Default 256 KiB. */
  readonly manifestBytesMax: number;
  /** First and longest pause before a flush or compaction that found the disk full is tried again. Default 100 and 5000 ms. */
  readonly noSpaceRetryMsMin: number;
  readonly noSpaceRetryMsMax: number;
}

const defaultTreeOptions: TreeOptions = {
  memtableBytesMax: defaultLimits.memtableBytesMax,
  sealedMemtablesMax: defaultLimits.sealedMemtablesMax,
  largeValueBytesMin: defaultLimits.largeValueBytesMin,
  valueSpaceAmplificationMax: 1.3,
  collectedBytesMax: 64 * mib,
  blockBytes: 8 * kib,
  bloomBitsPerKey: 10,
  compressionLevelMin: 0,
  sstableBytesTarget: 8 * mib,
  level0TablesCompact: 4,
  level0TablesStall: 12,
  levelBytesBase: 32 * mib,
  levelBytesMultiplier: 10,
  manifestBytesMax: 256 * kib,
  noSpaceRetryMsMin: 100,
  noSpaceRetryMsMax: 5000,
};

const whole = { min: 1, max: Number.MAX_SAFE_INTEGER, isWhole: true };

/** What each may be; the bounds above are where a flush or a merge would fail, or a timer run off. */
const optionRanges: Readonly<Record<keyof TreeOptions, OptionRange>> = {
  memtableBytesMax: { ...whole, max: gib },
  sealedMemtablesMax: whole,
  largeValueBytesMin: whole,
  valueSpaceAmplificationMax: { ...whole, isWhole: false },
  collectedBytesMax: whole,
  blockBytes: { ...whole, max: 16 * mib },
  bloomBitsPerKey: { min: 1, max: 64, isWhole: false },
  compressionLevelMin: { min: 0, max: lastLevel + 1, isWhole: true },
  sstableBytesTarget: { ...whole, max: gib },
  level0TablesCompact: whole,
  level0TablesStall: whole,
  levelBytesBase: whole,
  levelBytesMultiplier: { ...whole, min: 2, isWhole: false },
  manifestBytesMax: whole,
  noSpaceRetryMsMin: { ...whole, max: timerMsMax },
  noSpaceRetryMsMax: { ...whole, max: timerMsMax },
};

/** `options` over the defaults, which stand where one is undefined; asserts their names, their values and how these relate. */
export function treeOptions(options: Partial<TreeOptions>): TreeOptions {
  for (const name of Object.keys(options))
    assert(Object.hasOwn(defaultTreeOptions, name), `there is no option ${name}`);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const all = { ...defaultTreeOptions, ...Object.fromEntries(given) };
  checkOptions(all, optionRanges);
  assert(all.level0TablesCompact <= all.level0TablesStall, 'level 0 must be compacted before it stalls writes');
  assert(all.noSpaceRetryMsMin <= all.noSpaceRetryMsMax, 'noSpaceRetryMsMin must not exceed noSpaceRetryMsMax');
  return all;
}

/** Asserts that each option is a number, and within its range. */
export function checkOptions<Name extends string>(
  options: Readonly<Record<Name, number>>,
  ranges: Readonly<Record<Name, OptionRange>>,
): void {
  for (const [name, { min, max, isWhole }] of Object.entries<OptionRange>(ranges)) {
    const value = options[name as Name];
    assert(Number.isFinite(value), `${name} must be a number, got ${typeof value} ${String(value)}`);
    assert(!isWhole || Number.isInteger(value), `${name} must be a whole number, got ${value}`);
    assert(value >= min, `${name} must be at least ${min}, got ${value}`);
    assert(value <= max, `${name} must be at most ${max}, got ${value}`);
  }
}

/** Whether any value can be large enough for a value file. */
export function keepsLargeValuesApart({ largeValueBytesMin }: TreeOptions): boolean {
  return largeValueBytesMin < Number.MAX_SAFE_INTEGER;
}

/** How the tables of a level are written. */
export function tableOptions(options: TreeOptions, level: number): SstableWriterOptions {
  const { blockBytes, bloomBitsPerKey, compressionLevelMin } = options;
  return { blockBytes, bloomBitsPerKey, compression: level >= compressionLevelMin ? 'snappy' : 'none' };
}

/** How values leave for value files. Merges move them as they are stored. */
export function valueCompression({ compressionLevelMin }: TreeOptions): Compression {
  return compressionLevelMin <= lastLevel ? 'snappy' : 'none';
}

/** When compaction starts a new table of a level. */
export function tableBytesTarget(options: TreeOptions, level: number): number {
  return level === lastLevel ? options.sstableBytesTarget : Math.ceil(options.sstableBytesTarget / 4);
}
