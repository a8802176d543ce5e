/**
 * Every bound of the system, in one place. A queue, cache, batch or window that is not bounded by one of these is a
 * defect. `brokenLimits` says how they relate: looked at at start, so that configured values cannot disagree.
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
  /**
   * Bytes of answers that callers of a node have not taken, scans apart. With no room for a value, reads are refused; a
   * value for which there is none is left out of its answer. One stream has up to a quarter.
   */
  readonly unsentAnswerBytesMax: number;
  /** Calls that a client has open on one connection; further ones wait there. */
  readonly connectionCallsMax: number;
  /** Operations that wait or run in one shard. */
  readonly shardOperationsInFlightMax: number;
  /** A shard takes in about as many bytes of writes as it does in this time; but always 24 KiB, or one write. */
  readonly writeWaitMsTarget: number;
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
  /** Files of log segments that are no longer needed which are kept to be overwritten by new ones; 0 for none. */
  readonly spareSegmentsMax: number;
  /** A log of more than this has the trees flushed that keep it from dropping segments. */
  readonly logBytesFlush: number;
  /** A log of more than this, of which less than a third is needed, has its oldest needed entries written again. */
  readonly logBytesRewrite: number;
  /**
   * A shard's entries in the logs of its replicas take no more than this for the sake of a follower that is away and lacks them:
   * it gets a Raft snapshot. For one that lives it is twice as much, or as much as the shard's tables take, whichever is more,
   * unless the leader's disk is full.
   */
  readonly shardLogBytesMax: number;
  /** Bytes of Raft snapshots that a node sends in a second, on average. */
  readonly snapshotBytesPerSecondMax: number;
  /** One answer to a follower that fetches a Raft snapshot. */
  readonly snapshotChunkBytesMax: number;
  /** Raft snapshots that a node sends at a time, and that it fetches. */
  readonly snapshotsInFlightMax: number;
  /** Log entries that one node keeps in memory. */
  readonly logCacheBytesMax: number;
  /** Replicas on a node that were made because a leader spoke to them, and have no data yet; further ones wait. */
  readonly unfilledReplicasMax: number;
  /** Memory of all memtables of one node. With half of it in use by those that take writes, the largest is flushed. */
  readonly nodeMemtableBytesMax: number;
  /** A memtable of this size is sealed and flushed. At most 1 GiB. */
  readonly memtableBytesMax: number;
  /** Sealed memtables of one tree; more, and writes wait. */
  readonly sealedMemtablesMax: number;
  /** Values of at least so many bytes are kept beside the tables, so that compactions do not write them again and again. */
  readonly largeValueBytesMin: number;
  /** Bytes that the compactions of one node write in a second, on average; flushes go first, and count. */
  readonly compactionBytesPerSecondMax: number;
  /** Files of SSTables that are open at one time at one node; reads wait for one. Merges have up to 64 for each thread besides. */
  readonly openTablesMax: number;
  /** Cached SSTable blocks of one node. */
  readonly blockCacheBytesMax: number;
  /** Keys that are read often, with their newest versions, of one node; 0 for none. At most 7.5 GiB. */
  readonly rowCacheBytesMax: number;
  /** Request ids are remembered at least this long; see docs/protocol/request-ids.md. */
  readonly requestIdRetentionMs: number;
  /** Versions that a newer one replaced stay readable at least this long. */
  readonly versionRetentionMs: number;
  /** A replica that may lag by more than this answers no stale read. */
  readonly staleReadMsMax: number;
}

/** What a row cache may take at most: a map has up to 2^24 places, and each half of the cache is one for each tree. */
export const rowCacheBytesLimit = 7.5 * 1024 * mib;

export const defaultLimits: Limits = {
  keyBytesMax: 4 * kib,
  valueBytesMax: 1 * mib,
  batchOperationsMax: 1024,
  requestBytesMax: 8 * mib,
  scanPageBytesMax: 256 * kib,
  scanPageRecordsMax: 1000,
  scansInFlightMax: 256,
  nodeOperationsInFlightMax: 4096,
  nodeBytesInFlightMax: 128 * mib,
  unsentAnswerBytesMax: 128 * mib,
  connectionCallsMax: 4096,
  shardOperationsInFlightMax: 2048,
  writeWaitMsTarget: 500,
  entryBytesMax: 2 * mib,
  uncommittedBytesMax: 64 * mib,
  appendBytesMax: 1 * mib,
  appendsInFlightMax: 64,
  peerFrameBytesMax: 16 * mib,
  peerQueueBytesMax: 64 * mib,
  peerRequestsInFlightMax: 4096,
  segmentBytesMax: 64 * mib,
  spareSegmentsMax: 2,
  logBytesFlush: 512 * mib,
  logBytesRewrite: 1024 * mib,
  shardLogBytesMax: 64 * mib,
  snapshotBytesPerSecondMax: 64 * mib,
  snapshotChunkBytesMax: 1 * mib,
  snapshotsInFlightMax: 2,
  logCacheBytesMax: 64 * mib,
  unfilledReplicasMax: 64,
  nodeMemtableBytesMax: 128 * mib,
  memtableBytesMax: 16 * mib,
  sealedMemtablesMax: 4,
  largeValueBytesMin: 4 * kib,
  compactionBytesPerSecondMax: 10 * 1024 * mib,
  openTablesMax: 1000,
  blockCacheBytesMax: 128 * mib,
  rowCacheBytesMax: 32 * mib,
  requestIdRetentionMs: 10 * 60_000,
  versionRetentionMs: 10 * 60_000,
  staleReadMsMax: 10_000,
};

/** A rule between limits that does not hold. The message names both sides. */
export interface BrokenLimits {
  readonly limits: readonly (keyof Limits)[];
  readonly message: string;
}

/** Every rule between limits that these break. */
export function brokenLimits(limits: Limits): readonly BrokenLimits[] {
  const perOperationOverhead = 768;
  const largestOperation = limits.keyBytesMax + limits.valueBytesMax + perOperationOverhead;
  const broken: BrokenLimits[] = [];
  const rule = (holds: boolean, names: readonly (keyof Limits)[], message: string): void => {
    if (!holds) broken.push({ limits: names, message });
  };
  rule(limits.keyBytesMax >= 1, ['keyBytesMax'], 'keyBytesMax must be at least 1');
  rule(limits.scansInFlightMax >= 1, ['scansInFlightMax'], 'scansInFlightMax must be at least 1');
  rule(
    largestOperation <= limits.requestBytesMax,
    ['requestBytesMax', 'keyBytesMax', 'valueBytesMax'],
    'requestBytesMax must hold one key and value of maximal size',
  );
  rule(
    limits.requestBytesMax <= limits.unsentAnswerBytesMax && 4 * largestOperation <= limits.unsentAnswerBytesMax,
    ['unsentAnswerBytesMax', 'requestBytesMax', 'valueBytesMax'],
    'unsentAnswerBytesMax must hold one response of requestBytesMax, and four values of maximal size',
  );
  rule(limits.connectionCallsMax >= 1, ['connectionCallsMax'], 'connectionCallsMax must be at least 1');
  rule(
    largestOperation <= limits.entryBytesMax,
    ['entryBytesMax', 'keyBytesMax', 'valueBytesMax'],
    'entryBytesMax must hold one key and value of maximal size',
  );
  rule(
    limits.entryBytesMax <= limits.uncommittedBytesMax,
    ['uncommittedBytesMax', 'entryBytesMax'],
    'uncommittedBytesMax must hold one entry of entryBytesMax',
  );
  rule(
    limits.entryBytesMax <= limits.segmentBytesMax / 4,
    ['segmentBytesMax', 'entryBytesMax'],
    'segmentBytesMax: a segment must hold at least four entries of entryBytesMax',
  );
  rule(
    limits.logBytesFlush <= limits.logBytesRewrite,
    ['logBytesRewrite', 'logBytesFlush'],
    'logBytesRewrite must be at least logBytesFlush: what trees hold can be dropped and need not be written again',
  );
  rule(
    limits.entryBytesMax + limits.appendBytesMax + perOperationOverhead <= limits.peerFrameBytesMax,
    ['peerFrameBytesMax', 'entryBytesMax', 'appendBytesMax'],
    'peerFrameBytesMax must hold an append message of appendBytesMax with one entry of entryBytesMax',
  );
  rule(
    limits.requestBytesMax + perOperationOverhead <= limits.peerFrameBytesMax,
    ['peerFrameBytesMax', 'requestBytesMax'],
    'peerFrameBytesMax must hold a forwarded request of requestBytesMax',
  );
  rule(
    limits.scanPageBytesMax + largestOperation <= limits.peerFrameBytesMax,
    ['peerFrameBytesMax', 'scanPageBytesMax', 'keyBytesMax', 'valueBytesMax'],
    'peerFrameBytesMax must hold a page of a scan of scanPageBytesMax and one more record',
  );
  rule(
    limits.snapshotChunkBytesMax >= 1 &&
      limits.snapshotChunkBytesMax + perOperationOverhead <= limits.peerFrameBytesMax,
    ['peerFrameBytesMax', 'snapshotChunkBytesMax'],
    'peerFrameBytesMax must hold a chunk of snapshotChunkBytesMax, which is at least 1',
  );
  rule(limits.snapshotsInFlightMax >= 1, ['snapshotsInFlightMax'], 'snapshotsInFlightMax must be at least 1');
  rule(
    limits.peerFrameBytesMax <= limits.peerQueueBytesMax,
    ['peerQueueBytesMax', 'peerFrameBytesMax'],
    'peerQueueBytesMax must hold one frame of peerFrameBytesMax',
  );
  rule(
    limits.entryBytesMax * 32 + 8 * mib <= limits.nodeMemtableBytesMax,
    ['nodeMemtableBytesMax', 'entryBytesMax'],
    'nodeMemtableBytesMax must be at least 8 MiB and 32 entries of entryBytesMax',
  );
  rule(limits.memtableBytesMax <= 1024 * mib, ['memtableBytesMax'], 'memtableBytesMax must be at most 1 GiB');
  rule(limits.rowCacheBytesMax <= rowCacheBytesLimit, ['rowCacheBytesMax'], 'rowCacheBytesMax must be at most 7.5 GiB');
  rule(
    limits.shardOperationsInFlightMax <= limits.nodeOperationsInFlightMax,
    ['nodeOperationsInFlightMax', 'shardOperationsInFlightMax'],
    'nodeOperationsInFlightMax must cover shardOperationsInFlightMax',
  );
  rule(limits.writeWaitMsTarget >= 1, ['writeWaitMsTarget'], 'writeWaitMsTarget must be at least 1');
  return broken;
}

/** Asserts that limits agree with each other. */
export function checkLimits(limits: Limits): void {
  const broken = brokenLimits(limits);
  assert(broken.length === 0, broken.map(({ message }) => message).join('; '));
}
