/** Raft snapshots and reads from disk that others have overtaken: a host brings these about, not a script. */
import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, ReplicaId, Term } from '../../src/base/ids.js';
import { createConfiguration } from '../../src/raft/config.js';
import { Progress } from '../../src/raft/progress.js';
import type { RaftSnapshot, SnapshotRequest } from '../../src/raft/types.js';
import { Bench, peer, self, start } from './bench.js';

const lagging = ReplicaId(3);
const all = createConfiguration({ voters: [self, peer, lagging] });

function snapshotAt(index: number, configuration = all): RaftSnapshot {
  return { index: LogIndex(index), term: Term(1), configuration };
}

function request(index: number): SnapshotRequest {
  return { type: 'snapshotRequest', from: peer, to: self, term: Term(1), snapshot: snapshotAt(index) };
}

describe('while a snapshot is put in place', () => {
  test('nothing more may be applied; when it was given up, what has become durable meanwhile', () => {
    const bench = new Bench();
    bench.append(1, start, [1, 1], 2);
    const { syncPoint } = bench.take();
    bench.raft.step(request(5));
    expect(bench.take().snapshot).toEqual(snapshotAt(5));
    bench.raft.synced(syncPoint);
    expect(bench.take().commitIndex).toBe(0);
    bench.raft.snapshotAbandoned();
    expect(bench.take().commitIndex).toBe(2);
  });

  test('and the next one comes at once: what may be applied does not go back', () => {
    const bench = new Bench();
    bench.raft.step(request(5));
    bench.take();
    bench.log.reset(LogIndex(5), Term(1));
    bench.raft.snapshotInstalled();
    bench.raft.step(request(9));
    expect(bench.take()).toMatchObject({ snapshot: snapshotAt(9), commitIndex: 5 });
  });
});

/** A leader of five entries, of which `lagging` has none, and may have them from disk only. */
function leader(): Bench {
  const bench = new Bench();
  bench.lead();
  for (const text of ['a', 'b', 'c', 'd']) bench.raft.propose(utf8(text));
  bench.raft.synced(bench.take().syncPoint);
  bench.acknowledge(5);
  bench.take();
  bench.log.memoryFrom = LogIndex(6);
  return bench;
}

describe('a follower that needs what the log has no more', () => {
  test.each([
    { what: 'ends where the log begins', snapshot: snapshotAt(3), isOf: 3 },
    { what: 'is older', snapshot: snapshotAt(2), isOf: undefined },
    {
      what: 'does not know the follower',
      snapshot: snapshotAt(5, createConfiguration({ voters: [self, peer] })),
      isOf: undefined,
    },
  ])('is sent a snapshot that $what: $isOf', ({ snapshot, isOf }) => {
    const bench = leader();
    bench.log.dropTo(LogIndex(3));
    bench.answerHeartbeat(lagging);
    expect(bench.take().snapshotsWanted).toEqual([lagging]);
    expect(bench.raft.beginSnapshot(lagging, snapshot)?.snapshot.index).toBe(isOf);
  });

  test('whose late refusal comes after a snapshot goes on after what it is known to have', () => {
    const progress = new Progress(LogIndex(21), { appendsInFlightMax: 4, commitNoticeTicks: 0 });
    progress.accepted(LogIndex(5), LogIndex(1));
    progress.becomeSnapshot();
    progress.snapshotBegun(LogIndex(20));
    progress.snapshotEnded(true);
    progress.rejected(LogIndex(20), LogIndex(3));
    expect(progress).toMatchObject({ matchIndex: 5, nextIndex: 6 });
  });
});

describe('entries that were read from disk are not sent', () => {
  test('when the log has dropped them meanwhile: the follower gets a snapshot', () => {
    const bench = leader();
    bench.acknowledge(0, lagging);
    expect(bench.take().logReads).toMatchObject([{ to: lagging, from: 1 }]);
    const read = bench.log.all.slice(0, 1);
    bench.log.dropTo(LogIndex(1));
    bench.raft.entriesRead(lagging, read);
    expect(bench.take()).toMatchObject({ messages: [], snapshotsWanted: [lagging] });
  });

  test('when others have taken their place since, in a term between: they are read again', () => {
    const bench = new Bench();
    bench.lead();
    bench.raft.propose(utf8('a'));
    bench.raft.synced(bench.take().syncPoint);
    bench.log.memoryFrom = LogIndex(100);
    bench.acknowledge(1, lagging);
    expect(bench.take().logReads).toMatchObject([{ to: lagging, from: 2 }]);
    const read = bench.log.all.slice(1);
    bench.append(2, { index: 1, term: 1 }, [2]);
    bench.raft.synced(bench.take().syncPoint);
    bench.lead();
    bench.acknowledge(1, lagging);
    expect(bench.take().logReads).toMatchObject([{ to: lagging, from: 2 }]);
    bench.raft.entriesRead(lagging, read);
    const again = bench.take();
    expect(again.messages).toEqual([]);
    expect(again.logReads).toMatchObject([{ to: lagging, from: 2 }]);
  });
});
