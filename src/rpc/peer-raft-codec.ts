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

const typeOfField: ReadonlyMap<number, RaftMessage['type']> = new Map(
  (Object.keys(messageField) as RaftMessage['type'][]).map((type) => [messageField[type], type]),
);

type Address = Pick<RaftMessage, 'from' | 'to' | 'term'>;

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
  let type: RaftMessage['type'] | undefined;
  let body = reader;
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
      default: {
        const named = typeOfField.get(reader.field);
        if (named === undefined) {
          reader.skip();
        } else {
          type = named;
          body = reader.message();
        }
      }
    }
  }
  const address = { from: decodeReplicaId(from), to: decodeReplicaId(to), term: Term(term) };
  return { shard: decodeShardId(shard), message: readMessage(body, required(type, 'a Raft message'), address) };
}

/** Each message is made at once, with its fields in the order in which the core makes it: then both are alike to V8. */
function readMessage(reader: WireReader, type: RaftMessage['type'], address: Address): RaftMessage {
  switch (type) {
    case 'preVoteRequest':
    case 'voteRequest':
      return readVoteRequest(reader, type, address);
    case 'preVoteResponse':
    case 'voteResponse':
      return readVoteResponse(reader, type, address);
    case 'appendRequest':
      return readAppendRequest(reader, address);
    case 'appendResponse':
      return readAppendResponse(reader, address);
    case 'heartbeat':
      return readHeartbeat(reader, address);
    case 'heartbeatResponse':
      return readHeartbeatResponse(reader, address);
    case 'timeoutNow':
      return { type, ...address };
    case 'snapshotRequest':
      return { type, ...address, snapshot: readSnapshot(reader) };
    default:
      return unreachable(type);
  }
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

function readVoteRequest(reader: WireReader, type: VoteRequest['type'], { from, to, term }: Address): VoteRequest {
  const [lastLogIndex, lastLogTerm, transfer] = reader.uints(3);
  return {
    type,
    from,
    to,
    term,
    lastLogIndex: LogIndex(lastLogIndex),
    lastLogTerm: Term(lastLogTerm),
    transfer: transfer !== 0,
  };
}

function readVoteResponse(reader: WireReader, type: VoteResponse['type'], { from, to, term }: Address): VoteResponse {
  const [granted, commit, commitTerm] = reader.uints(3);
  return { type, from, to, term, granted: granted !== 0, commit: LogIndex(commit), commitTerm: Term(commitTerm) };
}

function readAppendRequest(reader: WireReader, { from, to, term }: Address): AppendRequest {
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
    from,
    to,
    term,
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

function readAppendResponse(reader: WireReader, { from, to, term }: Address): AppendResponse {
  const [logIndex, rejected, hintIndex, hintTerm] = reader.uints(4);
  return {
    type: 'appendResponse',
    from,
    to,
    term,
    logIndex: LogIndex(logIndex),
    rejected: rejected !== 0,
    hintIndex: LogIndex(hintIndex),
    hintTerm: Term(hintTerm),
  };
}

function readHeartbeat(reader: WireReader, { from, to, term }: Address): Heartbeat {
  const [commit, readRound, leaderCommit, probe, quiesce] = reader.uints(5);
  return {
    type: 'heartbeat',
    from,
    to,
    term,
    commit: LogIndex(commit),
    leaderCommit: LogIndex(leaderCommit),
    probe,
    readRound,
    quiesce: quiesce !== 0,
  };
}

function readHeartbeatResponse(reader: WireReader, { from, to, term }: Address): HeartbeatResponse {
  const [readRound, probe, quiet] = reader.uints(3);
  return { type: 'heartbeatResponse', from, to, term, readRound, probe, quiet: quiet !== 0 };
}
