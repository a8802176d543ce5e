import { describe, expect, test } from 'vitest';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import type { QuorateError } from '../../src/base/errors.js';
import type { ReadResult } from '../../src/raft/raft.js';
import type { Role } from '../../src/raft/types.js';
import { ReadGate } from '../../src/shard/read-gate.js';

/** A gate over a core that does as the test says. */
class Bench {
  role: Role = 'leader';
  refusal: 'notReady' | 'notLeader' | undefined;
  nowMs = 0;
  rounds = 0;
  term = Term(4);
  /** The commit index, while there is a lease. */
  lease: LogIndex | undefined;
  scheduled = 0;
  readonly proven: number[] = [];
  readonly gate: ReadGate;

  constructor() {
    this.gate = new ReadGate({
      raft: this,
      shard: ShardId(3),
      clock: { monotonicMs: () => this.nowMs },
      schedule: () => this.scheduled++,
      onProven: (asOfMs) => this.proven.push(asOfMs),
    });
  }

  requestRead(): ReadResult {
    if (this.refusal !== undefined) return { type: 'refused', reason: this.refusal };
    return { type: 'accepted', round: ++this.rounds };
  }

  leaseRead(): LogIndex | undefined {
    return this.lease;
  }

  get holdsLease(): boolean {
    return this.lease !== undefined;
  }

  isVouchedBy(): boolean {
    return true;
  }

  read(): { answers: (QuorateError | undefined)[] } {
    const read = { answers: [] as (QuorateError | undefined)[] };
    this.gate.request((error) => read.answers.push(error));
    return read;
  }
}

const ok = [undefined];

describe('the read gate', () => {
  test('has one round for all that arrived in a turn, and asks to be called at its end', () => {
    const bench = new Bench();
    const reads = [bench.read(), bench.read()];
    expect(bench.scheduled).toBe(2);
    bench.gate.startRound(true);
    bench.gate.startRound(true);
    expect(bench.rounds).toBe(1);
    bench.gate.confirmed({ round: 1, index: LogIndex(4) });
    bench.gate.applied(LogIndex(3));
    expect(reads.map(({ answers }) => answers)).toEqual([[], []]);
    bench.gate.applied(LogIndex(4));
    expect(reads.map(({ answers }) => answers)).toEqual([ok, ok]);
  });

  test('does not answer who came after the round began', () => {
    const bench = new Bench();
    const early = bench.read();
    bench.gate.startRound(true);
    const late = bench.read();
    bench.gate.confirmed({ round: 1, index: LogIndex(1) });
    bench.gate.applied(LogIndex(9));
    expect(early.answers).toEqual(ok);
    expect(late.answers).toEqual([]);
    bench.gate.startRound(true);
    bench.gate.confirmed({ round: 2, index: LogIndex(9) });
    bench.gate.applied(LogIndex(9));
    expect(late.answers).toEqual(ok);
  });

  test('a later round proves earlier ones, and says since when', () => {
    const bench = new Bench();
    const reads = [10, 20].map((nowMs) => {
      bench.nowMs = nowMs;
      const read = bench.read();
      bench.gate.startRound(true);
      return read;
    });
    bench.nowMs = 99;
    bench.gate.confirmed({ round: 2, index: LogIndex(5) });
    expect(bench.proven).toEqual([]);
    bench.gate.applied(LogIndex(5));
    expect(reads.map(({ answers }) => answers)).toEqual([ok, ok]);
    expect(bench.proven).toEqual([10, 20]);
  });

  test('a round proves no later one', () => {
    const bench = new Bench();
    const reads = [1, 2].map(() => {
      const read = bench.read();
      bench.gate.startRound(true);
      return read;
    });
    bench.gate.confirmed({ round: 1, index: LogIndex(5) });
    bench.gate.applied(LogIndex(5));
    expect(reads.map(({ answers }) => answers)).toEqual([ok, []]);
  });

  test.each([
    ['the leader has not applied an entry of its term', false, undefined] as const,
    ['the core is not ready', true, 'notReady'] as const,
  ])('waits while %s', (_what, ready, refusal) => {
    const bench = new Bench();
    const read = bench.read();
    bench.refusal = refusal;
    bench.gate.startRound(ready);
    expect([bench.rounds, read.answers]).toEqual([0, []]);
    bench.refusal = undefined;
    bench.gate.startRound(true);
    expect(bench.rounds).toBe(1);
  });

  test('fails what is not proven when leadership is lost, and keeps what is', () => {
    const bench = new Bench();
    const proven = bench.read();
    bench.gate.startRound(true);
    bench.gate.confirmed({ round: 1, index: LogIndex(7) });
    const asked = bench.read();
    bench.gate.startRound(true);
    const arrived = bench.read();
    bench.gate.fail();
    for (const { answers } of [asked, arrived]) {
      expect(answers).toMatchObject([{ code: 'NOT_LEADER', outcome: 'notApplied', shard: 3 }]);
    }
    bench.gate.applied(LogIndex(7));
    expect(proven.answers).toEqual(ok);
  });

  test('on a follower fails at the end of the turn', () => {
    const bench = new Bench();
    bench.role = 'follower';
    const read = bench.read();
    bench.gate.startRound(false);
    expect(read.answers).toMatchObject([{ code: 'NOT_LEADER' }]);
  });

  test('closed, ends everything and takes nothing', () => {
    const bench = new Bench();
    const proven = bench.read();
    bench.gate.startRound(true);
    bench.gate.confirmed({ round: 1, index: LogIndex(7) });
    const asked = bench.read();
    bench.gate.close();
    const late = bench.read();
    for (const { answers } of [proven, asked, late]) expect(answers).toMatchObject([{ code: 'NODE_STOPPING' }]);
  });
});

describe('a lease', () => {
  test('lets those read at once who look at it again, when what is committed is applied', () => {
    const bench = new Bench();
    bench.lease = LogIndex(5);
    const permits: unknown[][] = [];
    bench.gate.request((...permit) => permits.push(permit), 'lease');
    bench.gate.startRound(true);
    bench.gate.applied(LogIndex(4));
    expect(permits).toEqual([]);
    bench.gate.applied(LogIndex(5));
    expect(permits).toEqual([[undefined, 4]]);
    expect([bench.rounds, bench.proven]).toEqual([0, []]);
    expect(bench.gate.leaseHolds(Term(4))).toBe(true);
    expect(bench.gate.leaseReads).toBe(1);
    bench.term = Term(5);
    expect(bench.gate.leaseHolds(Term(4))).toBe(false);
    bench.term = Term(4);
    bench.lease = undefined;
    expect(bench.gate.leaseHolds(Term(4))).toBe(false);
  });

  test('is nothing for who asked for a round', () => {
    const bench = new Bench();
    bench.lease = LogIndex(5);
    bench.read();
    bench.gate.startRound(true);
    expect(bench.rounds).toBe(1);
  });

  test.each([
    ['there is none', true, undefined],
    ['the leader has applied no entry of its own term', false, LogIndex(5)],
  ])('does not help where %s: all share a round', (_, ready, lease) => {
    const bench = new Bench();
    bench.lease = lease;
    const permits: unknown[][] = [];
    bench.gate.request((...permit) => permits.push(permit), 'lease');
    const other = bench.read();
    bench.gate.startRound(ready);
    bench.gate.startRound(true);
    expect(bench.rounds).toBe(1);
    bench.gate.confirmed({ round: 1, index: LogIndex(1) });
    bench.gate.applied(LogIndex(1));
    expect(permits).toEqual([[undefined, undefined]]);
    expect(other.answers).toEqual(ok);
  });
});
