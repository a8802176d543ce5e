/**
 * Branded numbers: a `Term` cannot be passed where a `LogIndex` is meant. Each is made only by the asserting
 * function of its name, at the place where an untyped number enters (a decoder, a configuration, a counter).
 */
import { assert } from './assert.js';

declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** Raft term, from 0 (no election yet). */
export type Term = Branded<'Term'>;
/** Position of an entry in a Raft log, from 1; 0 means "before the first". */
export type LogIndex = Branded<'LogIndex'>;
/**
 * MVCC version: microseconds since {@link timestampEpochMs}, made unique by the oracle; of the placement group a count of
 * its changes. 0 means "never".
 */
export type Timestamp = Branded<'Timestamp'>;
/** A node (process), from 1. */
export type NodeId = Branded<'NodeId'>;
/** One replica of one shard, from 1: the identity in its Raft group, never used again after the replica is removed. */
export type ReplicaId = Branded<'ReplicaId'>;
/** A shard and its Raft group, from 1; 0 is the placement group. */
export type ShardId = Branded<'ShardId'>;

/** Unix milliseconds of timestamp 0: 2024-01-01T00:00:00Z. Timestamps stay below 2^53 until the year 2309. */
export const timestampEpochMs = 1_704_067_200_000;

function whole(value: number, min: number, what: string): void {
  // Most callers are on hot paths: no message is made before it is needed.
  if (Number.isSafeInteger(value) && value >= min) return;
  assert(Number.isSafeInteger(value), `${what} must be a safe integer, got ${value}`);
  assert(value >= min, `${what} must be at least ${min}, got ${value}`);
}

export function Term(value: number): Term {
  whole(value, 0, 'term');
  return value as Term;
}

export function LogIndex(value: number): LogIndex {
  whole(value, 0, 'log index');
  return value as LogIndex;
}

export function Timestamp(value: number): Timestamp {
  whole(value, 0, 'timestamp');
  return value as Timestamp;
}

export function NodeId(value: number): NodeId {
  whole(value, 1, 'node id');
  return value as NodeId;
}

export function ShardId(value: number): ShardId {
  whole(value, 0, 'shard id');
  return value as ShardId;
}

export function ReplicaId(value: number): ReplicaId {
  whole(value, 1, 'replica id');
  return value as ReplicaId;
}

/** The placement group: node registry, shard map, timestamps. */
export const placementShardId = ShardId(0);
/** Larger than every timestamp that is ever issued; reads at it see the newest version. */
export const timestampMax = Timestamp(Number.MAX_SAFE_INTEGER);
