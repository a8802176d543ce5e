import { keySuccessor, utf8 } from '../../src/base/bytes.js';
import { Timestamp } from '../../src/base/ids.js';
import type { TableMetadata } from '../../src/lsm/sstable/sstable-format.js';
import { checkLevels, type Levels } from '../../src/lsm/version/levels.js';
import { levelCount } from '../../src/lsm/version/version-edit.js';

/**
 * `7:a-f*30@5!1~2+3` is table 7 with keys a to f, 30 bytes, version 5, 1 tombstone, 2 range tombstones and, beside its one
 * entry, 3 that have the same key; 10 bytes, version 1, none of the rest if not said.
 */
export function table(text: string): TableMetadata {
  const match = /^(\d+):(\w+)-(\w+)(?:\*(\d+))?(?:@(\d+))?(?:!(\d+))?(?:~(\d+))?(?:\+(\d+))?$/.exec(text);
  if (match === null) throw new Error(`not a table: ${text}`);
  const [, number, smallest, largest, bytes = '10', version = '1', tombstones = '0', ranges = '0', more = '0'] = match;
  return {
    number: Number(number),
    bytes: Number(bytes),
    fingerprint: 0,
    trimmed: false,
    entries: 1 + Number(more),
    keys: 1,
    tombstones: Number(tombstones),
    rangeTombstones: Number(ranges),
    rawBytes: 2,
    dataBytes: 20,
    storedBytes: 21,
    smallestKey: utf8(smallest),
    endKey: keySuccessor(utf8(largest)),
    smallestVersion: Timestamp(Number(version)),
    largestVersion: Timestamp(Number(version)),
    largestEntryVersion: Timestamp(Number(version)),
    valueFiles: [],
  };
}

/** One line for each level, from level 0 on. */
export function levels(...lines: string[]): Levels {
  const all = Array.from({ length: levelCount }, (_, level) =>
    (lines[level] ?? '').split(' ').filter(Boolean).map(table),
  );
  checkLevels(all);
  return all;
}
