import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LogIndex, ReplicaId, Term } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { createConfiguration } from '../../src/raft/config.js';
import { logIndexMax, messageFault, type MessageReceiver, termAdvanceMax } from '../../src/raft/message-fault.js';
import type {
  AppendRequest,
  AppendResponse,
  Entry,
  Heartbeat,
  RaftMessage,
  VoteRequest,
} from '../../src/raft/types.js';
import { anyConfiguration } from './naive-quorum.js';
import { TestReplica } from './replica.js';

const [self, peer, other] = [1, 2, 3].map(ReplicaId);
const address = { from: peer, to: self, term: Term(5) };

/** In term 5: a log of ten entries, of which eight are committed, the last of them in term 3. */
const follower: MessageReceiver = {
  role: 'follower',
  term: Term(5),
  leader: peer,
  lastIndex: LogIndex(10),
  commitIndex: LogIndex(8),
  commitTerm: Term(3),
  readRound: 4,
};
const leader: MessageReceiver = { ...follower, role: 'leader', leader: self };

function entries(first: number, terms: readonly number[]): Entry[] {
  return terms.map((term, i) => ({ index: LogIndex(first + i), term: Term(term), data: new Uint8Array(0) }));
}

function append(prevIndex: number, prevTerm: number, terms: readonly number[], term = 5): AppendRequest {
  return {
    type: 'appendRequest',
    ...address,
    term: Term(term),
    prevLogIndex: LogIndex(prevIndex),
    prevLogTerm: Term(prevTerm),
    entries: entries(prevIndex + 1, terms),
    commit: LogIndex(99),
  };
}

function heartbeat(commit: number, leaderCommit = 0, term = 5): Heartbeat {
  const indexes = { commit: LogIndex(commit), leaderCommit: LogIndex(leaderCommit) };
  return { type: 'heartbeat', ...address, term: Term(term), ...indexes, probe: 0, readRound: 0, quiesce: false };
}

function answer(logIndex: number, changes: Partial<AppendResponse> = {}): AppendResponse {
  const hint = { hintIndex: LogIndex(0), hintTerm: Term(0) };
  return { type: 'appendResponse', ...address, logIndex: LogIndex(logIndex), rejected: false, ...hint, ...changes };
}

function rejection(logIndex: number, hintIndex: number): AppendResponse {
  return answer(logIndex, { rejected: true, hintIndex: LogIndex(hintIndex), hintTerm: Term(1) });
}

function vote(type: VoteRequest['type'], term: number, lastLogTerm: number): VoteRequest {
  const log = { lastLogIndex: LogIndex(50), lastLogTerm: Term(lastLogTerm) };
  return { type, ...address, term: Term(term), ...log, transfer: false };
}

const unknown = { commit: LogIndex(0), commitTerm: Term(0) };

function snapshot(index: number, term: number): RaftMessage {
  const configuration = createConfiguration({ voters: [self, peer, other] });
  return { type: 'snapshotRequest', ...address, snapshot: { index: LogIndex(index), term: Term(term), configuration } };
}

function confirmation(readRound: number, term = 5): RaftMessage {
  return { type: 'heartbeatResponse', ...address, term: Term(term), readRound, probe: 0, quiet: false };
}

describe('no correct peer sends', () => {
  test.each<[string, RaftMessage, MessageReceiver, string]>([
    ['term 0', { type: 'timeoutNow', ...address, term: Term(0) }, follower, 'of term 0'],
    ['a term out of reach', confirmation(0, 6 + termAdvanceMax), follower, 'is in term 5'],
    ['a pre-vote request from a log of its own term', vote('preVoteRequest', 6, 6), follower, 'ends in term 6'],
    ['a vote request from a log of a later term', vote('voteRequest', 6, 7), follower, 'ends in term 7'],
    ['an append that begins before the first entry in some term', append(0, 1, []), follower, 'after index 0'],
    [
      'entries with a gap',
      { ...append(9, 3, []), entries: [...entries(10, [4]), ...entries(12, [4])] },
      follower,
      'entry 12 after entry 10',
    ],
    ['entries that do not follow', { ...append(9, 3, []), entries: entries(11, [4]) }, follower, 'after entry 9'],
    ['entries of descending terms', append(9, 3, [5, 4]), follower, 'of term 4 after one of term 5'],
    ['an entry of an earlier term than the one before', append(9, 4, [3]), follower, 'of term 3 after one of term 4'],
    ['an entry of term 0', append(0, 0, [0], 5), follower, 'of term 0'],
    [
      'an entry of a later term than the leader',
      append(9, 3, [6]),
      follower,
      'append of term 5 with entry 10 of term 6',
    ],
    ['an append after an entry of a later term', append(9, 6, []), follower, 'append of term 5 with entry 9 of term 6'],
    ['entries beyond the last index', append(logIndexMax, 3, [4]), follower, 'beyond 4503599627370496'],
    ['a snapshot beyond the last index', snapshot(logIndexMax + 1, 4), follower, 'beyond 4503599627370496'],
    ['an append that takes back what is committed', append(9, 2, []), follower, 'is committed'],
    ['an append that contradicts what is committed', append(8, 4, []), follower, 'is committed'],
    ['an append of a second leader', append(9, 3, []), { ...follower, leader: other }, 'which replica 3 leads'],
    ['an append to the leader of the term', append(9, 3, []), leader, 'which replica 1 leads'],
    ['a heartbeat of a second leader', heartbeat(0), { ...follower, leader: other }, 'which replica 3 leads'],
    ['a heartbeat that commits what is not here', heartbeat(11), follower, 'ends at 10'],
    ['the same in a later term', heartbeat(11, 0, 6), follower, 'ends at 10'],
    ['a heartbeat that commits more than its leader', heartbeat(9, 8), follower, 'has committed up to 8'],
    ['a snapshot of a later term than its leader', snapshot(12, 6), follower, 'from a leader of term 5'],
    ['a snapshot that takes back what is committed', snapshot(12, 2), follower, 'is committed'],
    ['a snapshot of a second leader', snapshot(12, 5), { ...follower, leader: other }, 'which replica 3 leads'],
    [
      'a refusal by one that takes back what is committed',
      { type: 'voteResponse', ...address, granted: false, commit: LogIndex(9), commitTerm: Term(2) },
      follower,
      'is committed',
    ],
    ['an acknowledgement of what was never sent', answer(11), leader, "leader's log ends at 10"],
    ['a rejection of what was never sent', rejection(11, 3), leader, "leader's log ends at 10"],
    ['a rejection with a hint beyond it', rejection(9, 10), leader, 'hint 10 beyond it'],
    ['a confirmation of a round that never began', confirmation(5), leader, 'the newest is 4'],
  ])('%s', (_what, message, receiver, reason) => {
    expect(messageFault(message, receiver)).toContain(reason);
  });
});

describe('a correct peer can send', () => {
  test.each<[string, RaftMessage, MessageReceiver]>([
    ['an append that matches', append(10, 5, [5, 5]), follower],
    ['one before what is committed', append(2, 1, [1, 1]), follower],
    ['one that replaces what is not committed', append(8, 3, [4, 5]), follower],
    ['one far beyond the log', append(99, 5, [5]), follower],
    ['one of a new leader', append(8, 3, [4, 6], 6), { ...follower, leader: other }],
    ['one to the leader of an earlier term', append(10, 5, [6], 6), leader],
    ['the first append', append(0, 0, [1], 5), follower],
    ['a snapshot', snapshot(12, 5), follower],
    ['an old snapshot', snapshot(2, 1), follower],
    ['a late append of an earlier leader', append(9, 2, [3], 4), { ...follower, leader: other }],
    ['a late heartbeat that commits what was replaced since', heartbeat(11, 0, 4), follower],
    ['a heartbeat of a leader that has committed nothing in its term', heartbeat(8, 0), follower],
    ['a heartbeat when no leader is known', heartbeat(10, 12), { ...follower, leader: 0 }],
    ['an acknowledgement of all', answer(10), leader],
    ['a late acknowledgement to whoever leads no more', answer(11), follower],
    ['a late acknowledgement of an earlier term', { ...answer(11), term: Term(4) }, leader],
    ['a confirmation of the newest round', confirmation(4), leader],
    ['a late confirmation of a round of an earlier start', confirmation(9, 4), leader],
    ['a vote of a replica that was away for long', vote('voteRequest', 5_000_000, 5), follower],
    [
      'a late vote for a campaign that was forgotten',
      { type: 'preVoteResponse', ...address, term: Term(8), granted: true, ...unknown },
      follower,
    ],
  ])('%s', (_what, message, receiver) => {
    expect(messageFault(message, receiver)).toBeUndefined();
  });
});

/** Numbers near what the replica below has, and far from it. */
const number = fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 6 }) }, { weight: 1, arbitrary: fc.maxSafeNat() });
const index = number.map(LogIndex);
const term = number.map(Term);
const anyAddress = { from: fc.constantFrom(peer, other), to: fc.constant(self), term };
const anyEntries = fc.array(
  fc.record({ index: fc.nat({ max: 8 }).map(LogIndex), term, data: fc.constant(new Uint8Array(0)) }),
  { maxLength: 3 },
);
const anyMessage: fc.Arbitrary<RaftMessage> = fc.oneof(
  fc.record({
    type: fc.constantFrom('preVoteRequest' as const, 'voteRequest' as const),
    ...anyAddress,
    lastLogIndex: index,
    lastLogTerm: term,
    transfer: fc.boolean(),
  }),
  fc.record({
    type: fc.constantFrom('preVoteResponse' as const, 'voteResponse' as const),
    ...anyAddress,
    granted: fc.boolean(),
    commit: index,
    commitTerm: term,
  }),
  fc.record({
    type: fc.constant('appendRequest' as const),
    ...anyAddress,
    prevLogIndex: index,
    prevLogTerm: term,
    entries: anyEntries,
    commit: index,
  }),
  fc.record({
    type: fc.constant('appendResponse' as const),
    ...anyAddress,
    logIndex: index,
    rejected: fc.boolean(),
    hintIndex: index,
    hintTerm: term,
  }),
  fc.record({
    type: fc.constant('heartbeat' as const),
    ...anyAddress,
    commit: index,
    leaderCommit: index,
    probe: number,
    readRound: number,
    quiesce: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('heartbeatResponse' as const),
    ...anyAddress,
    readRound: number,
    probe: number,
    quiet: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('snapshotRequest' as const),
    ...anyAddress,
    snapshot: fc.record({ index: index.filter((value) => value > 0), term, configuration: anyConfiguration }),
  }),
  fc.record({ type: fc.constant('timeoutNow' as const), ...anyAddress }),
);
/** `current`: of the receiver's term. `inOrder`: the entries follow each other. Both at random would hardly happen. */
const messageAction: fc.Arbitrary<Sent> = fc.record({
  message: anyMessage,
  current: fc.boolean(),
  inOrder: fc.boolean(),
});
const action = fc.oneof(
  { weight: 6, arbitrary: messageAction },
  { weight: 1, arbitrary: fc.constantFrom('lead' as const, 'propose' as const, 'read' as const, 'dropLog' as const) },
);

interface Sent {
  readonly message: RaftMessage;
  readonly current: boolean;
  readonly inOrder: boolean;
}

function prepared({ message, current, inOrder }: Sent, now: Term): RaftMessage {
  const term = current ? Term(Math.max(1, now)) : message.term;
  if (message.type !== 'appendRequest' || !inOrder || message.prevLogIndex > 99) return { ...message, term };
  const { prevLogIndex, entries } = message;
  return {
    ...message,
    term,
    entries: entries.map((entry, i) => ({ ...entry, index: LogIndex(prevLogIndex + 1 + i) })),
  };
}

/** Has the replica win an election, unless it leads. */
function lead({ raft }: TestReplica, run: () => void): void {
  raft.campaign();
  run();
  const grant = { from: peer, to: self, granted: true, commit: raft.commitIndex, commitTerm: raft.commitTerm };
  if (raft.role === 'preCandidate') raft.step({ type: 'preVoteResponse', ...grant, term: Term(raft.term + 1) });
  run();
  if (raft.role === 'candidate') raft.step({ type: 'voteResponse', ...grant, term: raft.term });
}

function dropLog(replica: TestReplica): void {
  replica.flush();
  replica.dropLogTo(replica.appliedIndex);
}

test('whatever passes breaks no assertion of the core', () => {
  let [passed, refused] = [0, 0];
  const nothing = (): void => undefined;
  const surroundings = {
    send: nothing,
    onReady: nothing,
    onSynced: nothing,
    onApplied: nothing,
    onSnapshotWanted: nothing,
  };
  const settings = {
    configuration: createConfiguration({ voters: [self, peer, other] }),
    electionTicksMin: 10,
    electionTicksMax: 20,
    heartbeatTicks: 2,
    appendBytesMax: 100,
    appendsInFlightMax: 4,
    uncommittedBytesMax: 1000,
    commitNoticeTicks: 0,
    quiesceTicks: 5,
    lease: undefined,
  };
  fc.assert(
    fc.property(fc.array(action, { minLength: 1, maxLength: 40 }), fc.integer(), (actions, seed) => {
      const replica = new TestReplica(self, settings, new Prng(seed), surroundings);
      const { raft } = replica;
      const run = (): void => replica.run();
      for (const each of actions) {
        if (each === 'lead') lead(replica, run);
        else if (each === 'propose') raft.propose(new Uint8Array(3));
        else if (each === 'read') raft.requestRead();
        else if (each === 'dropLog') dropLog(replica);
        else {
          const message = prepared(each, raft.term);
          const fault = messageFault(message, raft);
          if (fault === undefined) raft.step(message);
          if (fault === undefined) passed++;
          else refused++;
        }
        run();
      }
    }),
    { numRuns: 10_000 },
  );
  // Both happen often, or the test says little.
  expect(Math.min(passed, refused)).toBeGreaterThan(15_000);
});
