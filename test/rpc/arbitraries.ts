/** Random messages of every shape, for property tests of the codecs. */
import fc from 'fast-check';
import { QuorateError } from '../../src/base/errors.js';
import { LogIndex, NodeId, ReplicaId, ShardId, Term, Timestamp } from '../../src/base/ids.js';
import type {
  AtomicOperation,
  Condition,
  FailedCondition,
  Operation,
  OperationResult,
  VersionedValue,
} from '../../src/mvcc/operations.js';
import type { Entry, RaftMessage, SnapshotRequest } from '../../src/raft/types.js';
import type { ScanRecord } from '../../src/rpc/backend.js';
import { allErrorCodes } from '../../src/rpc/enums.js';
import { timestampsPerRequestMax } from '../../src/rpc/peer-messages.js';
import type { LocalReplicaStatus, PeerFrame, PeerRequest, PeerResponse } from '../../src/rpc/peer-messages.js';
import { anyConfiguration } from '../raft/naive-quorum.js';

/** Objects with the usual prototype, as decoders make them. */
function record<T>(model: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const u53 = fc.oneof(
  fc.nat({ max: 300 }),
  fc.constantFrom(0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
);
const positive = u53.map((value) => Math.max(1, value));
const u32 = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 0xffff_ffff }));
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  // Around the sizes at which the length of a nested message takes one more byte.
  fc.constantFrom(110, 127, 128, 129, 16_370, 16_384, 17_000).map((length) => new Uint8Array(length).fill(7)),
);
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const term = u53.map(Term);
const logIndex = u53.map(LogIndex);
const timestamp = u53.map(Timestamp);
const nodeId = positive.map(NodeId);
const replicaId = positive.map((id) => ReplicaId(id));
const shardId = u53.map(ShardId);
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });
const consistency = fc.constantFrom('linearizable' as const, 'stale' as const);
const epoch = record({ membership: u53, range: u53 });

export const errorArbitrary: fc.Arbitrary<QuorateError> = record({
  code: fc.constantFrom(...allErrorCodes),
  message: text,
  outcome: fc.constantFrom('notApplied' as const, 'unknown' as const),
  retryable: fc.boolean(),
  shard: maybe(shardId),
  retryAfterMs: maybe(u32),
}).map(({ code, message, ...options }) => new QuorateError(code, message, options));

const conditionArbitrary: fc.Arbitrary<Condition> = fc.oneof(
  fc.constant<Condition>({ type: 'none' }),
  fc.constant<Condition>({ type: 'absent' }),
  record({ type: fc.constant('versionEquals' as const), version: timestamp }),
  record({ type: fc.constant('valueEquals' as const), value: bytes }),
);
const requestId = record({ session: fc.uint8Array({ minLength: 16, maxLength: 16 }), seq: u53 });

const atomicOperation: fc.Arbitrary<AtomicOperation> = fc.oneof(
  record({ type: fc.constant('put' as const), key: bytes, value: bytes, condition: conditionArbitrary }),
  record({ type: fc.constantFrom('delete' as const, 'check' as const), key: bytes, condition: conditionArbitrary }),
);

export const operationArbitrary: fc.Arbitrary<Operation> = fc.oneof(
  record({ type: fc.constant('get' as const), key: bytes, consistency }),
  record({ type: fc.constant('put' as const), key: bytes, value: bytes, condition: conditionArbitrary, requestId }),
  record({ type: fc.constant('delete' as const), key: bytes, condition: conditionArbitrary, requestId }),
  record({
    type: fc.constant('atomicBatch' as const),
    operations: fc.array(atomicOperation, { maxLength: 3 }),
    requestId,
  }),
);

const versionedValue: fc.Arbitrary<VersionedValue> = record({ version: timestamp, value: bytes });

const failedCondition: fc.Arbitrary<FailedCondition> = record({
  index: u32,
  current: maybe(record({ version: timestamp, value: maybe(bytes) })),
});

export const resultArbitrary: fc.Arbitrary<OperationResult> = fc.oneof(
  record({ type: fc.constant('found' as const), version: timestamp, value: bytes }),
  fc.constant<OperationResult>({ type: 'absent' }),
  record({ type: fc.constant('written' as const), version: timestamp }),
  fc.constant<OperationResult>({ type: 'nothingDeleted' }),
  record({ type: fc.constant('conditionFailed' as const), current: maybe(versionedValue) }),
  record({ type: fc.constant('conditionsFailed' as const), failures: fc.array(failedCondition, { maxLength: 3 }) }),
  record({ type: fc.constant('failed' as const), error: errorArbitrary }),
);

export const recordArbitrary: fc.Arbitrary<ScanRecord> = record({ key: bytes, version: timestamp, value: bytes });

const address = { from: positive.map(ReplicaId), to: positive.map(ReplicaId), term };

const entriesAfter = (prevLogIndex: number): fc.Arbitrary<readonly Entry[]> =>
  fc
    .array(record({ term, data: bytes }), { maxLength: 4 })
    .map((parts) => parts.map((part, i) => ({ ...part, index: LogIndex(prevLogIndex + 1 + i) })));

const snapshotRequest: fc.Arbitrary<SnapshotRequest> = record({
  type: fc.constant('snapshotRequest' as const),
  ...address,
  snapshot: record({ index: logIndex, term, configuration: anyConfiguration }),
});

const raftMessage: fc.Arbitrary<RaftMessage> = fc.oneof(
  record({
    type: fc.constantFrom('preVoteRequest' as const, 'voteRequest' as const),
    ...address,
    lastLogIndex: logIndex,
    lastLogTerm: term,
    transfer: fc.boolean(),
  }),
  record({
    type: fc.constantFrom('preVoteResponse' as const, 'voteResponse' as const),
    ...address,
    granted: fc.boolean(),
    commit: logIndex,
    commitTerm: term,
  }),
  fc.nat({ max: 2 ** 31 - 1 }).chain((prevLogIndex) =>
    record({
      type: fc.constant('appendRequest' as const),
      ...address,
      prevLogIndex: fc.constant(LogIndex(prevLogIndex)),
      prevLogTerm: term,
      entries: entriesAfter(prevLogIndex),
      commit: logIndex,
    }),
  ),
  record({
    type: fc.constant('appendResponse' as const),
    ...address,
    logIndex,
    rejected: fc.boolean(),
    hintIndex: logIndex,
    hintTerm: term,
  }),
  record({
    type: fc.constant('heartbeat' as const),
    ...address,
    commit: logIndex,
    leaderCommit: logIndex,
    probe: u53,
    readRound: u53,
    quiesce: fc.boolean(),
  }),
  record({
    type: fc.constant('heartbeatResponse' as const),
    ...address,
    readRound: u53,
    probe: u53,
    quiet: fc.boolean(),
  }),
  snapshotRequest,
  record({ type: fc.constant('timeoutNow' as const), ...address }),
);

const requestBody: fc.Arbitrary<PeerRequest> = fc.oneof(
  record({
    type: fc.constant('execute' as const),
    shard: shardId,
    epoch,
    operations: fc.array(operationArbitrary, { minLength: 1, maxLength: 5 }),
  }),
  record({
    type: fc.constant('scanPage' as const),
    shard: shardId,
    epoch,
    start: bytes,
    end: bytes,
    at: timestamp,
    reverse: fc.boolean(),
    keysOnly: fc.boolean(),
    bytesMax: u53,
    recordsMax: u53,
    consistency,
  }),
  record({
    type: fc.constant('timestamps' as const),
    count: fc.integer({ min: 1, max: timestampsPerRequestMax }),
    voucher: fc.option(record({ replica: positive.map(ReplicaId), term }), { nil: undefined }),
  }),
  record({
    type: fc.constant('registerNode' as const),
    node: nodeId,
    storeId: text,
    clientAddress: text,
    peerAddress: text,
  }),
  fc.constant<PeerRequest>({ type: 'nodeStatus' }),
  record({
    type: fc.constant('offerSnapshot' as const),
    shard: shardId,
    request: snapshotRequest,
    checkpoint: u53,
    manifestBytes: positive,
    storeId: fc.constantFrom(undefined, '0af3'),
  }),
  record({
    type: fc.constant('readSnapshot' as const),
    shard: shardId,
    checkpoint: u53,
    file: text,
    offset: u53,
    bytesMax: u53,
  }),
  record({ type: fc.constant('askStanding' as const), shard: shardId, replica: replicaId }),
  record({
    type: fc.constant('changeMember' as const),
    shard: shardId,
    node: nodeId,
    role: fc.constantFrom('voter' as const, 'learner' as const, 'none' as const),
    storeId: fc.constantFrom(undefined, '0af3'),
    instead: fc.array(nodeId, { maxLength: 3 }),
    membership: fc.nat(),
  }),
  record({ type: fc.constant('replaceNode' as const), node: nodeId, storeId: fc.constantFrom(undefined, '0af3') }),
  record({ type: fc.constant('removeNode' as const), node: nodeId, storeId: fc.constantFrom(undefined, '0af3') }),
  record({
    type: fc.constant('changeMembers' as const),
    shard: shardId,
    members: fc.uniqueArray(nodeId, { minLength: 1, maxLength: 6 }).map(([first, ...rest]) => {
      const half = rest.length >> 1;
      return { voters: [first, ...rest.slice(0, half)], learners: rest.slice(half) };
    }),
  }),
  record({
    type: fc.constant('reportShard' as const),
    isWanted: fc.boolean(),
    descriptor: record({
      shard: shardId,
      start: bytes,
      end: bytes,
      epoch,
      replicas: fc.array(
        fc.oneof(
          record({ replica: replicaId, node: nodeId }),
          record({ replica: replicaId, node: nodeId, storeId: fc.constant('0af3') }),
        ),
        { minLength: 1, maxLength: 5 },
      ),
    }).chain((shard) => {
      const ids = [...new Set(shard.replicas.map(({ replica }) => replica))];
      const isUnique = ids.length === shard.replicas.length;
      return fc.constant(isUnique && ids.length > 1 ? { ...shard, learners: ids.slice(1) } : shard);
    }),
  }),
);

const localReplica: fc.Arbitrary<LocalReplicaStatus> = record({
  shard: shardId,
  leader: maybe(nodeId),
  term: u53,
  appliedIndex: u53,
  commitIndex: u53,
  bytes: u53,
  membership: u53,
  members: fc.array(
    record({
      replica: replicaId,
      node: nodeId,
      role: fc.constantFrom('voter' as const, 'learner' as const, 'incoming' as const, 'outgoing' as const),
    }),
    { maxLength: 3 },
  ),
});

const responseBody: fc.Arbitrary<PeerResponse> = fc.oneof(
  record({ type: fc.constant('executed' as const), results: fc.array(resultArbitrary, { maxLength: 5 }) }),
  record({
    type: fc.constant('scannedPage' as const),
    records: fc.array(recordArbitrary, { maxLength: 5 }),
    resume: maybe(bytes),
  }),
  record({
    type: fc.constant('timestamps' as const),
    first: fc.integer({ min: 1, max: 2 ** 50 }).map(Timestamp),
    count: fc.integer({ min: 1, max: 2 ** 50 }),
  }),
  fc.constant<PeerResponse>({ type: 'registered' }),
  fc.constant<PeerResponse>({ type: 'snapshotTaken' }),
  fc.constant<PeerResponse>({ type: 'membersChanged' }),
  fc.constant<PeerResponse>({ type: 'shardTaken' }),
  fc.constant<PeerResponse>({ type: 'removalBegun' }),
  record({ type: fc.constant('replacementBegun' as const), storeId: fc.constantFrom(undefined, '0af3') }),
  record({
    type: fc.constant('standing' as const),
    group: maybe(record({ isMember: fc.boolean(), nextReplica: replicaId })),
    leader: maybe(nodeId),
  }),
  record({ type: fc.constant('snapshotChunk' as const), bytes, checksum: u32 }),
  record({
    type: fc.constant('nodeStatus' as const),
    status: record({
      node: nodeId,
      pid: u53,
      softwareVersion: text,
      logBytes: u53,
      snapshots: record({ sentBytes: u53, receivedBytes: u53, installed: u53 }),
      replicas: fc.array(localReplica, { maxLength: 3 }),
    }),
  }),
  record({
    type: fc.constant('failed' as const),
    error: errorArbitrary,
    leader: maybe(nodeId),
    leaderAddress: maybe(text.filter((address) => address !== '')),
  }),
);

export const peerFrameArbitrary: fc.Arbitrary<PeerFrame> = fc.oneof(
  record({
    type: fc.constant('hello' as const),
    clusterId: text,
    nodeId,
    storeId: text,
    peerAddress: text,
    protocolMin: u32,
    more: fc.nat({ max: 100 }),
  }).map(({ more, protocolMin, ...hello }) => ({
    ...hello,
    protocolMin,
    protocolMax: Math.min(protocolMin + more, 0xffff_ffff),
  })),
  record({
    type: fc.constant('raft' as const),
    messages: fc.array(record({ shard: shardId, message: raftMessage }), { maxLength: 5 }),
  }),
  record({ type: fc.constant('request' as const), id: u53, timeoutMs: u32, relay: fc.boolean(), body: requestBody }),
  record({ type: fc.constant('response' as const), id: u53, body: responseBody }),
  fc.constant<PeerFrame>({ type: 'alive' }),
);
