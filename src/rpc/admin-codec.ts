/** The responses of proto/admin.proto; its requests are empty. */
import { emptyBytes } from '../base/bytes.js';
import type { NodeId } from '../base/ids.js';
import type { ClusterStatus, NodeAddress, NodeStatus, ReplicaStatus, ShardStatus, ToldShardMap } from './backend.js';
import { decodeNodeId, decodeReplicaId, decodeShardId, required } from './decode-ids.js';
import { nodeStageNumber, nodeStageOf } from './enums.js';
import { readEpoch, writeEpoch, zeroEpoch } from './epoch-codec.js';
import { roleNumber, roleOfNumber } from './membership-codec.js';
import { defaultMessageLimits, readMessageLimits, writeMessageLimits } from './message-limits.js';
import { readShardLocation, type ShardLocation, writeShardLocation } from './shard-location-codec.js';
import { noSnapshots, readSnapshotTraffic, writeSnapshotTraffic } from './snapshot-traffic-codec.js';
import { WireReader } from './wire-reader.js';
import { WireWriter } from './wire-writer.js';

export function encodeShardMap(map: ToldShardMap): Buffer {
  const writer = new WireWriter();
  writer.uint(1, map.revision);
  for (const node of map.nodes) {
    const mark = writer.begin(2);
    writer.uint(1, node.id);
    writer.text(2, node.clientAddress);
    writer.text(3, node.peerAddress);
    writer.end(mark);
  }
  for (const location of map.shards) {
    const mark = writer.begin(3);
    writeShardLocation(writer, location);
    writer.end(mark);
  }
  writeMessageLimits(writer, 4, map.messageLimits);
  return writer.finish();
}

/** Throws DecodeError. */
export function decodeShardMap(bytes: Uint8Array): ToldShardMap {
  let revision = 0;
  const nodes: NodeAddress[] = [];
  const shards: ShardLocation[] = [];
  let messageLimits = defaultMessageLimits;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        revision = reader.uint();
        break;
      case 2:
        nodes.push(readNodeAddress(reader.message()));
        break;
      case 3:
        shards.push(readShardLocation(reader.message()));
        break;
      case 4:
        messageLimits = readMessageLimits(reader.message());
        break;
      default:
        reader.skip();
    }
  }
  return { revision, nodes, shards, messageLimits };
}

function readNodeAddress(reader: WireReader): NodeAddress {
  let id = 0;
  let clientAddress = '';
  let peerAddress = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        id = reader.uint();
        break;
      case 2:
        clientAddress = reader.text();
        break;
      case 3:
        peerAddress = reader.text();
        break;
      default:
        reader.skip();
    }
  }
  return { id: decodeNodeId(id), clientAddress, peerAddress };
}

export function encodeClusterStatus(status: ClusterStatus): Buffer {
  const writer = new WireWriter();
  writer.text(1, status.clusterId);
  for (const node of status.nodes) {
    const mark = writer.begin(2);
    writer.uint(1, node.id);
    writer.text(2, node.clientAddress);
    writer.text(3, node.peerAddress);
    writer.uint(4, node.pid);
    writer.bool(5, node.live);
    writer.text(6, node.softwareVersion);
    writer.uint(7, node.logBytes);
    writeSnapshotTraffic(writer, 8, node.snapshots);
    writer.uint(9, nodeStageNumber(node.stage));
    writer.end(mark);
  }
  for (const shard of status.shards) {
    const mark = writer.begin(3);
    writeShardStatus(writer, shard);
    writer.end(mark);
  }
  const mark = writer.begin(4);
  writeShardStatus(writer, status.placement);
  writer.end(mark);
  return writer.finish();
}

function writeShardStatus(writer: WireWriter, shard: ShardStatus): void {
  writer.uint(1, shard.id);
  writer.bytes(2, shard.start);
  writer.bytes(3, shard.end);
  writeEpoch(writer, 4, shard.epoch);
  if (shard.leader !== undefined) writer.presentUint(5, shard.leader);
  writer.uint(6, shard.term);
  for (const replica of shard.replicas) {
    const mark = writer.begin(7);
    writer.uint(1, replica.node);
    writer.uint(2, replica.appliedIndex);
    writer.uint(3, replica.commitIndex);
    writer.bool(4, replica.live);
    writer.uint(5, replica.replica);
    writer.uint(6, roleNumber(replica.role));
    writer.end(mark);
  }
  writer.uint(8, shard.bytes);
}

/** Throws DecodeError. */
export function decodeClusterStatus(bytes: Uint8Array): ClusterStatus {
  let clusterId = '';
  const nodes: NodeStatus[] = [];
  const shards: ShardStatus[] = [];
  let placement: ShardStatus | undefined;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        clusterId = reader.text();
        break;
      case 2:
        nodes.push(readNodeStatus(reader.message()));
        break;
      case 3:
        shards.push(readShardStatus(reader.message()));
        break;
      case 4:
        placement = readShardStatus(reader.message());
        break;
      default:
        reader.skip();
    }
  }
  return { clusterId, nodes, shards, placement: required(placement, 'the placement group of a status') };
}

function readNodeStatus(reader: WireReader): NodeStatus {
  let id = 0;
  let clientAddress = '';
  let peerAddress = '';
  let pid = 0;
  let live = false;
  let softwareVersion = '';
  let logBytes = 0;
  let snapshots = noSnapshots;
  let stage: NodeStatus['stage'];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        id = reader.uint();
        break;
      case 2:
        clientAddress = reader.text();
        break;
      case 3:
        peerAddress = reader.text();
        break;
      case 4:
        pid = reader.uint();
        break;
      case 5:
        live = reader.bool();
        break;
      case 6:
        softwareVersion = reader.text();
        break;
      case 7:
        logBytes = reader.uint();
        break;
      case 8:
        snapshots = readSnapshotTraffic(reader.message());
        break;
      case 9:
        stage = nodeStageOf(reader.enumNumber());
        break;
      default:
        reader.skip();
    }
  }
  return { id: decodeNodeId(id), clientAddress, peerAddress, pid, live, softwareVersion, logBytes, snapshots, stage };
}

function readShardStatus(reader: WireReader): ShardStatus {
  let id = 0;
  let start = emptyBytes;
  let end = emptyBytes;
  let epoch = zeroEpoch;
  let leader: NodeId | undefined;
  let term = 0;
  const replicas: ReplicaStatus[] = [];
  let bytes = 0;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        id = reader.uint();
        break;
      case 2:
        start = reader.ownedBytes();
        break;
      case 3:
        end = reader.ownedBytes();
        break;
      case 4:
        epoch = readEpoch(reader.message());
        break;
      case 5:
        leader = decodeNodeId(reader.uint());
        break;
      case 6:
        term = reader.uint();
        break;
      case 7:
        replicas.push(readReplicaStatus(reader.message()));
        break;
      case 8:
        bytes = reader.uint();
        break;
      default:
        reader.skip();
    }
  }
  return { id: decodeShardId(id), start, end, epoch, leader, term, replicas, bytes };
}

function readReplicaStatus(reader: WireReader): ReplicaStatus {
  const [node, appliedIndex, commitIndex, live, replica, role] = reader.uints(6);
  const [id, of] = [decodeReplicaId(replica), roleOfNumber(role)];
  return { node: decodeNodeId(node), replica: id, role: of, appliedIndex, commitIndex, live: live !== 0 };
}
