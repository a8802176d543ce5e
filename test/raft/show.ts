/** Readable one-line forms of what the core says, for traces. */
import { fromUtf8 } from '../../src/base/bytes.js';
import type { Entry, HardState, RaftMessage, SoftState } from '../../src/raft/types.js';
import { showConfiguration } from './configuration-text.js';
import type { RaftStatus } from '../../src/raft/status.js';

export function showEntry(entry: Entry): string {
  return `${entry.index}/t${entry.term}${entry.data.length === 0 ? '' : `=${fromUtf8(entry.data)}`}`;
}

export function showEntries(entries: readonly Entry[]): string {
  return `[${entries.map(showEntry).join(' ')}]`;
}

export function showHardState({ term, vote, commit }: HardState): string {
  return `term ${term} vote ${vote === 0 ? '-' : vote} commit ${commit}`;
}

export function showSoftState({ role, term, leader }: SoftState): string {
  return `${role} in term ${term}, leader ${leader === 0 ? '-' : leader}`;
}

export function showMessage(message: RaftMessage): string {
  return `${message.from}>${message.to} ${message.type} t${message.term}${showBody(message)}`;
}

function showBody(message: RaftMessage): string {
  switch (message.type) {
    case 'preVoteRequest':
    case 'voteRequest':
      return ` last ${message.lastLogIndex}/t${message.lastLogTerm}${message.transfer ? ' transfer' : ''}`;
    case 'preVoteResponse':
    case 'voteResponse':
      return message.granted ? ' granted' : ` refused commit ${message.commit}/t${message.commitTerm}`;
    case 'appendRequest': {
      const { prevLogIndex, prevLogTerm, entries, commit } = message;
      return ` after ${prevLogIndex}/t${prevLogTerm} ${showEntries(entries)} commit ${commit}`;
    }
    case 'appendResponse':
      if (!message.rejected) return ` has ${message.logIndex}`;
      return ` rejects ${message.logIndex} hint ${message.hintIndex}/t${message.hintTerm}`;
    case 'heartbeat':
      return ` commit ${message.commit} of ${message.leaderCommit}${message.readRound === 0 ? '' : ` round ${message.readRound}`}${message.quiesce ? ' quiesce' : ''}`;
    case 'heartbeatResponse':
      return `${message.readRound === 0 ? '' : ` round ${message.readRound}`}${message.quiet ? ' quiet' : ''}`;
    case 'snapshotRequest': {
      const { index, term, configuration } = message.snapshot;
      return ` ${index}/t${term} ${showConfiguration(configuration)}`;
    }
    case 'timeoutNow':
      return '';
  }
}

export function showStatus(status: RaftStatus): string[] {
  const { self, isQuiet, firstIndex, lastIndex, stableIndex, commitIndex, appliedIndex } = status;
  const transfer = status.transferTarget === 0 ? '' : `, handing over to ${status.transferTarget}`;
  return [
    `${self} is ${showSoftState(status)}${transfer}: log ${firstIndex}..${lastIndex}, durable ${stableIndex}, committed ${commitIndex}, applied ${appliedIndex}${isQuiet ? ', quiet' : ''}`,
    ...status.followers.map(
      ({ replica, state, matchIndex, nextIndex, appendsInFlight, pinnedIndex, active }) =>
        `  ${replica}: ${state} match ${matchIndex} next ${nextIndex} in flight ${appendsInFlight}${pinnedIndex === 0 ? '' : ` pinned ${pinnedIndex}`}${active ? '' : ' silent'}`,
    ),
  ];
}
