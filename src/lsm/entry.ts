/**
 * What the engine stores: entries, each a user key, a version and a kind. Two entries of one key and one version are
 * the same entry written twice; the one that was written later counts.
 *
 * Order of entries everywhere (memtable, blocks, iterators): user key ascending by unsigned bytes, version descending,
 * so that the newest version of a key comes first.
 *
 * Beside entries there are range tombstones (range/range-tombstones.ts): one of version v hides entries of the keys in its
 * range of versions strictly below v from reads at v or above. An entry of version v itself stays visible.
 */
import { compareBytes } from '../base/bytes.js';
import { DecodeError } from '../base/coding.js';
import type { Timestamp } from '../base/ids.js';

/** A `delete` entry is a tombstone: it says that the key has no value from its version on. */
export type Kind = 'put' | 'delete';

/** How it is stored in a table: a `pointer` is a `put` whose value is in a value file; see value/value-file-format.ts. */
export type StoredKind = Kind | 'pointer';

/** What a key had at a version. `value` is a view of the engine's memory: never change it, copy it to keep it long. */
export interface Found {
  readonly version: Timestamp;
  readonly kind: Kind;
  /** Empty for a `delete`. */
  readonly value: Uint8Array;
}

/** What a table has of a key at a version: the value of a `pointer` is that, encoded. */
export interface StoredFound extends Omit<Found, 'kind'> {
  readonly kind: StoredKind;
}

/** One entry with its key. Ownership as in {@link Found}; `key` never changes. */
export interface Entry extends Found {
  readonly key: Uint8Array;
}

/** Kinds as bytes, in memory and on disk. */
export const kindDelete = 0;
export const kindPut = 1;
/** On disk only. */
export const kindPointer = 2;

export function kindOfByte(byte: number): Kind {
  if (byte === kindPut) return 'put';
  if (byte === kindDelete) return 'delete';
  throw new DecodeError(`unknown kind of entry: ${byte}`);
}

export function storedKindOfByte(byte: number): StoredKind {
  return byte === kindPointer ? 'pointer' : kindOfByte(byte);
}

export function byteOfKind(kind: StoredKind): number {
  if (kind === 'pointer') return kindPointer;
  return kind === 'put' ? kindPut : kindDelete;
}

/** The order of entries: < 0 when (aKey, aVersion) comes first. */
export function compareEntries(aKey: Uint8Array, aVersion: number, bKey: Uint8Array, bVersion: number): number {
  const byKey = compareBytes(aKey, bKey);
  return byKey === 0 ? bVersion - aVersion : byKey;
}
