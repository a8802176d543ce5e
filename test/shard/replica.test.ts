import { describe, expect, test, vi } from 'vitest';
import { emptyBytes } from '../../src/base/bytes.js';
import { LogIndex, NodeId, ReplicaId, Term } from '../../src/base/ids.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { initialIndex } from '../../src/mvcc/state-machine.js';
import { createConfiguration } from '../../src/raft/config.js';
import { Raft } from '../../src/raft/raft.js';
import type { AppendRequest, SnapshotRequest } from '../../src/raft/types.js';
import { encodeEntry } from '../../src/shard/entry-format.js';
import { withConfiguration } from '../../src/shard/group-descriptor.js';
import { Bench, group, self, three, two } from './replica-bench.js';

describe('listeners of leadership', () => {
  test('hear of its beginning when an entry of its term is applied, and of its end', async () => {
    const bench = await Bench.make();
    await bench.win();
    expect([bench.roles, bench.replica.isReadyLeader]).toEqual([[], false]);
    await bench.acknowledge(two);
    expect([bench.roles, bench.replica.isReadyLeader]).toEqual([[true], true]);
    await bench.depose();
    expect([bench.roles, bench.replica.isReadyLeader]).toEqual([[true, false], false]);
  });

  test('hear of the end of one that was lost before its first entry was committed', async () => {
    const bench = await Bench.make();
    await bench.win();
    await bench.depose();
    expect(bench.roles).toEqual([false]);
  });
});

describe('a replica that is closed', () => {
  test('leads nothing', async () => {
    const bench = await Bench.make();
    await bench.win();
    await bench.acknowledge(two);
    bench.replica.close();
    expect([bench.replica.isLeader, bench.replica.isReadyLeader]).toEqual([false, false]);
  });

  test('tells listeners that its leadership ends, once', async () => {
    const bench = await Bench.make();
    await bench.win();
    await bench.acknowledge(two);
    bench.replica.close();
    bench.replica.close();
    expect(bench.roles).toEqual([true, false]);
  });

  test('tells nobody when it did not lead', async () => {
    const bench = await Bench.make();
    bench.replica.close();
    expect(bench.roles).toEqual([]);
  });
});

describe('a replica that retires', () => {
  test('hands its leadership over once, to the voter that has most', async () => {
    const bench = await Bench.make();
    await bench.win();
    await bench.acknowledge(two);
    bench.replica.retire();
    await bench.turn();
    expect(bench.sentOf('timeoutNow').map(({ to }) => to)).toEqual([two]);
    for (let i = 0; i < 25; i++) {
      bench.replica.tick();
      await bench.acknowledge(two);
    }
    expect(bench.replica.isLeader).toBe(true);
    expect(bench.sentOf('timeoutNow')).toHaveLength(1);
  });

  test('does so right after a quorum check, when nobody has answered again yet', async () => {
    const bench = await Bench.make();
    await bench.win();
    await bench.acknowledge(two);
    for (let i = 0; i < 10; i++) bench.replica.tick();
    bench.replica.retire();
    await bench.turn();
    expect(bench.sentOf('timeoutNow')).toHaveLength(1);
  });

  test('takes none over', async () => {
    const bench = await Bench.make();
    await bench.depose();
    bench.replica.retire();
    await bench.step({ type: 'timeoutNow', from: three, to: self, term: bench.replica.term });
    for (let i = 0; i < 50; i++) bench.replica.tick();
    await bench.turn();
    expect([...bench.sentOf('preVoteRequest'), ...bench.sentOf('voteRequest')]).toEqual([]);
  });
});

describe('a read that fails', () => {
  test('stops the node', async () => {
    const bench = await Bench.make();
    const failure = new Error('a broken assumption');
    expect(() => bench.replica.readFailed(failure)).toThrow(failure);
  });

  test('is no failure where the replica has gone: another node has the shard', async () => {
    const bench = await Bench.make();
    bench.replica.close();
    expect(bench.replica.readFailed(new Error('a read from a closed tree'))).toMatchObject({ code: 'NOT_LEADER' });
  });
});

/** By replica 3, as leader of this term: entries after `prev`, the first of them of `term`. */
function append(term: number, prev: { index: number; term: number }, data: readonly Uint8Array[]): AppendRequest {
  const at = { prevLogIndex: LogIndex(prev.index), prevLogTerm: Term(prev.term) };
  const entries = data.map((bytes, i) => ({ index: LogIndex(prev.index + 1 + i), term: Term(term), data: bytes }));
  const commit = LogIndex(prev.index + data.length);
  return { type: 'appendRequest', from: three, to: self, term: Term(term), ...at, entries, commit };
}

const start = { index: initialIndex, term: 0 };
const write = encodeEntry({ type: 'effects', epoch: group.epoch, batch: emptyBytes });

describe('what a replica says', () => {
  test('of its log leaves when that is durable, an append at once; nothing is applied before', async () => {
    const bench = await Bench.make();
    bench.syncsHeld = true;
    await bench.step(append(1, start, [write]));
    expect(bench.sentOf('appendResponse')).toEqual([]);
    expect(bench.replica.appliedIndex).toBe(initialIndex);
    await bench.sync();
    expect(bench.sentOf('appendResponse')).toMatchObject([{ to: three, logIndex: 2 }]);
    expect(bench.replica.appliedIndex).toBe(2);
  });

  test('ends with it', async () => {
    const bench = await Bench.make();
    bench.replica.campaign();
    bench.replica.close();
    await bench.turn();
    expect(bench.sent).toEqual([]);
  });
});

describe('what a replica proposes', () => {
  /** A leader that has proposed three entries, which nobody has acknowledged. */
  async function proposed({ syncsHeld = false } = {}): Promise<{ bench: Bench; ends: string[] }> {
    const bench = await Bench.make();
    await bench.win();
    await bench.acknowledge(two);
    bench.syncsHeld = syncsHeld;
    const ends: string[] = [];
    for (let i = 0; i < 3; i++) {
      const answer = bench.replica.propose(write, (end) => {
        const applied = `applied by ${bench.replica.appliedIndex}`;
        ends.push(end.type === 'applied' ? applied : `${end.error.code} ${end.error.outcome}`);
      });
      expect(answer).toBe('accepted');
    }
    await bench.turn();
    return { bench, ends };
  }

  test('is refused before it has applied an entry of its term', async () => {
    const bench = await Bench.make();
    await bench.win();
    expect(bench.replica.propose(write, () => undefined)).toBe('notLeader');
  });

  test('is answered when it is applied, which is not before it is durable here', async () => {
    const { bench, ends } = await proposed({ syncsHeld: true });
    await bench.acknowledge(two);
    await bench.acknowledge(three);
    expect(bench.replica.commitIndex).toBe(5);
    expect(ends).toEqual([]);
    await bench.sync();
    expect(ends).toEqual(['applied by 3', 'applied by 4', 'applied by 5']);
  });

  test('and nobody has put anything in its place ends when it leads again: it will never be applied', async () => {
    const { bench, ends } = await proposed();
    const { term } = bench.replica;
    // The next leader has none of the three, and one entry only.
    await bench.step(append(term + 1, { index: 2, term }, [emptyBytes]));
    expect(ends).toEqual(['NOT_LEADER notApplied']);
    for (let i = 0; i < 40; i++) bench.replica.tick();
    await bench.win();
    await bench.acknowledge(two);
    expect(bench.replica.isReadyLeader).toBe(true);
    expect(ends).toEqual(['NOT_LEADER notApplied', 'NOT_LEADER notApplied', 'NOT_LEADER notApplied']);
  });

  test('is of unknown outcome when a Raft snapshot takes the place of its entry', async () => {
    const { bench, ends } = await proposed();
    const term = Term(bench.replica.term + 1);
    const snapshot = { index: LogIndex(4), term, configuration: group.configuration };
    const request: SnapshotRequest = { type: 'snapshotRequest', from: three, to: self, term, snapshot };
    const commit = (): Promise<string> => {
      bench.engine.write(new TreeBatch(), LogIndex(4));
      return Promise.resolve('folder');
    };
    const installed = bench.replica.snapshots.install(request, { commit, finish: () => Promise.resolve() });
    await bench.turn();
    expect(await installed).toBe('installed');
    // Of entries 3 and 4; of the third nobody has decided.
    expect(ends).toEqual(['NOT_LEADER unknown', 'NOT_LEADER unknown']);
    expect(bench.replica.appliedIndex).toBe(4);
  });
});

test('a core that finds no end is an error, not a node that hangs', async () => {
  const bench = await Bench.make();
  const hasReady = vi.spyOn(Raft.prototype, 'hasReady').mockReturnValue(true);
  try {
    expect(() => bench.replica.handleReady()).toThrow('finds no end');
  } finally {
    hasReady.mockRestore();
  }
});

describe('a change of the members', () => {
  test('that leaves a replica out is the last entry that it applies', async () => {
    const bench = await Bench.make();
    const next = withConfiguration(group, createConfiguration({ voters: [two, three] }));
    await bench.step(append(1, start, [encodeEntry({ type: 'changeGroup', descriptor: next }), write]));
    expect([bench.replica.appliedIndex, bench.removals, bench.replica.standing]).toEqual([2, 1, 'removed']);
  });

  test('tells the core which of the new ones cannot be reached', async () => {
    const bench = await Bench.make();
    await bench.win();
    await bench.acknowledge(two);
    bench.replica.peerUnreachable(NodeId(5));
    const nodes = (ids: readonly number[]): NodeId[] => ids.map((id) => NodeId(id));
    bench.replica.changeMembers({ voters: nodes([1, 2, 3]), learners: nodes([4, 5]) }, () => undefined);
    await bench.turn();
    await bench.acknowledge(two);
    const { followers } = bench.replica.status();
    expect(followers.map(({ replica, isAlive }) => [replica, isAlive])).toEqual([
      [two, true],
      [three, true],
      [ReplicaId(4), true],
      [ReplicaId(5), false],
    ]);
  });
});
