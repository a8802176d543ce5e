/** How a Raft snapshot takes the place of what a replica has, step by step: see the order in the header of the source. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { LogIndex, ReplicaId, Term } from '../../src/base/ids.js';
import { type Deferred, deferred } from '../../src/base/promises.js';
import { createConfiguration } from '../../src/raft/config.js';
import type { SnapshotRequest } from '../../src/raft/types.js';
import { ReplicaSnapshots } from '../../src/shard/replica-snapshots.js';
import { Bench as RaftBench, peer, self } from '../raft/bench.js';
import { newHardState } from '../raft/replica.js';

const configuration = createConfiguration({ voters: [self, peer, ReplicaId(3)] });

function request(index: number, term = 1): SnapshotRequest {
  const snapshot = { index: LogIndex(index), term: Term(1), configuration };
  return { type: 'snapshotRequest', from: peer, to: self, term: Term(term), snapshot };
}

/** Each step is noted when it begins. Those that take time end when the test says so. */
class Bench {
  readonly raft = new RaftBench();
  readonly steps: string[] = [];
  readonly #underWay = new Map<string, Deferred<void>>();
  readonly failures: unknown[] = [];
  readonly snapshots = new ReplicaSnapshots({
    raft: this.raft.raft,
    log: {
      hardState: newHardState,
      term: (index) => this.raft.log.term(index),
      truncatePrefix: (index, term) => {
        this.steps.push('the log begins anew');
        this.raft.log.reset(index, term);
      },
    },
    machine: {
      replaceState: async (replace) => {
        await replace();
        this.steps.push('the state is another');
      },
    },
    tree: {
      replaceBy: async () => {
        await this.#begin('replace');
        return LogIndex(9);
      },
    },
    applyLoop: { halt: () => this.#begin('halt'), resume: (index) => this.steps.push(`resume ${index}`) },
    append: ({ mustSync }) => this.#begin(mustSync ? 'sync' : 'write'),
    step: (message) => {
      this.raft.raft.step(message);
      const { snapshot } = this.raft.take();
      if (snapshot !== undefined) this.snapshots.putInPlace(snapshot);
    },
    onInstalled: ({ index }) => this.steps.push(`installed ${index}`),
    schedule: () => undefined,
    onFailure: (error) => this.failures.push(error),
  });

  install(): Promise<string> {
    const data = {
      commit: async () => {
        await this.#begin('commit');
        return 'folder';
      },
      finish: () => this.#begin('finish'),
    };
    return this.snapshots.install(request(9), data);
  }

  #begin(step: string): Promise<void> {
    this.steps.push(step);
    const end = deferred<void>();
    this.#underWay.set(step, end);
    return end.promise;
  }

  /** Ends what is under way. Returns what has begun since. */
  async end(step: string): Promise<string[]> {
    this.steps.length = 0;
    this.#underWay.get(step)?.resolve();
    await setImmediate();
    return this.steps;
  }
}

describe('a Raft snapshot', () => {
  test('takes the place of all, each step when the one before has ended', async () => {
    const bench = new Bench();
    const installed = bench.install();
    await setImmediate();
    expect(bench.steps).toEqual(['halt']);
    // A start that finds it decided lets the log end with the snapshot's term, which must not be later than the durable one.
    expect(await bench.end('halt')).toEqual(['sync']);
    expect(await bench.end('sync')).toEqual(['commit']);
    expect(await bench.end('commit')).toEqual(['replace']);
    const inOneTurn = ['the state is another', 'the log begins anew', 'resume 9', 'installed 9', 'sync'];
    expect(await bench.end('replace')).toEqual(inOneTurn);
    // Only when the log begins after it durably: a start before would have to do that.
    expect(await bench.end('sync')).toEqual(['finish']);
    await bench.end('finish');
    expect(await installed).toBe('installed');
    expect(bench.failures).toEqual([]);
  });

  test.each([
    { during: 'halt', steps: ['halt'] },
    { during: 'sync', steps: ['halt', 'sync'] },
    { during: 'commit', steps: ['halt', 'sync', 'commit'] },
  ])('goes no further when the replica ends during $during', async ({ during, steps }) => {
    const bench = new Bench();
    const installed = bench.install();
    for (const step of steps) if (step !== during) await bench.end(step);
    bench.snapshots.close();
    expect(await bench.end(during)).toEqual([]);
    expect(await installed).toBe('ended');
  });

  test('is wanted of no leader of an earlier term, nor when it holds nothing new', () => {
    const { snapshots, raft } = new Bench();
    expect(snapshots.needs(request(9))).toBe(true);
    raft.append(3, { index: 0, term: 0 }, [1, 1], 2);
    raft.take();
    expect([snapshots.needs(request(9, 2)), snapshots.needs(request(9, 3))]).toEqual([false, true]);
    expect(snapshots.needs(request(2, 3))).toBe(false);
  });
});
