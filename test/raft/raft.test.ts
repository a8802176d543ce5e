/** Single situations that scripts cannot bring about: forged, foreign and impossible input, and the edges of limits. */
import { describe, expect, test } from 'vitest';
import { emptyBytes, utf8 } from '../../src/base/bytes.js';
import { LogIndex, ReplicaId, Term } from '../../src/base/ids.js';
import type { RaftMessage } from '../../src/raft/types.js';
import { appendRequest, Bench, peer, self, stableAfterLateSyncs, start, unknown } from './bench.js';
import { newHardState, TestLog } from './replica.js';

describe('raft', () => {
  test('answers of replicas outside of the group have no effect, whatever their term', () => {
    const bench = new Bench();
    bench.lead();
    const stranger = { from: ReplicaId(9), to: self, term: Term(7) };
    const hint = { hintIndex: LogIndex(0), hintTerm: Term(0) };
    bench.raft.step({ type: 'heartbeatResponse', ...stranger, readRound: 0, probe: 0, quiet: false });
    bench.raft.step({ type: 'appendResponse', ...stranger, logIndex: LogIndex(1), rejected: false, ...hint });
    bench.raft.step({ type: 'preVoteResponse', ...stranger, granted: false, ...unknown });
    bench.raft.step({ type: 'voteResponse', ...stranger, granted: true, ...unknown });
    expect(bench.raft.hasReady()).toBe(false);
    expect(bench.raft.term).toBe(1);
  });

  test('a late tick has a leader speak at once, and neither it nor a follower give anybody up for it', () => {
    const leader = new Bench();
    leader.lead();
    leader.raft.tick();
    expect(leader.raft.hasReady()).toBe(false);
    leader.raft.tick(6);
    expect(leader.take().messages).toMatchObject([{ type: 'heartbeat' }, { type: 'heartbeat' }]);
    for (let i = 0; i < 7; i++) leader.raft.tick(100);
    expect(leader.raft.role).toBe('leader');

    const follower = new Bench();
    follower.append(1, start, []);
    for (let i = 0; i < 9; i++) follower.raft.tick(100);
    expect(follower.raft.role).toBe('follower');
  });

  test('a message to another replica is a bug of the host', () => {
    expect(() => {
      new Bench().raft.step({ ...appendRequest(1, start, []), to: peer });
    }).toThrow('reached 1');
  });

  test('two leaders in one term stop the replica', () => {
    const { raft } = new Bench();
    raft.step(appendRequest(1, start, [1]));
    expect(() => {
      raft.step({ ...appendRequest(1, start, []), from: ReplicaId(3) });
    }).toThrow('two leaders');
  });

  test('a request to take over counts of the leader only, who gave up its lease before: voters heed a candidate that was asked', () => {
    const bench = new Bench();
    const askedBy = (from: number, term: number): void =>
      bench.raft.step({ type: 'timeoutNow', from: ReplicaId(from), to: self, term: Term(term) });
    bench.append(1, start, [1], 1);
    bench.raft.synced(bench.take().syncPoint);
    bench.take();
    askedBy(3, 1);
    expect([bench.raft.role, bench.raft.term]).toEqual(['follower', 1]);
    // Nor of whoever says that it leads in a later term, of which nothing was heard yet.
    askedBy(peer, 2);
    expect([bench.raft.role, bench.raft.term]).toEqual(['follower', 2]);
    bench.append(2, { index: 1, term: 1 }, [], 1);
    askedBy(peer, 2);
    expect([bench.raft.role, bench.raft.term]).toEqual(['candidate', 3]);
  });

  test('nothing leaves before the sync that it relies on, even if the answer adds nothing to write', () => {
    const bench = new Bench();
    bench.append(1, start, [1]);
    const first = bench.take();
    expect(first.mustSync).toBe(true);
    expect(first.messages).toEqual([]);
    expect(first.messagesAfterSync).toMatchObject([{ type: 'appendResponse', logIndex: 1 }]);
    // The same append again: nothing to write, but what it acknowledges is not durable yet.
    bench.append(1, start, [1]);
    expect(bench.raft.hasReady()).toBe(false);
    const second = bench.take();
    expect(second).toMatchObject({ mustSync: false, messages: [], messagesAfterSync: [] });
    bench.raft.synced(second.syncPoint);
    expect(bench.raft.hasReady()).toBe(false);
    expect(bench.raft.status().stableIndex).toBe(0);
    bench.raft.synced(first.syncPoint);
    expect(bench.take().messages).toMatchObject([{ type: 'appendResponse', logIndex: 1 }]);
  });

  test('entries that were replaced and came back are durable only when they were written again', () => {
    expect(stableAfterLateSyncs()).toEqual([0, 0, 2]);
  });

  test('a sync point counts once, and one that was never handed out is a bug of the host', () => {
    const bench = new Bench();
    bench.append(1, start, [1]);
    const { syncPoint } = bench.take();
    bench.raft.synced(syncPoint);
    bench.raft.synced(syncPoint);
    expect(() => {
      bench.raft.synced({ ...syncPoint, sequence: 2 });
    }).toThrow('never asked for');
  });

  test('a follower commits no further than what an append has shown to match', () => {
    const bench = new Bench();
    bench.append(1, start, [1, 1, 1]);
    // The leader of term 2 has committed three entries, and this replica's second and third need not be among them.
    bench.append(2, { index: 1, term: 1 }, [], 3);
    expect(bench.raft.commitIndex).toBe(1);
    bench.append(2, { index: 1, term: 1 }, [2], 3);
    expect(bench.raft.commitIndex).toBe(2);
  });

  test('acknowledgements that wait for one sync leave as one', () => {
    const bench = new Bench();
    bench.append(1, start, [1]);
    bench.append(1, { index: 1, term: 1 }, [1]);
    bench.append(1, { index: 2, term: 1 }, [1]);
    expect(bench.take().messagesAfterSync).toMatchObject([{ logIndex: 3 }]);
  });

  test('while the disk stalls, answers that wait are bounded', () => {
    const bench = new Bench();
    bench.append(1, start, [1]);
    const { syncPoint } = bench.take();
    // Alternating refusals, so that none covers the one before.
    for (let i = 0; i < 1000; i++) bench.append(1, { index: 5 + (i % 2), term: 1 }, []);
    bench.raft.synced(syncPoint);
    expect(bench.take().messages).toHaveLength(12);
  });

  test('a grant for an earlier campaign does not count for the current one', () => {
    const { raft } = new Bench({ hardState: { ...newHardState, term: Term(5) } });
    raft.campaign();
    raft.step({ type: 'preVoteResponse', from: peer, to: self, term: Term(5), granted: true, ...unknown });
    expect(raft.role).toBe('preCandidate');
    raft.step({ type: 'preVoteResponse', from: peer, to: self, term: Term(6), granted: true, ...unknown });
    expect(raft.role).toBe('candidate');
  });

  test('answers to read rounds count for the term only in which they were asked', () => {
    const bench = new Bench();
    bench.lead();
    const answer = (term: number, readRound = 1): RaftMessage => ({
      type: 'heartbeatResponse',
      from: peer,
      to: self,
      term: Term(term),
      readRound,
      probe: 0,
      quiet: false,
    });
    expect(bench.raft.requestRead()).toEqual({ type: 'accepted', round: 1 });
    expect(bench.raft.requestRead()).toEqual({ type: 'accepted', round: 1 });
    const { messages } = bench.take();
    expect(messages.filter(({ type }) => type === 'heartbeat')).toHaveLength(2);
    bench.raft.step(answer(0));
    expect(bench.take().readStates).toEqual([]);
    bench.raft.step(answer(1));
    expect(bench.take().readStates).toEqual([{ round: 1, index: 1 }]);
    // A round that was given out when leadership was lost is never given out again, nor is one that had begun answered.
    expect(bench.raft.requestRead()).toEqual({ type: 'accepted', round: 2 });
    bench.take();
    expect(bench.raft.requestRead()).toEqual({ type: 'accepted', round: 3 });
    bench.append(2, { index: 1, term: 1 }, [], 1);
    const lost = bench.take();
    expect(lost).toMatchObject({ readsLost: true, readStates: [] });
    bench.raft.synced(lost.syncPoint);
    bench.lead();
    expect(bench.raft.requestRead()).toEqual({ type: 'accepted', round: 4 });
    bench.take();
    bench.raft.step(answer(bench.raft.term, 4));
    expect(bench.take().readStates).toMatchObject([{ round: 4 }]);
  });

  test('a voucher counts for a leader of the same term, of a voter, and where the two of them are a quorum', () => {
    const bench = new Bench();
    const voucher = { replica: peer, term: Term(1) };
    expect(bench.raft.isVouchedBy(voucher)).toBe(false);
    bench.lead();
    expect(bench.raft.isVouchedBy(voucher)).toBe(true);
    expect(bench.raft.isVouchedBy({ ...voucher, term: Term(0) })).toBe(false);
    // Whoever was in a later term may have voted for another leader.
    expect(bench.raft.isVouchedBy({ ...voucher, term: Term(2) })).toBe(false);
    expect(bench.raft.isVouchedBy({ ...voucher, replica: ReplicaId(9) })).toBe(false);
    expect(bench.raft.isVouchedBy({ ...voucher, replica: self })).toBe(false);
    bench.append(2, { index: 1, term: 1 }, [], 1);
    expect(bench.raft.isVouchedBy({ ...voucher, term: Term(2) })).toBe(false);
  });

  test('rounds that nobody answers are bounded; later reads share the next one', () => {
    const bench = new Bench();
    bench.lead();
    const rounds: unknown[] = [];
    for (let i = 0; i < 6; i++) {
      rounds.push(bench.raft.requestRead());
      bench.take();
    }
    expect(rounds.map((read) => (read as { round: number }).round)).toEqual([1, 2, 3, 4, 5, 5]);
    const confirm = {
      type: 'heartbeatResponse',
      from: peer,
      to: self,
      term: bench.raft.term,
      probe: 0,
      quiet: false,
    } as const;
    bench.raft.step({ ...confirm, readRound: 4 });
    expect(bench.take().readStates.map(({ round }) => round)).toEqual([1, 2, 3, 4]);
    bench.raft.step({ ...confirm, readRound: 5 });
    expect(bench.take().readStates.map(({ round }) => round)).toEqual([5]);
  });

  test('one proposal is admitted whatever its size, and more only within the limit', () => {
    const bench = new Bench();
    bench.lead();
    expect(bench.raft.propose(new Uint8Array(5000))).toMatchObject({ type: 'accepted', index: 2 });
    expect(bench.raft.propose(emptyBytes)).toEqual({ type: 'refused', reason: 'overloaded' });
    const { syncPoint } = bench.take();
    bench.acknowledge(2);
    // Committed needs this replica's disk or another follower; memory is free when it is durable here too.
    expect(bench.raft.propose(emptyBytes)).toEqual({ type: 'refused', reason: 'overloaded' });
    bench.raft.synced(syncPoint);
    expect(bench.raft.propose(emptyBytes)).toMatchObject({ type: 'accepted', index: 3 });
  });

  test('entries read from disk are ignored unless they are what was asked for', () => {
    const bench = new Bench();
    bench.lead();
    bench.raft.propose(utf8('a'));
    bench.raft.synced(bench.take().syncPoint);
    bench.acknowledge(2);
    bench.take();
    const entries = bench.log.all.slice(1);
    bench.raft.entriesRead(peer, entries);
    bench.raft.entriesRead(ReplicaId(9), entries);
    bench.raft.entriesRead(peer, []);
    expect(bench.raft.hasReady()).toBe(false);
  });

  test('a replica that restarts with committed entries tells the host to apply them', () => {
    const log = new TestLog();
    log.write(appendRequest(1, start, [1, 1, 1]).entries);
    const hardState = { term: Term(1), vote: 0, commit: LogIndex(2) } as const;
    const { raft } = new Bench({ log, hardState, appliedIndex: LogIndex(1) });
    expect(raft.hasReady()).toBe(true);
    expect(raft.takeReady()).toMatchObject({ commitIndex: 2, hardState: undefined, mustSync: false });
    expect(raft.hasReady()).toBe(false);
    expect(() => {
      raft.applied(LogIndex(3));
    }).toThrow('before it was committed');
  });

  test.each([
    { options: { heartbeatTicks: 10 }, message: 'heartbeatTicks' },
    { options: { heartbeatTicks: 0 }, message: 'heartbeatTicks' },
    { options: { electionTicksMax: 9 }, message: 'electionTicksMin' },
    { options: { appendsInFlightMax: 0 }, message: 'appendsInFlightMax' },
    { options: { appliedIndex: LogIndex(1) }, message: 'the log ends at 0' },
  ])('options that cannot work are refused: $message', ({ options, message }) => {
    expect(() => new Bench(options)).toThrow(message);
  });
});
