/**
 * Every bound of the system, in one place. A queue, cache, batch or window that is not bounded by one of these is a
 * defect. `checkLimits` asserts at start how they relate, so that a configured value cannot make two of them disagree.
 */
import { assert } from './assert.js';

const kib = 1024;
const mib = 1024 * kib;

export interface Limits {
  /** Longest user key. */
  readonly keyBytesMax: number;
  /** Longest user value. */
  readonly valueBytesMax: number;
  /** Operations in one `Batch` request or one message of a `Stream`. */
  readonly batchOperationsMax: number;
  /** Longest gRPC message that is accepted. */
  readonly requestBytesMax: number;
  /** Payload of one page of a scan, about; a page holds at least one record. */
  readonly scanPageBytesMax: number;
  /** Records of one page of a scan. */
  readonly scanPageRecordsMax: number;
  /**
   * Scans that clients have open at a node, and as many pages at a time that it reads for other nodes' scans. A scan
   * has one page at a time, as records and encoded, so a node's pages take at most about three times this many pages.
   */
  readonly scansInFlightMax: number;
  /** Operations that a node has accepted and not answered. */
  readonly nodeOperationsInFlightMax: number;
  /** Bytes of keys and values of those. */
  readonly nodeBytesInFlightMax: number;
  /** Operations that wait or run in one shard. */
  readonly shardOperationsInFlightMax: number;
  /** Longest payload of one Raft entry; a turn that gathered more proposes several. */
  readonly entryBytesMax: number;
  /** Bytes of a leader's log that are not committed; more proposals are refused. */
  readonly uncommittedBytesMax: number;
  /** Entry bytes in one append message. */
  readonly appendBytesMax: number;
  /** Append messages to one follower that are not answered. */
  readonly appendsInFlightMax: number;
  /** Longest frame between nodes. */
  readonly peerFrameBytesMax: number;
  /** Bytes that wait for one peer's connection; messages beyond are dropped (Raft sends again). */
  readonly peerQueueBytesMax: number;
  /** Requests to one peer that are not answered. */
  readonly peerRequestsInFlightMax: number;
  /** Size of a log segment. */
  readonly segmentBytesMax: number;
  /** A log of more than this has the trees flushed that keep it from dropping segments. */
  readonly logBytesFlush: number;
  /** Log entries that one node keeps in memory. */
  readonly logCacheBytesMax: number;
  /** Memory of all memtables of one node. With half of it in use by those that take writes, the largest is flushed. */
  readonly nodeMemtableBytesMax: number;
  /** A memtable of this size is sealed and flushed. */
  readonly memtableBytesMax: number;
  /** Sealed memtables of one tree; more, and writes wait. */
  readonly sealedMemtablesMax: number;
  /** Cached SSTable blocks of one node. */
  readonly blockCacheBytesMax: number;
  /** Request ids are remembered at least this long; see docs/protocol/request-ids.md. */
  readonly requestIdRetentionMs: number;
  /** Versions that a newer one replaced stay readable at least this long. */
  readonly versionRetentionMs: number;
  /** A replica that may lag by more than this answers no stale read. */
  readonly staleReadMsMax: number;
}

export const defaultLimits: Limits = {
  keyBytesMax: 4 * kib,
  valueBytesMax: 1 * mib,
  batchOperationsMax: 1024,
  requestBytesMax: 8 * mib,
  scanPageBytesMax: 256 * kib,
  scanPageRecordsMax: 1000,
  scansInFlightMax: 256,
  nodeOperationsInFlightMax: 16_384,
  nodeBytesInFlightMax: 128 * mib,
  shardOperationsInFlightMax: 8192,
  entryBytesMax: 2 * mib,
  uncommittedBytesMax: 64 * mib,
  appendBytesMax: 1 * mib,
  appendsInFlightMax: 64,
  peerFrameBytesMax: 16 * mib,
  peerQueueBytesMax: 64 * mib,
  peerRequestsInFlightMax: 4096,
  segmentBytesMax: 64 * mib,
  logBytesFlush: 512 * mib,
  logCacheBytesMax: 64 * mib,
  nodeMemtableBytesMax: 128 * mib,
  memtableBytesMax: 16 * mib,
  sealedMemtablesMax: 4,
  blockCacheBytesMax: 128 * mib,
  requestIdRetentionMs: 10 * 60_000,
  versionRetentionMs: 10 * 60_000,
  staleReadMsMax: 10_000,
};

/** Asserts how limits relate. Messages name both sides. */
export function checkLimits(limits: Limits): void {
  const perOperationOverhead = 256;
  const largestOperation = limits.keyBytesMax + limits.valueBytesMax + perOperationOverhead;
  assert(limits.keyBytesMax >= 1, 'keyBytesMax must be at least 1');
  assert(largestOperation <= limits.requestBytesMax, 'requestBytesMax must hold one key and value of maximal size');
  assert(largestOperation <= limits.entryBytesMax, 'entryBytesMax must hold one key and value of maximal size');
  assert(limits.entryBytesMax <= limits.uncommittedBytesMax, 'uncommittedBytesMax must hold one entry');
  assert(
    limits.entryBytesMax <= limits.segmentBytesMax / 4,
    'a segment must hold at least four entries of maximal size',
  );
  assert(
    limits.entryBytesMax + limits.appendBytesMax + perOperationOverhead <= limits.peerFrameBytesMax,
    'peerFrameBytesMax must hold an append message with one entry of maximal size',
  );
  assert(
    limits.requestBytesMax + perOperationOverhead <= limits.peerFrameBytesMax,
    'peerFrameBytesMax must hold a forwarded request',
  );
  assert(
    limits.entryBytesMax * 16 <= limits.nodeMemtableBytesMax,
    'nodeMemtableBytesMax must hold sixteen entries of maximal size',
  );
  assert(limits.peerFrameBytesMax <= limits.peerQueueBytesMax, 'peerQueueBytesMax must hold one frame');
  assert(
    limits.shardOperationsInFlightMax <= limits.nodeOperationsInFlightMax,
    'nodeOperationsInFlightMax must cover a shard',
  );
  assert(limits.scansInFlightMax >= 1, 'scansInFlightMax must be at least 1');
  assert(
    limits.scanPageBytesMax + largestOperation <= limits.peerFrameBytesMax,
    'peerFrameBytesMax must hold a page of a scan',
  );
}
