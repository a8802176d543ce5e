/** What a follower does with an append of its leader. */
import { defined } from '../base/assert.js';
import { LogIndex, Term } from '../base/ids.js';
import type { RaftLog } from './raft-log.js';
import type { AppendRequest, AppendResponse } from './types.js';

export type AppendAnswer = Pick<AppendResponse, 'logIndex' | 'rejected' | 'hintIndex' | 'hintTerm'>;

/** Takes the entries in and learns the commit index if the logs match where the append begins. */
export function takeAppend(log: RaftLog, request: AppendRequest): AppendAnswer {
  const { prevLogIndex, prevLogTerm, entries } = request;
  // Committed entries match those of every leader to come; a late append that begins before them has no news.
  if (prevLogIndex < log.commitIndex) return accepted(log.commitIndex);
  if (log.term(prevLogIndex) !== prevLogTerm) return rejected(log, request);
  log.merge(entries);
  const matchIndex = LogIndex(prevLogIndex + entries.length);
  log.commitTo(request.commit < matchIndex ? request.commit : matchIndex);
  return accepted(matchIndex);
}

/** The log is as the leader's up to `matchIndex`. */
export function accepted(matchIndex: LogIndex): AppendAnswer {
  return { logIndex: matchIndex, rejected: false, hintIndex: LogIndex(0), hintTerm: Term(0) };
}

/** The leader's entry before the append has `prevLogTerm`: no entry here of a higher term can match an earlier one. */
function rejected(log: RaftLog, { prevLogIndex, prevLogTerm }: AppendRequest): AppendAnswer {
  const hintIndex = log.lastIndexOfTermAtMost(prevLogIndex, prevLogTerm);
  const hintTerm = defined(log.term(hintIndex), `the term of entry ${hintIndex}`);
  return { logIndex: prevLogIndex, rejected: true, hintIndex, hintTerm };
}
