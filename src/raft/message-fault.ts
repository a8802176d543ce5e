/**
 * Which messages no correct peer sends. Looked at before a message reaches the core, whose assertions are about this
 * program: what a peer sends must not be able to break them.
 *
 * Refused is only what cannot happen however messages are delayed, repeated, reordered or lost and replicas restart,
 * as long as terms, votes and acknowledged entries are durable before they are told. So what is compared with the
 * receiver's own state are messages of its term or a later one; those of lower terms mean nothing to it and pass.
 */
import { unreachable } from '../base/assert.js';
import type { LogIndex, ReplicaId, Term } from '../base/ids.js';
import type { AppendRequest, AppendResponse, Heartbeat, RaftMessage, Role, SnapshotRequest } from './types.js';

/** What a message is compared with. A `Raft` is one. */
export interface MessageReceiver {
  readonly role: Role;
  readonly term: Term;
  /** 0 when unknown. */
  readonly leader: ReplicaId | 0;
  readonly lastIndex: LogIndex;
  readonly commitIndex: LogIndex;
  /** Term of the entry at `commitIndex`. */
  readonly commitTerm: Term;
  /** The newest ReadIndex round that began here. */
  readonly readRound: number;
}

/** As many elections do not happen while a replica is away; terms near 2^53 would leave no room for the next. */
export const termAdvanceMax = 2 ** 32;

/** As many entries are not written in a lifetime; indexes near 2^53 would leave no room for the next. */
export const logIndexMax = 2 ** 52;

/** What is wrong with `message`; undefined when a correct peer can have sent it. */
export function messageFault(message: RaftMessage, receiver: MessageReceiver): string | undefined {
  if (message.term === 0) return `a ${message.type} of term 0`;
  return faultAlone(message) ?? (message.term < receiver.term ? undefined : faultHere(message, receiver));
}

/** Whatever the receiver's state. */
function faultAlone(message: RaftMessage): string | undefined {
  switch (message.type) {
    case 'preVoteRequest':
    case 'voteRequest':
      // A candidate's log has no entry of the term that it campaigns in.
      if (message.lastLogTerm < message.term) return undefined;
      return `a ${message.type} of term ${message.term} from a log that ends in term ${message.lastLogTerm}`;
    case 'appendRequest':
      return entriesFault(message);
    case 'appendResponse':
      if (!message.rejected || message.hintIndex <= message.logIndex) return undefined;
      return `a rejection at index ${message.logIndex} with the hint ${message.hintIndex} beyond it`;
    case 'heartbeat':
      if (message.leaderCommit === 0 || message.commit <= message.leaderCommit) return undefined;
      return `a heartbeat with commit index ${message.commit} of a leader that has committed up to ${message.leaderCommit}`;
    case 'snapshotRequest':
      return snapshotFault(message);
    case 'preVoteResponse':
    case 'voteResponse':
    case 'heartbeatResponse':
    case 'timeoutNow':
      return undefined;
    default:
      return unreachable(message);
  }
}

function entriesFault({ term, prevLogIndex, prevLogTerm, entries }: AppendRequest): string | undefined {
  if (prevLogIndex === 0 && prevLogTerm !== 0) return `an append after index 0, of term ${prevLogTerm}`;
  let [lastIndex, lastTerm]: [number, number] = [prevLogIndex, prevLogTerm];
  for (const entry of entries) {
    if (entry.index !== lastIndex + 1) return `entry ${entry.index} after entry ${lastIndex}`;
    if (entry.term < lastTerm || entry.term === 0) {
      return `entry ${entry.index} of term ${entry.term} after one of term ${lastTerm}`;
    }
    [lastIndex, lastTerm] = [entry.index, entry.term];
  }
  if (lastIndex > logIndexMax) return `an append up to index ${lastIndex}, beyond ${logIndexMax}`;
  return lastTerm <= term ? undefined : `an append of term ${term} with entry ${lastIndex} of term ${lastTerm}`;
}

function snapshotFault({ term, snapshot }: SnapshotRequest): string | undefined {
  if (snapshot.index > logIndexMax) return `a snapshot of index ${snapshot.index}, beyond ${logIndexMax}`;
  return snapshot.term <= term ? undefined : `a snapshot of term ${snapshot.term} from a leader of term ${term}`;
}

/** For a message of the receiver's term or a later one. */
function faultHere(message: RaftMessage, receiver: MessageReceiver): string | undefined {
  if (message.term - receiver.term > termAdvanceMax) {
    return `a ${message.type} of term ${message.term}, when this replica is in term ${receiver.term}`;
  }
  switch (message.type) {
    case 'appendRequest':
      return (
        leaderFault(message, receiver) ?? matchFault(message.prevLogIndex, message.prevLogTerm, 'an append', receiver)
      );
    case 'snapshotRequest':
      return (
        leaderFault(message, receiver) ??
        matchFault(message.snapshot.index, message.snapshot.term, 'a snapshot', receiver)
      );
    case 'heartbeat':
      if (message.commit > receiver.lastIndex) {
        return `a heartbeat with commit index ${message.commit}, when what was acknowledged ends at ${receiver.lastIndex}`;
      }
      return leaderFault(message, receiver);
    case 'appendResponse':
      return answerFault(message, receiver);
    case 'heartbeatResponse':
      if (!leadsIn(message.term, receiver) || message.readRound <= receiver.readRound) return undefined;
      return `an answer to read round ${message.readRound}, when the newest is ${receiver.readRound}`;
    case 'preVoteResponse':
    case 'voteResponse':
      return matchFault(message.commit, message.commitTerm, 'a vote', receiver);
    case 'preVoteRequest':
    case 'voteRequest':
    case 'timeoutNow':
      return undefined;
    default:
      return unreachable(message);
  }
}

function leadsIn(term: Term, receiver: MessageReceiver): boolean {
  return receiver.role === 'leader' && receiver.term === term;
}

/** One term has one leader. */
function leaderFault(
  { from, term }: AppendRequest | Heartbeat | SnapshotRequest,
  receiver: MessageReceiver,
): string | undefined {
  const { leader } = receiver;
  if (term !== receiver.term || leader === 0 || leader === from) return undefined;
  return `replica ${from} leads in term ${term}, which replica ${leader} leads`;
}

/** Every later leader has what is committed here, so the terms of its log do not fall below it from there on. */
function matchFault(index: LogIndex, term: Term, what: string, receiver: MessageReceiver): string | undefined {
  const { commitIndex, commitTerm } = receiver;
  const agrees = index === commitIndex ? term === commitTerm : term >= commitTerm;
  if (index < commitIndex || agrees) return undefined;
  return `${what} after entry ${index} of term ${term}, when entry ${commitIndex} of term ${commitTerm} is committed`;
}

function answerFault({ logIndex, rejected, term }: AppendResponse, receiver: MessageReceiver): string | undefined {
  if (!leadsIn(term, receiver) || logIndex <= receiver.lastIndex) return undefined;
  const what = rejected ? 'a rejection' : 'an acknowledgement';
  return `${what} of entry ${logIndex}, when the leader's log ends at ${receiver.lastIndex}`;
}
