/** What the gRPC handlers need of a node. `node/` implements it; handlers know nothing else of what is behind. */
import type { NodeId, ReplicaId, ShardId, Timestamp } from '../base/ids.js';
import type { Operation, OperationResult, RequestId } from '../mvcc/operations.js';
import type { ShardDescriptor, ShardEpoch } from '../shard/descriptor.js';
import type { NodeStage } from '../placement/node-registry.js';
import type { MemberRole, WantedMembers } from '../shard/member-changes.js';
import type { MessageLimits } from './message-limits.js';

export interface KvBackend {
  /**
   * Executes one operation on whichever node leads its shard. `done` is called exactly once, never before `submit`
   * returns, at the latest when `timeoutMs` is over; a result of type `failed` carries the outcome. The operation's
   * byte strings are owned by the backend from here on.
   */
  submit(operation: Operation, timeoutMs: number, done: (result: OperationResult) => void): void;
  /** Pages of one consistent read snapshot, over all shards that the range touches. Throws QuorateError. */
  scan(request: ScanRequest, signal: AbortSignal): AsyncIterable<ScanPage>;
  /** A request id for a write whose caller gave none, so that the node's own retries are safe. */
  newRequestId(): RequestId;
}

export interface ScanRequest {
  readonly start: Uint8Array;
  /** Exclusive; empty is the end of the key space. */
  readonly end: Uint8Array;
  readonly reverse: boolean;
  readonly keysOnly: boolean;
  /** Records at most; 0 is all. */
  readonly limit: number;
  /** About this many bytes a page; 0 is the node's default, which is also the maximum. */
  readonly pageBytes: number;
  readonly consistency: 'linearizable' | 'stale';
  /** Timestamp of the read snapshot; 0 is now. */
  readonly readTs: Timestamp;
  /** For the whole scan. */
  readonly timeoutMs: number;
  /** For one page of it, from when the one before was taken. */
  readonly pageTimeoutMs: number;
}

export interface ScanRecord {
  readonly key: Uint8Array;
  readonly version: Timestamp;
  /** Empty with `keysOnly`. */
  readonly value: Uint8Array;
}

export interface ScanPage {
  readonly records: readonly ScanRecord[];
  /** Timestamp of the read snapshot; the same on all pages. 0 in a stale scan without one: it is not of one moment. */
  readonly readTs: Timestamp;
}

export interface AdminBackend {
  /** What this node knows and what the others answer within a short time; nodes that do not answer are not `live`. */
  status(timeoutMs: number): Promise<ClusterStatus>;
  /** The shard map as this node has it, for clients that route by themselves. Also has each shard's last known leader. */
  shardMap(): ShardMapView;
  /**
   * Resolves when the shard has exactly these replicas. Rejects with INVALID_ARGUMENT for a shard or node that there is not,
   * and with DEADLINE_EXCEEDED after `timeoutMs`: what was begun may still come about.
   */
  changeReplicas(wanted: WantedReplicas, timeoutMs: number): Promise<void>;
  /**
   * Resolves when a node that is down, and has lost its disk, has no replicas any more, so that it can be started with an empty data
   * directory: it then gets all back, in new replicas. Rejects with INVALID_ARGUMENT for a node that there is not or that is up,
   * with SHARD_UNAVAILABLE where a shard has no majority without it, and with DEADLINE_EXCEEDED after `timeoutMs`: what was begun goes on.
   */
  replaceNode(node: NodeId, timeoutMs: number): Promise<void>;
  /**
   * Resolves when the node is gone: its replicas are on other nodes, and it has no part in anything any more. Rejects with
   * INVALID_ARGUMENT for a node that there is not and where no other node could take a replica of its, with SHARD_UNAVAILABLE where a
   * shard has no majority without it and not all its voters are up, and with DEADLINE_EXCEEDED after `timeoutMs`: what was begun goes on.
   */
  removeNode(node: NodeId, timeoutMs: number): Promise<void>;
}

/** A shard, and the nodes that are to have replicas of it. */
export interface WantedReplicas {
  readonly shard: ShardId;
  readonly members: WantedMembers;
}

export interface ShardMapView {
  /** Grows with every change of the map. */
  readonly revision: number;
  readonly nodes: readonly NodeAddress[];
  /** Ordered by start; together they tile the key space. Empty until the cluster is formed. */
  readonly shards: readonly { readonly descriptor: ShardDescriptor; readonly leader: NodeId | undefined }[];
}

/** The map as a node tells it to clients. */
export interface ToldShardMap extends ShardMapView {
  /** Of the node that tells it. */
  readonly messageLimits: MessageLimits;
}

export interface NodeAddress {
  readonly id: NodeId;
  /** `host:port` of its gRPC service. */
  readonly clientAddress: string;
  /** `host:port` of its peer port. */
  readonly peerAddress: string;
}

export interface ClusterStatus {
  readonly clusterId: string;
  readonly nodes: readonly NodeStatus[];
  readonly shards: readonly ShardStatus[];
  /** The placement group: shard 0, which has no keys of clients. */
  readonly placement: ShardStatus;
}

export interface NodeStatus {
  readonly id: NodeId;
  readonly clientAddress: string;
  readonly peerAddress: string;
  /** Of its process; 0 when the node did not answer. */
  readonly pid: number;
  readonly live: boolean;
  /** Release of the software; empty when the node did not answer. */
  readonly softwareVersion: string;
  /** Of the files of its log, with room that was made ahead; 0 when the node did not answer. */
  readonly logBytes: number;
  readonly snapshots: SnapshotTraffic;
  /**
   * Undefined of a node that is as any other. `leaving`, `vacant` and `joining` are those of a node that is replaced: its replicas are
   * removed; it may come with an empty data directory; it gets its replicas back. `draining`: it is removed.
   */
  readonly stage: NodeStage | undefined;
}

/** What Raft snapshots have moved since the start of a process; all 0 when the node did not answer. */
export interface SnapshotTraffic {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Of shards of this node, put in place. */
  readonly installed: number;
}

export interface ShardStatus {
  readonly id: ShardId;
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  readonly epoch: ShardEpoch;
  /** Undefined while there is none that the answering nodes know. */
  readonly leader: NodeId | undefined;
  readonly term: number;
  readonly replicas: readonly ReplicaStatus[];
  /** Bytes of tables and memtable on the leader, or on the replica that answered. */
  readonly bytes: number;
}

export interface ReplicaStatus {
  readonly node: NodeId;
  /** Never used again after the replica is removed. */
  readonly replica: ReplicaId;
  readonly role: MemberRole;
  /** 0 when the node did not answer. */
  readonly appliedIndex: number;
  readonly commitIndex: number;
  readonly live: boolean;
}
