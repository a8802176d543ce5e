/** Raft messages as proto/peer.proto has them. */
import { assert, unreachable } from '../base/assert.js';
import { copyBytes, emptyBytes } from '../base/bytes.js';
import { DecodeError } from '../base/coding.js';
import { LogIndex, Term } from '../base/ids.js';
import type {
  AppendRequest,
  AppendResponse,
  Entry,
  Heartbeat,
  HeartbeatResponse,
  RaftMessage,
  VoteRequest,
  VoteResponse,
} from '../raft/types.js';
import { readSnapshot, writeSnapshot } from './configuration-codec.js';
import { decodeReplicaId, decodeShardId, required } from './decode-ids.js';
import type { RaftFrame, ShardMessage } from './peer-messages.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

/** Field of `ShardMessage.message` by type. */
const messageField: Readonly<Record<RaftMessage['type'], number>> = {
  preVoteRequest: 5,
  voteRequest: 6,
  preVoteResponse: 7,
  voteResponse: 8,
  appendRequest: 9,
  appendResponse: 10,
  heartbeat: 11,
  heartbeatResponse: 12,
  timeoutNow: 13,
  snapshotRequest: 14,
};

/** A message as its own part of the wire has it, until sender, receiver and term are known. */
type Unaddressed<Message> = Message extends RaftMessage ? Omit<Message, 'from' | 'to' | 'term'> : never;

/** The fields of `Raft`. */
export function writeRaftFrame(writer: WireWriter, frame: RaftFrame): void {
  for (const { shard, message } of frame.messages) {
    const mark = writer.begin(1);
    writer.uint(1, shard);
    writer.uint(2, message.from);
    writer.uint(3, message.to);
    writer.uint(4, message.term);
    const body = writer.begin(messageField[message.type]);
    writeBody(writer, message);
    writer.end(body);
    writer.end(mark);
  }
}

export function readRaftFrame(reader: WireReader): RaftFrame {
  const messages: ShardMessage[] = [];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        messages.push(readShardMessage(reader.message()));
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'raft', messages };
}

function readShardMessage(reader: WireReader): ShardMessage {
  let shard = 0;
  let from = 0;
  let to = 0;
  let term = 0;
  let body: Unaddressed<RaftMessage> | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        shard = reader.uint();
        break;
      case 2:
        from = reader.uint();
        break;
      case 3:
        to = reader.uint();
        break;
      case 4:
        term = reader.uint();
        break;
      case 5:
        body = readVoteRequest(reader.message(), 'preVoteRequest');
        break;
      case 6:
        body = readVoteRequest(reader.message(), 'voteRequest');
        break;
      case 7:
        body = readVoteResponse(reader.message(), 'preVoteResponse');
        break;
      case 8:
        body = readVoteResponse(reader.message(), 'voteResponse');
        break;
      case 9:
        body = readAppendRequest(reader.message());
        break;
      case 10:
        body = readAppendResponse(reader.message());
        break;
      case 11:
        body = readHeartbeat(reader.message());
        break;
      case 12:
        body = readHeartbeatResponse(reader.message());
        break;
      case 13:
        reader.skip();
        body = { type: 'timeoutNow' };
        break;
      case 14:
        body = { type: 'snapshotRequest', snapshot: readSnapshot(reader.message()) };
        break;
      default:
        reader.skip();
    }
  }
  const message = {
    ...required(body, 'a Raft message'),
    from: decodeReplicaId(from),
    to: decodeReplicaId(to),
    term: Term(term),
  };
  return { shard: decodeShardId(shard), message };
}

function writeBody(writer: WireWriter, message: RaftMessage): void {
  switch (message.type) {
    case 'preVoteRequest':
    case 'voteRequest':
      writer.uint(1, message.lastLogIndex);
      writer.uint(2, message.lastLogTerm);
      writer.bool(3, message.transfer);
      return;
    case 'preVoteResponse':
    case 'voteResponse':
      writer.bool(1, message.granted);
      writer.uint(2, message.commit);
      writer.uint(3, message.commitTerm);
      return;
    case 'appendRequest':
      writer.uint(1, message.prevLogIndex);
      writer.uint(2, message.prevLogTerm);
      writeEntries(writer, message.entries, message.prevLogIndex);
      writer.uint(4, message.commit);
      return;
    case 'appendResponse':
      writer.uint(1, message.logIndex);
      writer.bool(2, message.rejected);
      writer.uint(3, message.hintIndex);
      writer.uint(4, message.hintTerm);
      return;
    case 'heartbeat':
      writer.uint(1, message.commit);
      writer.uint(2, message.readRound);
      writer.uint(3, message.leaderCommit);
      writer.uint(4, message.probe);
      writer.bool(5, message.quiesce);
      return;
    case 'heartbeatResponse':
      writer.uint(1, message.readRound);
      writer.uint(2, message.probe);
      writer.bool(3, message.quiet);
      return;
    case 'snapshotRequest':
      writeSnapshot(writer, message.snapshot);
      return;
    case 'timeoutNow':
      return;
    default:
      unreachable(message);
  }
}

function writeEntries(writer: WireWriter, entries: readonly Entry[], prevLogIndex: LogIndex): void {
  let previous: number = prevLogIndex;
  for (const { term, index, data } of entries) {
    assert(index === previous + 1, `entry ${index} follows ${previous}`);
    previous = index;
    const mark = writer.begin(3);
    writer.uint(1, term);
    writer.uint(2, index);
    writer.bytes(3, data);
    writer.end(mark);
  }
}

function readVoteRequest(reader: WireReader, type: VoteRequest['type']): Unaddressed<VoteRequest> {
  const [lastLogIndex, lastLogTerm, transfer] = reader.uints(3);
  return { type, lastLogIndex: LogIndex(lastLogIndex), lastLogTerm: Term(lastLogTerm), transfer: transfer !== 0 };
}

function readVoteResponse(reader: WireReader, type: VoteResponse['type']): Unaddressed<VoteResponse> {
  const [granted, commit, commitTerm] = reader.uints(3);
  return { type, granted: granted !== 0, commit: LogIndex(commit), commitTerm: Term(commitTerm) };
}

function readAppendRequest(reader: WireReader): Unaddressed<AppendRequest> {
  let prevLogIndex = 0;
  let prevLogTerm = 0;
  let commit = 0;
  const entries: Entry[] = [];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        prevLogIndex = reader.uint();
        break;
      case 2:
        prevLogTerm = reader.uint();
        break;
      case 3:
        entries.push(readEntry(reader.message()));
        break;
      case 4:
        commit = reader.uint();
        break;
      default:
        reader.skip();
    }
  }
  for (let i = 0; i < entries.length; i++) {
    const { index } = entries[i];
    if (index !== prevLogIndex + 1 + i) throw new DecodeError(`entry ${index} follows ${prevLogIndex + i}`);
  }
  return {
    type: 'appendRequest',
    prevLogIndex: LogIndex(prevLogIndex),
    prevLogTerm: Term(prevLogTerm),
    entries,
    commit: LogIndex(commit),
  };
}

function readEntry(reader: WireReader): Entry {
  let term = 0;
  let index = 0;
  let data = emptyBytes;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        term = reader.uint();
        break;
      case 2:
        index = reader.uint();
        break;
      case 3:
        // In memory of its own: a log's cache keeps it for long, and counts its bytes.
        data = copyBytes(reader.viewedBytes());
        break;
      default:
        reader.skip();
    }
  }
  return { term: Term(term), index: LogIndex(index), data };
}

function readAppendResponse(reader: WireReader): Unaddressed<AppendResponse> {
  const [logIndex, rejected, hintIndex, hintTerm] = reader.uints(4);
  return {
    type: 'appendResponse',
    logIndex: LogIndex(logIndex),
    rejected: rejected !== 0,
    hintIndex: LogIndex(hintIndex),
    hintTerm: Term(hintTerm),
  };
}

function readHeartbeat(reader: WireReader): Unaddressed<Heartbeat> {
  const [commit, readRound, leaderCommit, probe, quiesce] = reader.uints(5);
  return {
    type: 'heartbeat',
    commit: LogIndex(commit),
    readRound,
    leaderCommit: LogIndex(leaderCommit),
    probe,
    quiesce: quiesce !== 0,
  };
}

function readHeartbeatResponse(reader: WireReader): Unaddressed<HeartbeatResponse> {
  const [readRound, probe, quiet] = reader.uints(3);
  return { type: 'heartbeatResponse', readRound, probe, quiet: quiet !== 0 };
}
