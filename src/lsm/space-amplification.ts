import { compareBytes } from '../base/bytes.js';
import type { TableMetadata } from './sstable/sstable-format.js';
import type { Levels } from './version/levels.js';

/**
 * How much more space tables and value files take than one version of each key would, at most: the bytes of all for each byte of
 * the newest versions in the tables that have the most of them and overlap nowhere. Exact where the other tables have no
 * keys but those, versions are of one size, no table is trimmed and nothing is deleted. Undefined without entries.
 */
export function spaceAmplification(levels: Levels, valueFileBytes = 0): number | undefined {
  const tables = levels.flat().sort((a, b) => compareBytes(a.endKey, b.endKey));
  // The most bytes of newest versions in tables that do not overlap, among the first so many.
  const most = [0];
  for (const [i, table] of tables.entries()) {
    most.push(Math.max(most[i], most[endedCount(tables, table.smallestKey)] + newestBytes(table)));
  }
  const least = most[tables.length];
  return least === 0 ? undefined : tables.reduce((sum, { bytes }) => sum + bytes, valueFileBytes) / least;
}

function newestBytes({ bytes, keys, entries, valueFiles }: TableMetadata): number {
  const all = valueFiles.reduce((sum, file) => sum + file.bytes, bytes);
  return entries === 0 ? 0 : (all * keys) / entries;
}

/** How many of the tables, which are in the order of their ends, have no key from this one on. */
function endedCount(tables: readonly TableMetadata[], key: Uint8Array): number {
  let [low, high] = [0, tables.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(tables[middle].endKey, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
