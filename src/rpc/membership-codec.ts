/** Who is to belong to a shard and who does, as proto/admin.proto and proto/peer.proto have it. */
import { DecodeError } from '../base/coding.js';
import { QuorateError } from '../base/errors.js';
import type { NodeId } from '../base/ids.js';
import { type MemberRole, membersFault } from '../shard/member-changes.js';
import type { WantedReplicas } from './backend.js';
import { decodeNodeId, decodeReplicaId, decodeShardId, required } from './decode-ids.js';
import type { MemberStatus, PeerRequest, PeerResponse } from './peer-messages.js';
import { readShardLocation, type ShardLocation, writeShardLocation } from './shard-location-codec.js';
import { WireReader } from './wire-reader.js';
import { WireWriter } from './wire-writer.js';

type Body<Type extends PeerRequest['type']> = Extract<PeerRequest, { readonly type: Type }>;
type Standing = Extract<PeerResponse, { readonly type: 'standing' }>;

/** A `ChangeReplicasRequest`. Throws INVALID_ARGUMENT for members that no shard can have. */
export function encodeWantedMembers(wanted: WantedReplicas): Buffer {
  const fault = membersFault(wanted, wanted.members);
  if (fault !== undefined) throw new QuorateError('INVALID_ARGUMENT', fault);
  const writer = new WireWriter();
  writeWantedMembers(writer, wanted);
  return writer.finish();
}

/** The fields of `ChangeMembers` and of `ChangeReplicasRequest`. */
export function writeWantedMembers(writer: WireWriter, { shard, members }: WantedReplicas): void {
  writer.uint(1, shard);
  const write = (nodes: readonly NodeId[], isLearner: boolean): void => {
    for (const node of nodes) {
      const mark = writer.begin(2);
      writer.uint(1, node);
      writer.bool(2, isLearner);
      writer.end(mark);
    }
  };
  write(members.voters, false);
  write(members.learners, true);
}

/** A `ChangeReplicasRequest`. Throws DecodeError. */
export function decodeWantedMembers(bytes: Uint8Array): WantedReplicas {
  return readWantedMembers(new WireReader(bytes));
}

export function readWantedMembers(reader: WireReader): WantedReplicas {
  let shard = 0;
  const voters: NodeId[] = [];
  const learners: NodeId[] = [];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        shard = reader.uint();
        break;
      case 2: {
        const [node, isLearner] = reader.message().uints(2);
        (isLearner === 0 ? voters : learners).push(decodeNodeId(node));
        break;
      }
      default:
        reader.skip();
    }
  }
  const members = { voters, learners };
  const id = decodeShardId(shard);
  const fault = membersFault({ shard: id }, members);
  if (fault !== undefined) throw new DecodeError(`replicas: ${fault}`);
  return { shard: id, members };
}

const roles: readonly MemberRole[] = ['voter', 'learner', 'incoming', 'outgoing'];

export function roleNumber(role: MemberRole): number {
  return roles.indexOf(role);
}

/** A role that this release does not know is that of a learner: nothing is counted on it. */
export function roleOfNumber(number: number): MemberRole {
  return roles.at(number) ?? 'learner';
}

/** As the nested message `field`. */
export function writeMember(writer: WireWriter, field: number, { replica, node, role }: MemberStatus): void {
  const mark = writer.begin(field);
  writer.uint(1, replica);
  writer.uint(2, node);
  writer.uint(3, roleNumber(role));
  writer.end(mark);
}

export function readMember(reader: WireReader): MemberStatus {
  const [replica, node, role] = reader.uints(3);
  return { replica: decodeReplicaId(replica), node: decodeNodeId(node), role: roleOfNumber(role) };
}

/** The fields of `AskStanding`. */
export function readAskStanding(reader: WireReader): Body<'askStanding'> {
  const [shard, replica] = reader.uints(2);
  return { type: 'askStanding', shard: decodeShardId(shard), replica: decodeReplicaId(replica) };
}

/** The fields of `ChangeMember`. */
export function writeChangeMember(writer: WireWriter, wish: Body<'changeMember'>): void {
  const { shard, node, role, storeId, instead, membership } = wish;
  writer.uint(1, shard);
  writer.uint(2, node);
  writer.bool(3, role === 'voter');
  writer.bool(4, role === 'learner');
  writer.text(5, storeId ?? '');
  for (const other of instead) writer.uint(6, other);
  writer.uint(7, membership);
}

export function readChangeMember(reader: WireReader): Body<'changeMember'> {
  let [shard, node, membership] = [0, 0, 0];
  const instead: NodeId[] = [];
  let role: Body<'changeMember'>['role'] = 'none';
  let storeId = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        shard = reader.uint();
        break;
      case 2:
        node = reader.uint();
        break;
      case 3:
        if (reader.bool()) role = 'voter';
        break;
      case 4:
        if (reader.bool()) role = 'learner';
        break;
      case 5:
        storeId = reader.text();
        break;
      case 6:
        instead.push(decodeNodeId(reader.uint()));
        break;
      case 7:
        membership = reader.uint();
        break;
      default:
        reader.skip();
    }
  }
  return {
    type: 'changeMember',
    shard: decodeShardId(shard),
    node: decodeNodeId(node),
    role,
    storeId: storeId === '' ? undefined : storeId,
    instead,
    membership,
  };
}

/** A `ReplaceNodeRequest`, or a `RemoveNodeRequest`. */
export function encodeNodeRequest(node: NodeId): Buffer {
  const writer = new WireWriter();
  writer.uint(1, node);
  return writer.finish();
}

/** Throws DecodeError. */
export function decodeNodeRequest(bytes: Uint8Array): NodeId {
  const [node] = new WireReader(bytes).uints(1);
  return decodeNodeId(node);
}

/** The fields of `ReportShard`. */
export function writeReportShard(writer: WireWriter, { descriptor, isWanted }: Body<'reportShard'>): void {
  const mark = writer.begin(1);
  writeShardLocation(writer, { descriptor, leader: undefined });
  writer.end(mark);
  writer.bool(2, isWanted);
}

export function readReportShard(reader: WireReader): Body<'reportShard'> {
  let location: ShardLocation | undefined;
  let isWanted = false;
  while (reader.next()) {
    if (reader.field === 1) location = readShardLocation(reader.message());
    else if (reader.field === 2) isWanted = reader.bool();
    else reader.skip();
  }
  const { descriptor } = required(location, 'the shard of a report');
  if (descriptor.replicas.length === 0) throw new DecodeError('a report of a shard without replicas');
  return { type: 'reportShard', descriptor, isWanted };
}

/** The fields of `Standing`. */
export function writeStanding(writer: WireWriter, { group, leader }: Standing): void {
  if (group !== undefined) {
    const mark = writer.begin(1);
    writer.bool(1, group.isMember);
    writer.uint(2, group.nextReplica);
    writer.end(mark);
  }
  if (leader !== undefined) writer.presentUint(2, leader);
}

export function readStanding(reader: WireReader): Standing {
  let group: Standing['group'];
  let leader: NodeId | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1: {
        const [isMember, nextReplica] = reader.message().uints(2);
        group = { isMember: isMember !== 0, nextReplica: decodeReplicaId(nextReplica) };
        break;
      }
      case 2:
        leader = decodeNodeId(reader.uint());
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'standing', group, leader };
}
