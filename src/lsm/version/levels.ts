/**
 * Which table is on which level: plain data and pure functions, for the picker, the manifest and its tests.
 *
 * Invariants, asserted whenever levels change, of what changes:
 * - Level 0 is newest first, that is, by descending number. Its tables may overlap.
 * - Tables of a level from 1 on are in ascending order of keys and share no user key, range tombstones included.
 */
import { assert, AssertionError } from '../../base/assert.js';
import { compareBytes, printable } from '../../base/bytes.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import { levelCount, type VersionEdit } from './version-edit.js';

export type Levels = readonly (readonly TableMetadata[])[];

export interface KeyRange {
  readonly smallestKey: Uint8Array;
  /** The first key beyond. */
  readonly endKey: Uint8Array;
}

export const emptyLevels: Levels = Array.from({ length: levelCount }, () => []);

/**
 * The levels after the edit. One that does not fit, or breaks an invariant, is a bug: AssertionError. The levels before it are
 * taken to be right, so that what costs is what changes: a tree of many tables has as many edits as a small one.
 */
export function applyEdit(levels: Levels, edit: Pick<VersionEdit, 'removed' | 'added'>): Levels {
  const changed = levels.map((tables, level) => without(tables, level, edit.removed));
  checkNewNumbers(changed, edit.added);
  return changed.map((tables, level) => {
    const added = edit.added.flatMap((placed) => (placed.level === level ? [placed.table] : []));
    return added.length === 0 ? tables : withAdded(tables, level, added);
  });
}

function without(
  tables: readonly TableMetadata[],
  level: number,
  removed: VersionEdit['removed'],
): readonly TableMetadata[] {
  const missing = new Set<number>();
  for (const { level: from, number } of removed) {
    if (from !== level) continue;
    assert(!missing.has(number), `table ${number} is removed twice`);
    missing.add(number);
  }
  if (missing.size === 0) return tables;
  const kept = tables.filter(({ number }) => !missing.delete(number));
  for (const number of missing) assert(false, `table ${number} is not on level ${level}`);
  return kept;
}

function checkNewNumbers(levels: Levels, added: VersionEdit['added']): void {
  const numbers = new Set<number>();
  for (const { table } of added) {
    assert(!numbers.has(table.number), `table ${table.number} is there twice`);
    numbers.add(table.number);
  }
  if (numbers.size === 0) return;
  for (const tables of levels) {
    for (const { number } of tables) if (numbers.has(number)) assert(false, `table ${number} is there twice`);
  }
}

function withAdded(tables: readonly TableMetadata[], level: number, added: TableMetadata[]): readonly TableMetadata[] {
  added.sort((a, b) => compareOnLevel(level, a, b));
  const all: TableMetadata[] = [];
  const places: number[] = [];
  let next = 0;
  for (const table of added) {
    for (const end = firstAfter(tables, level, table, next); next < end; next++) all.push(tables[next]);
    places.push(all.length);
    all.push(table);
  }
  for (; next < tables.length; next++) all.push(tables[next]);
  for (const place of places) {
    checkOrder(all, level, place);
    if (place + 1 < all.length) checkOrder(all, level, place + 1);
  }
  return all;
}

function compareOnLevel(level: number, a: TableMetadata, b: TableMetadata): number {
  return level === 0 ? b.number - a.number : compareBytes(a.smallestKey, b.smallestKey);
}

/** Of tables in order, from `low` on: the first that comes after `table`. */
function firstAfter(tables: readonly TableMetadata[], level: number, table: TableMetadata, low: number): number {
  let high = tables.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareOnLevel(level, tables[middle], table) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** All of the invariants. */
export function checkLevels(levels: Levels): void {
  checkNewNumbers(
    [],
    levels.flatMap((tables, level) => tables.map((table) => ({ level, table }))),
  );
  levels.forEach((tables, level) => tables.forEach((_, i) => checkOrder(tables, level, i)));
}

/** Of the table at `i` by itself, and against the one before it. */
function checkOrder(tables: readonly TableMetadata[], level: number, i: number): void {
  const table = tables[i];
  if (compareBytes(table.smallestKey, table.endKey) >= 0) assert(false, `table ${table.number} ends before it starts`);
  if (i === 0) return;
  const before = tables[i - 1];
  if (level === 0) {
    assert(before.number > table.number, 'level 0 is newest first');
    return;
  }
  if (compareBytes(before.endKey, table.smallestKey) <= 0) return;
  const place = printable(table.smallestKey);
  throw new AssertionError(`tables ${before.number} and ${table.number} of level ${level} overlap at ${place}`);
}

export function overlaps(a: KeyRange, b: KeyRange): boolean {
  return compareBytes(a.smallestKey, b.endKey) < 0 && compareBytes(b.smallestKey, a.endKey) < 0;
}

/** The range that has all of them; there must be one. */
export function rangeOf(tables: readonly KeyRange[]): KeyRange {
  assert(tables.length > 0, 'the range of no table');
  let { smallestKey, endKey } = tables[0];
  for (const table of tables) {
    if (compareBytes(table.smallestKey, smallestKey) < 0) smallestKey = table.smallestKey;
    if (compareBytes(table.endKey, endKey) > 0) endKey = table.endKey;
  }
  return { smallestKey, endKey };
}

export function totalBytes(tables: readonly TableMetadata[]): number {
  let bytes = 0;
  for (const table of tables) bytes += table.bytes;
  return bytes;
}

/** No entry and no range tombstone of the tables has a larger version; 0 without tables. */
export function largestVersionOf(levels: Levels): number {
  return levels.flat().reduce((largest, table) => Math.max(largest, table.largestVersion), 0);
}
