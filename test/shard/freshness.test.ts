import { describe, expect, test } from 'vitest';
import { LogIndex, ReplicaId, Term } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import type { Heartbeat } from '../../src/raft/types.js';
import { Freshness } from '../../src/shard/freshness.js';

function heartbeat(probe: number, leaderCommit: number): Heartbeat {
  return {
    type: 'heartbeat',
    from: ReplicaId(1),
    to: ReplicaId(2),
    term: Term(1),
    commit: LogIndex(0),
    leaderCommit: LogIndex(leaderCommit),
    probe,
    readRound: 0,
    quiesce: false,
  };
}

const make = (seed = 1): Freshness => new Freshness(new Prng(seed));

describe('freshness', () => {
  test('is of the time when the probe was drawn, not when it came back', () => {
    const freshness = make();
    expect(freshness.asOfMs).toBe(-Infinity);
    const probe = freshness.probe(100);
    freshness.heard(heartbeat(probe, 5), LogIndex(5));
    expect(freshness.asOfMs).toBe(100);
  });

  test('a probe stays the same, and of its time, until it comes back', () => {
    const freshness = make();
    const probe = freshness.probe(100);
    expect(freshness.probe(900)).toBe(probe);
    freshness.heard(heartbeat(probe, 5), LogIndex(5));
    expect(freshness.asOfMs).toBe(100);
    expect(freshness.probe(1000)).not.toBe(probe);
  });

  test.each([
    ['none', 0],
    ['one of an earlier life', make(2).probe(0)],
  ])('a heartbeat with %s proves nothing', (_what, probe) => {
    const freshness = make();
    freshness.probe(100);
    freshness.heard(heartbeat(probe, 5), LogIndex(5));
    expect(freshness.asOfMs).toBe(-Infinity);
  });

  test('a probe proves once', () => {
    const freshness = make();
    const first = freshness.probe(100);
    freshness.heard(heartbeat(first, 5), LogIndex(5));
    freshness.probe(200);
    freshness.heard(heartbeat(first, 5), LogIndex(5));
    expect(freshness.asOfMs).toBe(100);
  });

  test('what the leader has committed must be applied first', () => {
    const freshness = make();
    freshness.heard(heartbeat(freshness.probe(100), 7), LogIndex(5));
    freshness.applied(LogIndex(6));
    expect(freshness.asOfMs).toBe(-Infinity);
    // A later proof does not put off an earlier one.
    freshness.heard(heartbeat(freshness.probe(200), 9), LogIndex(6));
    freshness.applied(LogIndex(7));
    expect(freshness.asOfMs).toBe(100);
    freshness.heard(heartbeat(freshness.probe(300), 9), LogIndex(9));
    expect(freshness.asOfMs).toBe(300);
  });

  test('a leader that does not know what is committed proves nothing', () => {
    const freshness = make();
    freshness.heard(heartbeat(freshness.probe(100), 0), LogIndex(5));
    expect(freshness.asOfMs).toBe(-Infinity);
  });

  test('never goes back', () => {
    const freshness = make();
    freshness.proven(500);
    freshness.heard(heartbeat(freshness.probe(100), 5), LogIndex(5));
    expect(freshness.asOfMs).toBe(500);
  });

  test('of a leader is of the time at which it appended what it has applied since', () => {
    const freshness = make();
    freshness.appended(LogIndex(5), Term(2), 100);
    freshness.appended(LogIndex(6), Term(2), 200);
    freshness.entryApplied({ index: LogIndex(4), term: Term(1) });
    expect(freshness.asOfMs).toBe(-Infinity);
    freshness.entryApplied({ index: LogIndex(5), term: Term(2) });
    expect(freshness.asOfMs).toBe(100);
    freshness.appended(LogIndex(7), Term(2), 300);
    freshness.entryApplied({ index: LogIndex(6), term: Term(2) });
    expect(freshness.asOfMs).toBe(100);
    freshness.entryApplied({ index: LogIndex(7), term: Term(2) });
    expect(freshness.asOfMs).toBe(300);
  });

  test('an entry that took the place of what this replica had appended proves nothing', () => {
    const freshness = make();
    freshness.appended(LogIndex(5), Term(2), 100);
    freshness.entryApplied({ index: LogIndex(5), term: Term(3) });
    freshness.entryApplied({ index: LogIndex(6), term: Term(3) });
    expect(freshness.asOfMs).toBe(-Infinity);
    freshness.appended(LogIndex(7), Term(4), 200);
    freshness.appended(LogIndex(8), Term(5), 400);
    freshness.entryApplied({ index: LogIndex(8), term: Term(5) });
    expect(freshness.asOfMs).toBe(400);
  });
});
