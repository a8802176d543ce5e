/**
 * What the state machine needs of the storage engine; `Tree` of `lsm/` has this shape, and tests have a naive twin.
 * Byte strings that the engine returns stay as they are, and nobody changes them; they may be views of a larger
 * block. Byte strings in a batch belong to the engine once it is written.
 */
import type { LogIndex, Timestamp } from '../base/ids.js';
import type { MaybePromise } from '../base/promises.js';
import type { TreeBatch } from '../lsm/tree-batch.js';

/** The newest version of a key at some timestamp; `value` is empty for a deletion. */
export interface EngineEntry {
  readonly version: Timestamp;
  readonly kind: 'put' | 'delete';
  readonly value: Uint8Array;
}

/** A key that is present, as an iterator meets it. */
export interface EngineRecord {
  readonly key: Uint8Array;
  readonly version: Timestamp;
  readonly value: Uint8Array;
}

export interface EngineRange {
  /** First key, included. */
  readonly lower: Uint8Array;
  /** First key beyond. */
  readonly upper: Uint8Array;
  /** Versions above this one are not seen. */
  readonly at: Timestamp;
  readonly reverse: boolean;
  /** No value is wanted: what is given for one may be empty. */
  readonly keysOnly?: boolean;
}

export interface EngineIterator {
  /** The next key that has a value, undefined at the end. One call at a time. */
  next(): MaybePromise<EngineRecord | undefined>;
  close(): void;
}

/** Reads as evaluation needs them. A read sees every batch whose `write` returned before it. */
export interface EngineReader {
  /** The newest version of `key` at or below `at`; undefined when there is none. */
  get(key: Uint8Array, at: Timestamp): MaybePromise<EngineEntry | undefined>;
  openIterator(range: EngineRange): EngineIterator;
}

export interface Engine extends EngineReader {
  /** Index of the last entry that was written, 0 at first. */
  readonly appliedIndex: LogIndex;
  /** The engine holds everything up to here also after a power loss. */
  readonly durableAppliedIndex: LogIndex;
  /** Atomic, visible at once, durable with the next flush. `appliedIndex` grows with each call. */
  write(batch: TreeBatch, appliedIndex: LogIndex): void;
  /** Reads below `version` have ended: of each key, all but the newest version at or below it may be dropped. */
  setSafePoint(version: Timestamp): void;
  /** Resolves when everything that was written before is durable. */
  flush(): Promise<void>;
}
