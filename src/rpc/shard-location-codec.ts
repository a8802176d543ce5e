/** `ShardLocation` of proto/admin.proto: a shard as the map has it, and where its leader was last seen. */
import { emptyBytes } from '../base/bytes.js';
import type { NodeId, ReplicaId } from '../base/ids.js';
import { boundTo, type ReplicaDescriptor, withLearners } from '../shard/descriptor.js';
import type { ShardMapView } from './backend.js';
import { decodeNodeId, decodeReplicaId, decodeShardId } from './decode-ids.js';
import { readEpoch, writeEpoch, zeroEpoch } from './epoch-codec.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

export type ShardLocation = ShardMapView['shards'][number];

export function writeShardLocation(writer: WireWriter, { descriptor, leader }: ShardLocation): void {
  writer.uint(1, descriptor.shard);
  writer.bytes(2, descriptor.start);
  writer.bytes(3, descriptor.end);
  writeEpoch(writer, 4, descriptor.epoch);
  for (const { replica, node, storeId = '' } of descriptor.replicas) {
    const mark = writer.begin(5);
    writer.uint(1, replica);
    writer.uint(2, node);
    writer.text(3, storeId);
    writer.bool(4, descriptor.learners?.includes(replica) === true);
    writer.end(mark);
  }
  if (leader !== undefined) writer.presentUint(6, leader);
}

export function readShardLocation(reader: WireReader): ShardLocation {
  let shard = 0;
  let start = emptyBytes;
  let end = emptyBytes;
  let epoch = zeroEpoch;
  const replicas: ReplicaDescriptor[] = [];
  const learners: ReplicaId[] = [];
  let leader: NodeId | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        shard = reader.uint();
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
        replicas.push(readReplicaLocation(reader.message(), learners));
        break;
      case 6:
        leader = decodeNodeId(reader.uint());
        break;
      default:
        reader.skip();
    }
  }
  const descriptor = { shard: decodeShardId(shard), start, end, epoch, replicas };
  return { descriptor: withLearners(descriptor, learners), leader };
}

/** Adds it to `learners` if it is one. */
function readReplicaLocation(reader: WireReader, learners: ReplicaId[]): ReplicaDescriptor {
  let isLearner = false;
  let [replica, node] = [0, 0];
  let storeId = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        replica = reader.uint();
        break;
      case 2:
        node = reader.uint();
        break;
      case 3:
        storeId = reader.text();
        break;
      case 4:
        isLearner = reader.bool();
        break;
      default:
        reader.skip();
    }
  }
  const id = decodeReplicaId(replica);
  if (isLearner) learners.push(id);
  return boundTo({ replica: id, node: decodeNodeId(node) }, storeId);
}
