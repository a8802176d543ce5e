/**
 * Which table is on which level: plain data and pure functions, for the picker, the manifest and its tests.
 *
 * Invariants, asserted whenever levels change:
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

/** The levels after the edit. An edit that does not fit, or breaks an invariant, is a bug: AssertionError. */
export function applyEdit(levels: Levels, edit: Pick<VersionEdit, 'removed' | 'added'>): Levels {
  const changed = levels.map((tables) => [...tables]);
  for (const { level, number } of edit.removed) {
    const at = changed[level].findIndex((table) => table.number === number);
    assert(at >= 0, `table ${number} is not on level ${level}`);
    changed[level].splice(at, 1);
  }
  for (const { level, table } of edit.added) changed[level].push(table);
  changed[0].sort((a, b) => b.number - a.number);
  for (let level = 1; level < levelCount; level++) {
    changed[level].sort((a, b) => compareBytes(a.smallestKey, b.smallestKey));
  }
  checkLevels(changed);
  return changed;
}

export function checkLevels(levels: Levels): void {
  const numbers = new Set<number>();
  levels.forEach((tables, level) => {
    tables.forEach((table, i) => {
      assert(!numbers.has(table.number), `table ${table.number} is there twice`);
      numbers.add(table.number);
      assert(compareBytes(table.smallestKey, table.endKey) < 0, `table ${table.number} ends before it starts`);
      if (i === 0) return;
      const before = tables[i - 1];
      if (level === 0) {
        assert(before.number > table.number, 'level 0 is newest first');
        return;
      }
      if (compareBytes(before.endKey, table.smallestKey) <= 0) return;
      const place = printable(table.smallestKey);
      throw new AssertionError(`tables ${before.number} and ${table.number} of level ${level} overlap at ${place}`);
    });
  });
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
