/**
 * What one Raft entry changes, byte by byte: docs/formats/write-batch.md.
 * Entries carry effects, not operations: they are evaluated once, on the leader, so that applying them needs no
 * clock, no reads and no decision, and gives the same state on every replica.
 */
import type { Timestamp } from '../base/ids.js';

export const writeBatchFormat = 2;

export const effectKind = { put: 0, delete: 1 } as const;

/** One change of the tree at one version. */
export type Effect =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly version: Timestamp; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly key: Uint8Array; readonly version: Timestamp };

/** The shortest effect: kind, version, length and a key of two bytes. */
export const effectBytesMin = 5;
