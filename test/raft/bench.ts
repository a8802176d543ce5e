/** One `Raft` that a test gives its input message by message, and syncs when it likes. */
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, ReplicaId, Term } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { createConfiguration } from '../../src/raft/config.js';
import type { RaftOptions } from '../../src/raft/options.js';
import { Raft } from '../../src/raft/raft.js';
import type { AppendRequest, Entry, Ready } from '../../src/raft/types.js';
import { newHardState, TestLog } from './replica.js';

export const self = ReplicaId(1);
export const peer = ReplicaId(2);

export const unknown = { commit: LogIndex(0), commitTerm: Term(0) };

/** A replica whose `Ready`s are handed to its log, and applied; what is durable is up to the test. */
export class Bench {
  readonly log = new TestLog();
  readonly raft: Raft;

  constructor(options: Partial<RaftOptions> = {}) {
    this.raft = new Raft({
      self,
      configuration: createConfiguration({ voters: [self, peer, ReplicaId(3)] }),
      hardState: newHardState,
      log: this.log,
      appliedIndex: LogIndex(0),
      electionTicksMin: 10,
      electionTicksMax: 20,
      heartbeatTicks: 2,
      appendBytesMax: 1000,
      appendsInFlightMax: 4,
      uncommittedBytesMax: 1000,
      commitNoticeTicks: 0,
      quiesceTicks: 0,
      lease: undefined,
      random: new Prng(1),
      ...options,
    });
  }

  take(): Ready {
    const ready = this.raft.takeReady();
    this.log.write(ready.entries);
    this.raft.applied(ready.commitIndex);
    return ready;
  }

  lead(): void {
    this.raft.campaign();
    this.raft.step({
      type: 'preVoteResponse',
      from: peer,
      to: self,
      term: Term(this.raft.term + 1),
      granted: true,
      ...unknown,
    });
    this.raft.synced(this.take().syncPoint);
    this.raft.step({ type: 'voteResponse', from: peer, to: self, term: this.raft.term, granted: true, ...unknown });
    this.raft.synced(this.take().syncPoint);
    this.acknowledge(this.raft.lastIndex);
    this.take();
  }

  /** `from` has the log up to `index`. */
  acknowledge(index: number, from = peer): void {
    const { term } = this.raft;
    const hint = { hintIndex: LogIndex(0), hintTerm: Term(0) };
    this.raft.step({
      type: 'appendResponse',
      from,
      to: self,
      term,
      logIndex: LogIndex(index),
      rejected: false,
      ...hint,
    });
  }

  answerHeartbeat(from: ReplicaId): void {
    const { term } = this.raft;
    this.raft.step({ type: 'heartbeatResponse', from, to: self, term, readRound: 0, probe: 0, quiet: false });
  }

  append(term: number, prev: { index: number; term: number }, entryTerms: number[], commit = 0): void {
    this.raft.step(appendRequest(term, prev, entryTerms, commit));
  }
}

export function appendRequest(
  term: number,
  prev: { index: number; term: number },
  entryTerms: number[],
  commit = 0,
): AppendRequest {
  const entries: Entry[] = entryTerms.map((entryTerm, i) => ({
    index: LogIndex(prev.index + 1 + i),
    term: Term(entryTerm),
    data: utf8('x'),
  }));
  return {
    type: 'appendRequest',
    from: peer,
    to: self,
    term: Term(term),
    prevLogIndex: LogIndex(prev.index),
    prevLogTerm: Term(prev.term),
    entries,
    commit: LogIndex(commit),
  };
}

export const start = { index: 0, term: 0 };

/**
 * Entries of term 1 are replaced and come back while the first sync is still under way (ABA). After each sync report, the
 * oldest first: how far the replica holds its log for durable.
 */
export function stableAfterLateSyncs(): number[] {
  const bench = new Bench();
  bench.append(1, start, [1, 1]);
  const first = bench.take();
  bench.append(2, start, [2]);
  const second = bench.take();
  bench.append(3, start, [1, 1]);
  const third = bench.take();
  return [first, second, third].map(({ syncPoint }) => {
    bench.raft.synced(syncPoint);
    return bench.raft.status().stableIndex;
  });
}
