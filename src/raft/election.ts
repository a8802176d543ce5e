/** Whom a replica votes for, as pure decisions. */
import type { ReplicaId, Term } from '../base/ids.js';
import type { RaftLog } from './raft-log.js';
import type { VoteRequest } from './types.js';

/** What a vote depends on besides the log. */
export interface VoterState {
  readonly term: Term;
  readonly vote: ReplicaId | 0;
  readonly leader: ReplicaId | 0;
  /** A leader, this replica or another, was heard of within the last minimal election timeout. */
  readonly hearsLeader: boolean;
}

/**
 * A replica that hears a live leader ignores whoever wants to replace it, its term too, unless the leader itself
 * asked for the election: so a replica that came back from a partition or was removed disturbs nobody.
 */
export function ignoresElection(voter: VoterState, request: VoteRequest): boolean {
  return request.term > voter.term && voter.hearsLeader && !request.transfer;
}

/** `request.term` is the voter's own here, or higher for a pre-vote. */
export function grantsVote(voter: VoterState, log: RaftLog, request: VoteRequest): boolean {
  const free =
    voter.vote === request.from ||
    (voter.vote === 0 && voter.leader === 0) ||
    (request.type === 'preVoteRequest' && request.term > voter.term);
  return free && log.isUpToDate(request.lastLogIndex, request.lastLogTerm);
}
