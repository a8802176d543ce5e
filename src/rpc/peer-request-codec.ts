/** Requests between nodes as proto/peer.proto has them. */
import { unreachable } from '../base/assert.js';
import { emptyBytes } from '../base/bytes.js';
import { DecodeError } from '../base/coding.js';
import { Term } from '../base/ids.js';
import type { Operation } from '../mvcc/operations.js';
import { decodeNodeId, decodeReplicaId, decodeShardId, decodeTimestamp, required } from './decode-ids.js';
import { consistencyNumber, consistencyOf, type Consistency } from './enums.js';
import { readEpoch, writeEpoch, zeroEpoch } from './epoch-codec.js';
import { wholeMs } from './error-codec.js';
import { readOperation, writeOperation } from './operation-codec.js';
import { type PeerRequest, type RequestFrame, timestampsPerRequestMax } from './peer-messages.js';
import {
  readAskStanding,
  readChangeMember,
  readReportShard,
  readWantedMembers,
  writeChangeMember,
  writeReportShard,
  writeWantedMembers,
} from './membership-codec.js';
import { readOffer, readSnapshotRead, writeOffer, writeSnapshotRead } from './peer-snapshot-codec.js';
import { requireRequestId } from './request-id-codec.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

/** Field of `Request.body` by type. */
const bodyField: Readonly<Record<PeerRequest['type'], number>> = {
  execute: 3,
  scanPage: 4,
  timestamps: 5,
  registerNode: 6,
  nodeStatus: 7,
  offerSnapshot: 14,
  readSnapshot: 15,
  askStanding: 8,
  changeMembers: 9,
  reportShard: 10,
  changeMember: 11,
  replaceNode: 12,
  removeNode: 13,
};

type Body<Type extends PeerRequest['type']> = Extract<PeerRequest, { readonly type: Type }>;

/** The fields of `Request`. A timeout is rounded up to whole milliseconds. */
export function writeRequestFrame(writer: WireWriter, frame: RequestFrame): void {
  writer.uint(1, frame.id);
  writer.uint(2, wholeMs(frame.timeoutMs));
  const mark = writer.begin(bodyField[frame.body.type]);
  writeBody(writer, frame.body);
  writer.end(mark);
  writer.bool(16, frame.relay);
}

export function readRequestFrame(reader: WireReader): RequestFrame {
  let id = 0;
  let timeoutMs = 0;
  let relay = false;
  let body: PeerRequest | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        id = reader.uint();
        break;
      case 2:
        timeoutMs = reader.uint32();
        break;
      case 3:
        body = readExecute(reader.message());
        break;
      case 4:
        body = readScanPage(reader.message());
        break;
      case 5:
        body = readTimestamps(reader.message());
        break;
      case 6:
        body = readRegisterNode(reader.message());
        break;
      case 7:
        reader.skip();
        body = { type: 'nodeStatus' };
        break;
      case 14:
        body = readOffer(reader.message());
        break;
      case 15:
        body = readSnapshotRead(reader.message());
        break;
      case 8:
        body = readAskStanding(reader.message());
        break;
      case 9:
        body = { type: 'changeMembers', ...readWantedMembers(reader.message()) };
        break;
      case 10:
        body = readReportShard(reader.message());
        break;
      case 11:
        body = readChangeMember(reader.message());
        break;
      case 12:
        body = { type: 'replaceNode', ...readNodeAndStore(reader.message()) };
        break;
      case 13:
        body = { type: 'removeNode', ...readNodeAndStore(reader.message()) };
        break;
      case 16:
        relay = reader.bool();
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'request', id, timeoutMs, relay, body: required(body, 'the body of a request') };
}

function writeBody(writer: WireWriter, body: PeerRequest): void {
  switch (body.type) {
    case 'execute':
      writer.uint(1, body.shard);
      writeEpoch(writer, 2, body.epoch);
      for (const operation of body.operations) {
        const mark = writer.begin(3);
        writeOperation(writer, operation);
        writer.end(mark);
      }
      return;
    case 'scanPage':
      writer.uint(1, body.shard);
      writeEpoch(writer, 2, body.epoch);
      writer.bytes(3, body.start);
      writer.bytes(4, body.end);
      writer.uint(5, body.at);
      writer.bool(6, body.reverse);
      writer.bool(7, body.keysOnly);
      writer.uint(8, body.bytesMax);
      writer.uint(9, body.recordsMax);
      writer.uint(10, consistencyNumber(body.consistency));
      return;
    case 'timestamps':
      writer.uint(1, body.count);
      if (body.voucher === undefined) return;
      writer.uint(2, body.voucher.replica);
      writer.uint(3, body.voucher.term);
      return;
    case 'registerNode':
      writer.uint(1, body.node);
      writer.text(2, body.storeId);
      writer.text(3, body.clientAddress);
      writer.text(4, body.peerAddress);
      return;
    case 'nodeStatus':
      return;
    case 'offerSnapshot':
      writeOffer(writer, body);
      return;
    case 'readSnapshot':
      writeSnapshotRead(writer, body);
      return;
    case 'askStanding':
      writer.uint(1, body.shard);
      writer.uint(2, body.replica);
      return;
    case 'changeMembers':
      writeWantedMembers(writer, body);
      return;
    case 'reportShard':
      writeReportShard(writer, body);
      return;
    case 'changeMember':
      writeChangeMember(writer, body);
      return;
    case 'replaceNode':
    case 'removeNode':
      writer.uint(1, body.node);
      writer.text(2, body.storeId ?? '');
      return;
    default:
      unreachable(body);
  }
}

function readExecute(reader: WireReader): Body<'execute'> {
  let shard = 0;
  let epoch = zeroEpoch;
  const operations: Operation[] = [];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        shard = reader.uint();
        break;
      case 2:
        epoch = readEpoch(reader.message());
        break;
      case 3:
        operations.push(readOperation(reader.message(), requireRequestId));
        break;
      default:
        reader.skip();
    }
  }
  if (operations.length === 0) throw new DecodeError('a request for no operations');
  return { type: 'execute', shard: decodeShardId(shard), epoch, operations };
}

function readScanPage(reader: WireReader): Body<'scanPage'> {
  let shard = 0;
  let epoch = zeroEpoch;
  let start = emptyBytes;
  let end = emptyBytes;
  let at = 0;
  let reverse = false;
  let keysOnly = false;
  let bytesMax = 0;
  let recordsMax = 0;
  let consistency: Consistency = 'linearizable';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        shard = reader.uint();
        break;
      case 2:
        epoch = readEpoch(reader.message());
        break;
      case 3:
        start = reader.ownedBytes();
        break;
      case 4:
        end = reader.ownedBytes();
        break;
      case 5:
        at = reader.uint();
        break;
      case 6:
        reverse = reader.bool();
        break;
      case 7:
        keysOnly = reader.bool();
        break;
      case 8:
        bytesMax = reader.uint();
        break;
      case 9:
        recordsMax = reader.uint();
        break;
      case 10:
        consistency = consistencyOf(reader.enumNumber());
        break;
      default:
        reader.skip();
    }
  }
  return {
    type: 'scanPage',
    shard: decodeShardId(shard),
    epoch,
    start,
    end,
    at: decodeTimestamp(at),
    reverse,
    keysOnly,
    bytesMax,
    recordsMax,
    consistency,
  };
}

function readTimestamps(reader: WireReader): Body<'timestamps'> {
  const [count, replica, term] = reader.uints(3);
  if (count < 1 || count > timestampsPerRequestMax) {
    throw new DecodeError(`a request for ${count} timestamps, not 1 to ${timestampsPerRequestMax}`);
  }
  const voucher = replica === 0 ? undefined : { replica: decodeReplicaId(replica), term: Term(term) };
  return { type: 'timestamps', count, voucher };
}

function readNodeAndStore(reader: WireReader): Omit<Body<'replaceNode'>, 'type'> {
  let [node, storeId] = [0, ''];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        node = reader.uint();
        break;
      case 2:
        storeId = reader.text();
        break;
      default:
        reader.skip();
    }
  }
  return { node: decodeNodeId(node), storeId: storeId === '' ? undefined : storeId };
}

function readRegisterNode(reader: WireReader): Body<'registerNode'> {
  let node = 0;
  let storeId = '';
  let clientAddress = '';
  let peerAddress = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        node = reader.uint();
        break;
      case 2:
        storeId = reader.text();
        break;
      case 3:
        clientAddress = reader.text();
        break;
      case 4:
        peerAddress = reader.text();
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'registerNode', node: decodeNodeId(node), storeId, clientAddress, peerAddress };
}
