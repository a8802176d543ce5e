/**
 * What nodes say to each other, as plain data. `peer-codec.ts` turns a {@link PeerFrame} into bytes and back
 * (proto/peer.proto); `node/` decides what to say.
 */
import type { QuorateError } from '../base/errors.js';
import type { NodeId, ReplicaId, ShardId, Timestamp } from '../base/ids.js';
import type { RaftMessage, SnapshotRequest, Voucher } from '../raft/types.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import type { ShardDescriptor, ShardEpoch } from '../shard/descriptor.js';
import type { MemberRole, WantedMember, WantedMembers } from '../shard/member-changes.js';
import type { ScanRecord, SnapshotTraffic } from './backend.js';

/** First frame of either side. Anything else first, or another cluster, closes the connection. */
export interface Hello {
  readonly type: 'hello';
  readonly clusterId: string;
  readonly nodeId: NodeId;
  /** Random identity of the sender's data directory: a node that lost its disk is not the node that it was. */
  readonly storeId: string;
  /** Where the sender is to be dialled; empty where an earlier release does not say it. */
  readonly peerAddress: string;
  readonly protocolMin: number;
  readonly protocolMax: number;
}

/** All Raft messages of one turn to one node, of all shards (heartbeats travel together). */
export interface RaftFrame {
  readonly type: 'raft';
  readonly messages: readonly ShardMessage[];
}

export interface ShardMessage {
  readonly shard: ShardId;
  readonly message: RaftMessage;
}

export interface OutgoingMessage extends ShardMessage {
  /** Of the replica that it is for: see `ReplicaDescriptor`. */
  readonly storeId?: string | undefined;
}

export interface RequestFrame {
  readonly type: 'request';
  /** Chosen by the sender, unique among its open requests on this connection. */
  readonly id: number;
  /** What is left of the caller's time. */
  readonly timeoutMs: number;
  /** The sender cannot reach the leader that `body` is for: who knows it hands it on. See `node/routing/relay.ts`. */
  readonly relay: boolean;
  readonly body: PeerRequest;
}

export interface ResponseFrame {
  readonly type: 'response';
  readonly id: number;
  readonly body: PeerResponse;
}

/** Says that the sender is there, where it had nothing else to say for a while. */
export interface AliveFrame {
  readonly type: 'alive';
}

export type PeerFrame = Hello | RaftFrame | RequestFrame | ResponseFrame | AliveFrame;

/** Of one request: about a second's worth of what the oracle may issue. */
export const timestampsPerRequestMax = 2 ** 20;

export type PeerRequest =
  /** Operations on one shard, for its leader; `stale` gets for any replica. */
  | {
      readonly type: 'execute';
      readonly shard: ShardId;
      readonly epoch: ShardEpoch;
      readonly operations: readonly Operation[];
    }
  | {
      readonly type: 'scanPage';
      readonly shard: ShardId;
      readonly epoch: ShardEpoch;
      /** Clipped to the shard. */
      readonly start: Uint8Array;
      readonly end: Uint8Array;
      readonly at: Timestamp;
      readonly reverse: boolean;
      readonly keysOnly: boolean;
      readonly bytesMax: number;
      readonly recordsMax: number;
      readonly consistency: 'linearizable' | 'stale';
    }
  /** For the placement leader. `voucher`: of the sender's replica of the placement group, as of now. */
  | { readonly type: 'timestamps'; readonly count: number; readonly voucher: Voucher | undefined }
  /** For the placement leader: enter or refresh the sender in the node registry. */
  | {
      readonly type: 'registerNode';
      readonly node: NodeId;
      readonly storeId: string;
      readonly clientAddress: string;
      readonly peerAddress: string;
    }
  | { readonly type: 'nodeStatus' }
  /** By a leader, for a follower: fetch this Raft snapshot from me. Answered when it is in place, or not needed. */
  | {
      readonly type: 'offerSnapshot';
      readonly shard: ShardId;
      readonly request: SnapshotRequest;
      /** Names the sender's checkpoint, as long as its process runs. */
      readonly checkpoint: number;
      /** Size of its manifest (docs/formats/raft-snapshot.md). */
      readonly manifestBytes: number;
      /** Of the replica that it is for: see `ReplicaDescriptor`. */
      readonly storeId: string | undefined;
    }
  /** For the node that offered it: bytes of a file of the checkpoint. */
  | {
      readonly type: 'readSnapshot';
      readonly shard: ShardId;
      readonly checkpoint: number;
      readonly file: string;
      readonly offset: number;
      readonly bytesMax: number;
    }
  /** Whether this replica, of the sender, still belongs to its group; and who leads that. */
  | { readonly type: 'askStanding'; readonly shard: ShardId; readonly replica: ReplicaId }
  /** For the shard's leader. Answered when these are its members. */
  | { readonly type: 'changeMembers'; readonly shard: ShardId; readonly members: WantedMembers }
  /** For the shard's leader. Answered when the node is what it is to be; the others stay what they are. */
  | ({ readonly type: 'changeMember' } & MemberWish)
  /** For the placement leader: the node is to get another data directory. `storeId`: by itself, as that one is damaged. */
  | { readonly type: 'replaceNode'; readonly node: NodeId; readonly storeId: string | undefined }
  /** For the placement leader: this node is to go, its replicas to others. `storeId`: the directory that is meant. */
  | { readonly type: 'removeNode'; readonly node: NodeId; readonly storeId: string | undefined }
  /** By the shard's leader, for the placement leader: who belongs to it. `isWanted`: as an operator has just wanted it. */
  | { readonly type: 'reportShard'; readonly descriptor: ShardDescriptor; readonly isWanted: boolean };

/** What a node is to be in a group. */
export interface MemberWish extends WantedMember {
  readonly shard: ShardId;
  /** The data directory that is in use on the node; undefined where none is. A replica that is to go is in another one. */
  readonly storeId: string | undefined;
  /** Of the shard's epoch, as it was known when this was decided: refused where the group has changed since. */
  readonly membership: number;
}

export type PeerResponse =
  /** One result for each operation, in order. */
  | { readonly type: 'executed'; readonly results: readonly OperationResult[] }
  | {
      readonly type: 'scannedPage';
      readonly records: readonly ScanRecord[];
      /** Where to go on (forward: first key not read; reverse: exclusive upper bound); undefined at the end. */
      readonly resume: Uint8Array | undefined;
    }
  /** `first` and the `count - 1` numbers after it. */
  | { readonly type: 'timestamps'; readonly first: Timestamp; readonly count: number }
  | { readonly type: 'registered' }
  | { readonly type: 'nodeStatus'; readonly status: LocalStatus }
  | { readonly type: 'snapshotTaken' }
  /** As many as there are, were asked for and fit; none at the end of the file. Masked CRC-32 of the bytes. */
  | { readonly type: 'snapshotChunk'; readonly bytes: Uint8Array; readonly checksum: number }
  | {
      readonly type: 'standing';
      /** By what a replica has applied on the node that was asked; undefined where none with data is there. */
      readonly group: { readonly isMember: boolean; readonly nextReplica: ReplicaId } | undefined;
      /** Who leads, as that replica hears. */
      readonly leader: NodeId | undefined;
    }
  | { readonly type: 'membersChanged' }
  /** The data directory that is out of use from now on; undefined where there was none any more. */
  | { readonly type: 'replacementBegun'; readonly storeId: string | undefined }
  | { readonly type: 'removalBegun' }
  | { readonly type: 'shardTaken' }
  /** The whole request failed. `leader` is where the sender might try instead. */
  | {
      readonly type: 'failed';
      readonly error: QuorateError;
      readonly leader: NodeId | undefined;
      /** Peer address of `leader`, for a node that joins and cannot know it. */
      readonly leaderAddress?: string | undefined;
    };

/** A node's own part of the cluster's status. */
export interface LocalStatus {
  readonly node: NodeId;
  readonly pid: number;
  readonly softwareVersion: string;
  readonly replicas: readonly LocalReplicaStatus[];
  /** Of the files of its log. */
  readonly logBytes: number;
  readonly snapshots: SnapshotTraffic;
}

export interface LocalReplicaStatus {
  readonly shard: ShardId;
  readonly leader: NodeId | undefined;
  readonly term: number;
  readonly appliedIndex: number;
  readonly commitIndex: number;
  readonly bytes: number;
  /** Of the shard's epoch, and who belongs to it, as of the last entry that was applied. */
  readonly membership: number;
  readonly members: readonly MemberStatus[];
}

export interface MemberStatus {
  readonly replica: ReplicaId;
  readonly node: NodeId;
  readonly role: MemberRole;
}
