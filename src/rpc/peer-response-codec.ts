/** Responses between nodes as proto/peer.proto has them. */
import { unreachable } from '../base/assert.js';
import { DecodeError } from '../base/coding.js';
import type { QuorateError } from '../base/errors.js';
import type { NodeId } from '../base/ids.js';
import type { OperationResult } from '../mvcc/operations.js';
import type { ScanRecord } from './backend.js';
import { decodeNodeId, decodeShardId, decodeTimestamp, required } from './decode-ids.js';
import { readError, writeError } from './error-codec.js';
import type { LocalReplicaStatus, LocalStatus, MemberStatus, PeerResponse, ResponseFrame } from './peer-messages.js';
import { readMember, readStanding, writeMember, writeStanding } from './membership-codec.js';
import { readChunk, writeChunk } from './peer-snapshot-codec.js';
import { readRecord, writeRecords } from './record-codec.js';
import { readResult, writeResult } from './result-codec.js';
import { noSnapshots, readSnapshotTraffic, writeSnapshotTraffic } from './snapshot-traffic-codec.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

/** Field of `Response.body` by type. */
const bodyField: Readonly<Record<PeerResponse['type'], number>> = {
  executed: 2,
  scannedPage: 3,
  timestamps: 4,
  registered: 5,
  nodeStatus: 6,
  failed: 7,
  snapshotTaken: 14,
  snapshotChunk: 15,
  standing: 8,
  membersChanged: 9,
  shardTaken: 10,
  replacementBegun: 11,
  removalBegun: 12,
};

type Body<Type extends PeerResponse['type']> = Extract<PeerResponse, { readonly type: Type }>;

/** The fields of `Response`. */
export function writeResponseFrame(writer: WireWriter, frame: ResponseFrame): void {
  writer.uint(1, frame.id);
  const mark = writer.begin(bodyField[frame.body.type]);
  writeBody(writer, frame.body);
  writer.end(mark);
}

export function readResponseFrame(reader: WireReader): ResponseFrame {
  let id = 0;
  let body: PeerResponse | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        id = reader.uint();
        break;
      case 2:
        body = readExecuted(reader.message());
        break;
      case 3:
        body = readScannedPage(reader.message());
        break;
      case 4:
        body = readTimestamps(reader.message());
        break;
      case 5:
        reader.skip();
        body = { type: 'registered' };
        break;
      case 6:
        body = { type: 'nodeStatus', status: readLocalStatus(reader.message()) };
        break;
      case 7:
        body = readFailed(reader.message());
        break;
      case 14:
        reader.skip();
        body = { type: 'snapshotTaken' };
        break;
      case 15:
        body = readChunk(reader.message());
        break;
      case 8:
        body = readStanding(reader.message());
        break;
      case 9:
        reader.skip();
        body = { type: 'membersChanged' };
        break;
      case 10:
        reader.skip();
        body = { type: 'shardTaken' };
        break;
      case 11:
        body = readReplacementBegun(reader.message());
        break;
      case 12:
        reader.skip();
        body = { type: 'removalBegun' };
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'response', id, body: required(body, 'the body of a response') };
}

function writeBody(writer: WireWriter, body: PeerResponse): void {
  switch (body.type) {
    case 'executed':
      for (const result of body.results) {
        const mark = writer.begin(1);
        writeResult(writer, result);
        writer.end(mark);
      }
      return;
    case 'scannedPage':
      writeRecords(writer, 1, body.records);
      if (body.resume !== undefined) writer.presentBytes(2, body.resume);
      return;
    case 'timestamps':
      writer.uint(1, body.first);
      writer.uint(2, body.count);
      return;
    case 'registered':
    case 'snapshotTaken':
    case 'membersChanged':
    case 'shardTaken':
    case 'removalBegun':
      return;
    case 'replacementBegun':
      if (body.storeId !== undefined) writer.text(1, body.storeId);
      return;
    case 'standing':
      writeStanding(writer, body);
      return;
    case 'snapshotChunk':
      writeChunk(writer, body);
      return;
    case 'nodeStatus':
      writeLocalStatus(writer, body.status);
      return;
    case 'failed': {
      const mark = writer.begin(1);
      writeError(writer, body.error);
      writer.end(mark);
      if (body.leader !== undefined) writer.presentUint(2, body.leader);
      if (body.leaderAddress !== undefined) writer.text(3, body.leaderAddress);
      return;
    }
    default:
      unreachable(body);
  }
}

function readReplacementBegun(reader: WireReader): Body<'replacementBegun'> {
  let storeId: string | undefined;
  while (reader.next()) {
    if (reader.field === 1) storeId = reader.text();
    else reader.skip();
  }
  return { type: 'replacementBegun', storeId };
}

function readExecuted(reader: WireReader): Body<'executed'> {
  const results: OperationResult[] = [];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        results.push(readResult(reader.message()));
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'executed', results };
}

function readScannedPage(reader: WireReader): Body<'scannedPage'> {
  const records: ScanRecord[] = [];
  let resume: Uint8Array | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        records.push(readRecord(reader.message()));
        break;
      case 2:
        resume = reader.ownedBytes();
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'scannedPage', records, resume };
}

function readTimestamps(reader: WireReader): Body<'timestamps'> {
  const [first, count] = reader.uints(2);
  if (first < 1 || count < 1 || !Number.isSafeInteger(first + count)) {
    throw new DecodeError(`${count} timestamps from ${first} on`);
  }
  return { type: 'timestamps', first: decodeTimestamp(first), count };
}

function writeLocalStatus(writer: WireWriter, status: LocalStatus): void {
  writer.uint(1, status.node);
  writer.uint(2, status.pid);
  writer.text(3, status.softwareVersion);
  for (const replica of status.replicas) {
    const mark = writer.begin(4);
    writer.uint(1, replica.shard);
    if (replica.leader !== undefined) writer.presentUint(2, replica.leader);
    writer.uint(3, replica.term);
    writer.uint(4, replica.appliedIndex);
    writer.uint(5, replica.commitIndex);
    writer.uint(6, replica.bytes);
    writer.uint(7, replica.membership);
    for (const member of replica.members) writeMember(writer, 8, member);
    writer.end(mark);
  }
  writer.uint(5, status.logBytes);
  writeSnapshotTraffic(writer, 6, status.snapshots);
}

function readLocalStatus(reader: WireReader): LocalStatus {
  let node = 0;
  let pid = 0;
  let softwareVersion = '';
  const replicas: LocalReplicaStatus[] = [];
  let logBytes = 0;
  let snapshots = noSnapshots;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        node = reader.uint();
        break;
      case 2:
        pid = reader.uint();
        break;
      case 3:
        softwareVersion = reader.text();
        break;
      case 4:
        replicas.push(readReplica(reader.message()));
        break;
      case 5:
        logBytes = reader.uint();
        break;
      case 6:
        snapshots = readSnapshotTraffic(reader.message());
        break;
      default:
        reader.skip();
    }
  }
  return { node: decodeNodeId(node), pid, softwareVersion, replicas, logBytes, snapshots };
}

function readReplica(reader: WireReader): LocalReplicaStatus {
  let shard = 0;
  let leader: NodeId | undefined;
  let term = 0;
  let appliedIndex = 0;
  let commitIndex = 0;
  let bytes = 0;
  let membership = 0;
  const members: MemberStatus[] = [];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        shard = reader.uint();
        break;
      case 2:
        leader = decodeNodeId(reader.uint());
        break;
      case 3:
        term = reader.uint();
        break;
      case 4:
        appliedIndex = reader.uint();
        break;
      case 5:
        commitIndex = reader.uint();
        break;
      case 6:
        bytes = reader.uint();
        break;
      case 7:
        membership = reader.uint();
        break;
      case 8:
        members.push(readMember(reader.message()));
        break;
      default:
        reader.skip();
    }
  }
  return { shard: decodeShardId(shard), leader, term, appliedIndex, commitIndex, bytes, membership, members };
}

function readFailed(reader: WireReader): Body<'failed'> {
  let error: QuorateError | undefined;
  let leader: NodeId | undefined;
  let leaderAddress: string | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        error = readError(reader.message());
        break;
      case 2:
        leader = decodeNodeId(reader.uint());
        break;
      case 3:
        leaderAddress = reader.text();
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'failed', error: required(error, 'the error of a failed request'), leader, leaderAddress };
}
