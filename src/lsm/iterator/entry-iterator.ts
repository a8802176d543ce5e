import type { Timestamp } from '../../base/ids.js';
import type { StoredKind } from '../entry.js';

/** A step that is done when the call returns (`undefined`), or when this promise resolves. */
export type Pending = Promise<void> | undefined;

/** Which user keys to walk over: from `lower` up to but without `upper`; `upper` undefined means to the end. */
export interface KeyBounds {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array | undefined;
}

/**
 * Walks over entries in one direction, given at its making: ascending or descending in the order of entries.
 * `start` first; a step must be done before the next one. The fields of the entry may be read while `valid`; its `key`
 * and `value` stay as they are when the iterator goes on.
 */
export interface EntryIterator {
  readonly valid: boolean;
  readonly key: Uint8Array;
  readonly version: Timestamp;
  readonly kind: StoredKind;
  readonly value: Uint8Array;
  /** Goes to the first entry in its direction. */
  start(): Pending;
  /** Goes to the next one. Only while `valid`. */
  advance(): Pending;
  /**
   * Goes on from an entry that a range tombstone hides, as {@link advance} does or further. All entries of a version below
   * `below` are hidden, of the keys from here up to but without `end`; descending, down to `end`. Only such are left out.
   */
  advanceHidden(end: Uint8Array, below: number): Pending;
  /** The entry gave nothing to a reader: its table counts that, for the picker of compactions. Only while `valid`. */
  noteSkipped(): void;
}
