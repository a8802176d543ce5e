/** Each rule of Raft that a run checks, broken by replicas that are made up. */
import { beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, ReplicaId, ShardId, Term, Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { userKey } from '../../src/mvcc/keyspace.js';
import { encodeWriteBatch } from '../../src/mvcc/write-batch-writer.js';
import { type Configuration, createConfiguration } from '../../src/raft/config.js';
import type { Entry, Ready } from '../../src/raft/types.js';
import type { EntryEffect } from '../../src/shard/entry-effect.js';
import type { ReplicaObserver } from '../../src/shard/replica-host.js';
import { Coverage } from '../../src/sim/coverage.js';
import { RaftChecks } from '../../src/sim/raft-checks.js';
import { watchReplicas } from '../../src/sim/replica-watch.js';
import { StateChecks } from '../../src/sim/state-checks.js';

const shard = ShardId(7);
const nothing: EntryEffect = { type: 'nothing' };

const disks = [{}, {}] as const;

let checks: RaftChecks;
let coverage: Coverage;
/** One process each. */
let one: ReplicaObserver;
let other: ReplicaObserver;

beforeEach(() => {
  checks = new RaftChecks();
  coverage = new Coverage();
  one = watched(disks[0]);
  other = watched(disks[1]);
});

function watched(disk: object): ReplicaObserver {
  const stateChecks = new StateChecks({ random: new Prng(1), retentionOf: () => 1_000_000 });
  const cluster = { raftChecks: checks, stateChecks, coverage };
  return watchReplicas(cluster, { disk, onInstalled: () => undefined });
}

function entry(index: number, term: number, text = 'x'): Entry {
  return { index: LogIndex(index), term: Term(term), data: utf8(text) };
}

/** After it the log ends with `last`. */
interface Step {
  readonly term: number;
  readonly last: Entry;
  readonly commit?: number;
  readonly entries?: Entry[];
  readonly leads?: boolean;
  /** 0 is nobody; without it, the hard state is as it was. */
  readonly vote?: number;
}

function ready(options: Step): Ready {
  const { term, last, commit = 0, entries = [], leads, vote } = options;
  return {
    hardState:
      vote === undefined
        ? undefined
        : { term: Term(term), vote: vote === 0 ? 0 : ReplicaId(vote), commit: LogIndex(commit) },
    softState:
      leads === undefined
        ? undefined
        : { role: leads ? 'leader' : 'follower', term: Term(term), leader: leads ? ReplicaId(1) : 0 },
    mustSync: entries.length > 0,
    entries,
    messages: [],
    messagesAfterSync: [],
    syncPoint: { term: Term(term), lastIndex: last.index, lastTerm: last.term, sequence: 0 },
    commitIndex: LogIndex(commit),
    readStates: [],
    readsLost: false,
    logReads: [],
    snapshotsWanted: [],
    snapshot: undefined,
    leaveJoint: undefined,
  };
}

function step(on: ReplicaObserver, options: Step): void {
  on.onReady(shard, ReplicaId(on === one ? 1 : 2), ready(options));
}

function apply(on: ReplicaObserver, applied: Entry, effect: EntryEffect = nothing): void {
  on.onApplied(shard, ReplicaId(on === one ? 1 : 2), applied, effect);
}

test('what right replicas do breaks no rule', () => {
  step(one, { term: 1, last: entry(1, 1), entries: [entry(1, 1)], leads: true });
  step(other, { term: 1, last: entry(1, 1), entries: [entry(1, 1)], commit: 1 });
  apply(other, entry(1, 1));
  step(one, { term: 2, last: entry(1, 1), commit: 1, leads: false });
  apply(one, entry(1, 1));
  step(other, { term: 2, last: entry(2, 2), entries: [entry(2, 2)], commit: 1, leads: true });
  // After a restart it has lost what was not synced, and applies again what its tree has not kept.
  const restarted = watched(disks[1]);
  restarted.onReady(shard, ReplicaId(2), ready({ term: 1, last: entry(1, 1), leads: false }));
  restarted.onApplied(shard, ReplicaId(2), entry(1, 1), nothing);
  expect(checks.violations).toEqual([]);
});

describe('finds that', () => {
  test('two lead in one term', () => {
    step(one, { term: 3, last: entry(0, 0), leads: true });
    step(other, { term: 3, last: entry(0, 0), leads: true });
    expect(checks.violations).toEqual(['replica 2 of shard 7 leads in term 3, which replica 1 led']);
  });

  test('a leader lacks what was committed in an earlier term', () => {
    step(one, { term: 1, last: entry(4, 1), commit: 4 });
    step(other, { term: 2, last: entry(3, 1), leads: true });
    expect(checks.violations).toEqual(['replica 2 of shard 7 leads in term 2 with entries to 3 of 4 committed']);
  });

  test('a leader has as many entries as were committed in an earlier term, but others', () => {
    step(one, { term: 1, last: entry(2, 1), entries: [entry(1, 1), entry(2, 1)] });
    step(one, { term: 1, last: entry(2, 1), commit: 2 });
    step(other, { term: 2, last: entry(2, 2), entries: [entry(1, 1), entry(2, 2)] });
    step(other, { term: 3, last: entry(3, 3), entries: [entry(3, 3)], leads: true });
    expect(checks.violations).toEqual([
      'replica 2 of shard 7 leads in term 3 with entry 2 of term 2, not 1 as committed',
    ]);
  });

  test('two take different entries for committed', () => {
    step(one, { term: 2, last: entry(2, 2), entries: [entry(1, 1), entry(2, 2)], commit: 1 });
    step(other, { term: 2, last: entry(1, 2), entries: [entry(1, 2)], commit: 1 });
    expect(checks.violations).toEqual(['replica 2 of shard 7 takes entry 1 of term 2 for committed, not 1']);
  });

  test('but not that an older leader, elected late, lacks it', () => {
    step(one, { term: 5, last: entry(4, 5), commit: 4 });
    step(other, { term: 4, last: entry(3, 1), leads: true });
    expect(checks.violations).toEqual([]);
  });

  test('one index and term have two entries', () => {
    step(one, { term: 1, last: entry(1, 1), entries: [entry(1, 1, 'a')] });
    step(other, { term: 1, last: entry(1, 1), entries: [entry(1, 1, 'b')] });
    expect(checks.violations).toEqual(['replica 2 of shard 7 has another entry 1 of term 1']);
  });

  test('one entry follows two different ones', () => {
    step(one, { term: 3, last: entry(2, 3), entries: [entry(1, 1), entry(2, 3)] });
    step(other, { term: 3, last: entry(1, 2), entries: [entry(1, 2)] });
    step(other, { term: 3, last: entry(2, 3), entries: [entry(2, 3)] });
    expect(checks.violations).toEqual(['replica 2 of shard 7 has entry 2 of term 3 after one of 2, not 1']);
  });

  test('a committed entry is replaced', () => {
    step(one, { term: 1, last: entry(5, 1), commit: 4 });
    step(one, { term: 2, last: entry(4, 2), entries: [entry(4, 2)], commit: 4 });
    expect(checks.violations).toEqual(['replica 1 of shard 7 replaces the committed entry 4']);
  });

  test('term or commit index go back', () => {
    step(one, { term: 2, last: entry(5, 1), commit: 4 });
    step(one, { term: 1, last: entry(5, 1), commit: 3 });
    expect(checks.violations).toEqual([
      'replica 1 of shard 7 goes back from term 2 to 1',
      'replica 1 of shard 7 goes back from commit index 4 to 3',
    ]);
  });

  test('a vote changes in its term', () => {
    step(one, { term: 2, last: entry(0, 0), vote: 0 });
    step(one, { term: 2, last: entry(0, 0), vote: 3 });
    step(one, { term: 3, last: entry(0, 0), vote: 2 });
    expect(checks.violations).toEqual([]);
    step(one, { term: 3, last: entry(0, 0), vote: 3 });
    expect(checks.violations).toEqual(['replica 1 of shard 7 votes for 3 in term 3, where it voted for 2']);
  });

  describe('over a restart', () => {
    const last = entry(5, 1);

    function restart(then: Step, disk: object = disks[0]): void {
      one.onSynced(shard, ReplicaId(1), ready({ term: 3, last, vote: 2, commit: 4 }));
      // This has not become durable.
      step(one, { term: 4, last, vote: 3, commit: 5 });
      one = watched(disk);
      step(one, then);
    }

    test('what was not durable may be gone', () => {
      restart({ term: 3, last, commit: 4 });
      step(one, { term: 4, last, vote: 5, commit: 5 });
      expect(checks.violations).toEqual([]);
    });

    test('another disk has promised nothing', () => {
      restart({ term: 0, last: entry(0, 0) }, {});
      expect(checks.violations).toEqual([]);
    });

    test('nor has a new directory', () => {
      restart({ term: 0, last: entry(0, 0) });
      expect(checks.violations).toEqual([]);
    });

    test('a durable term or commit index goes back', () => {
      restart({ term: 2, last, commit: 3 });
      expect(checks.violations).toEqual([
        'replica 1 of shard 7 goes back from term 3 to 2',
        'replica 1 of shard 7 goes back from commit index 4 to 3',
      ]);
    });

    test('a durable vote changes in its term', () => {
      restart({ term: 3, last, vote: 1, commit: 4 });
      expect(checks.violations).toEqual(['replica 1 of shard 7 votes for 1 in term 3, where it voted for 2']);
    });
  });

  test('an entry is left out, or applied twice', () => {
    for (const index of [1, 3, 3]) apply(one, entry(index, 1));
    expect(checks.violations).toEqual([
      'replica 1 of shard 7 applies 3 after 1',
      'replica 1 of shard 7 applies 3 after 3',
    ]);
  });

  test('a Raft snapshot has not the configuration of its entry', () => {
    const [first, second] = [1, 2].map((id) => createConfiguration({ voters: [ReplicaId(id)] }));
    const change = (configuration: Configuration): EntryEffect => ({
      type: 'changeGroup',
      descriptor: {
        shard,
        start: utf8(''),
        end: utf8(''),
        epoch: { membership: 1, range: 1 },
        replicas: [],
        configuration,
        nextReplica: ReplicaId(3),
      },
    });
    apply(one, entry(1, 1), change(first));
    apply(one, entry(2, 1));
    apply(one, entry(3, 1), change(second));
    const install = (index: number, configuration: Configuration): void =>
      other.onInstalled(shard, ReplicaId(2), { index: LogIndex(index), term: Term(1), configuration });
    install(2, first);
    install(3, second);
    expect(checks.violations).toEqual([]);
    install(4, first);
    expect(checks.violations).toEqual([
      'replica 2 of shard 7 takes a Raft snapshot of entry 4 without the configuration of entry 3',
    ]);
  });

  test('two replicas apply different entries, or one with different effects', () => {
    const write = (text: string): EntryEffect => {
      const effect = { type: 'put', key: userKey(utf8(text)), version: Timestamp(1), value: utf8(text) } as const;
      return { type: 'write', batch: encodeWriteBatch([effect]) };
    };
    apply(one, entry(1, 1, 'a'), write('a'));
    apply(other, entry(1, 1, 'b'), write('a'));
    apply(one, entry(2, 1), write('a'));
    apply(other, entry(2, 1), write('b'));
    expect(checks.violations.map((text) => text.replace(/\d{5,}/g, '#'))).toEqual([
      'replica 2 of shard 7 applies at 1 term 1, write #, entry #, where another had term 1, write #, entry #',
      'replica 2 of shard 7 applies at 2 term 1, write #, entry #, where another had term 1, write #, entry #',
    ]);
  });
});

test('changes of a group are counted by what they change', () => {
  const group = (parts: Parameters<typeof createConfiguration>[0]): EntryEffect => {
    const epoch = { membership: 1, range: 1 };
    const [start, end] = [utf8(''), utf8('')];
    const configuration = createConfiguration(parts);
    return {
      type: 'changeGroup',
      descriptor: { shard, start, end, epoch, replicas: [], configuration, nextReplica: ReplicaId(9) },
    };
  };
  const [a, b, c] = [ReplicaId(1), ReplicaId(2), ReplicaId(3)];
  apply(one, entry(1, 1), group({ voters: [a] }));
  apply(one, entry(2, 1), group({ voters: [a], learners: [b] }));
  expect(coverage.counts).toMatchObject({ membersChanged: 2, votersChanged: 0 });
  apply(one, entry(3, 1), group({ voters: [a, b], votersOutgoing: [a], autoLeave: true }));
  apply(one, entry(4, 1), group({ voters: [a, b] }));
  expect(coverage.counts).toMatchObject({ membersChanged: 4, votersChanged: 1, jointEntered: 1, jointLeft: 1 });
  apply(one, entry(5, 1), group({ voters: [a, b], votersOutgoing: [b, c] }));
  apply(one, entry(6, 1), group({ voters: [a, b] }));
  expect(coverage.counts).toMatchObject({ jointEntered: 2, jointLeft: 1 });
});

test('rare steps are counted', () => {
  // The second one changes the group, by its first byte.
  const change = { ...entry(2, 1), data: Uint8Array.of(3) };
  step(one, { term: 1, last: change, entries: [entry(1, 1), change], leads: true });
  step(one, { term: 2, last: entry(2, 2), entries: [entry(2, 2)], leads: false });
  apply(one, entry(1, 1), { type: 'truncateLog', upTo: LogIndex(1) });
  coverage.logged({ message: 'cut a torn batch off the log', fields: {} });
  coverage.logged({ message: 'fetched a Raft snapshot', fields: { readsAgain: 0 } });
  coverage.logged({ message: 'fetched a Raft snapshot', fields: { readsAgain: 2 } });
  coverage.logged({ message: 'something else', fields: {} });
  coverage.refused('OVERLOADED');
  coverage.refused('NOT_LEADER');
  const met = Object.entries(coverage.counts).filter(([, count]) => count > 0);
  expect(Object.fromEntries(met)).toEqual({
    leaderElected: 1,
    leaderSteppedDown: 1,
    entriesReplaced: 1,
    changeReplaced: 1,
    logTruncated: 1,
    tornTailCut: 1,
    snapshotFetched: 2,
    snapshotReadAgain: 1,
    OVERLOADED: 1,
  });
});
