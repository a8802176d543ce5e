import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { LogIndex, ReplicaId } from '../../src/base/ids.js';
import { type Deferred, deferred } from '../../src/base/promises.js';
import { LogWork } from '../../src/shard/log-work.js';
import { Bench as RaftBench, start } from '../raft/bench.js';

/** Work for a core that follows, on a log of the entries 5 to 8. */
class Bench {
  readonly raft = new RaftBench();
  readonly syncs: Deferred<void>[] = [];
  readonly synced: number[] = [];
  readonly reads: string[] = [];
  readonly work = new LogWork({
    log: {
      firstIndex: LogIndex(5),
      lastIndex: LogIndex(8),
      read: (from, to) => {
        this.reads.push(`${from}-${to}`);
        return Promise.resolve([]);
      },
    },
    append: () => {
      const sync = deferred<void>();
      this.syncs.push(sync);
      return sync.promise;
    },
    onSynced: ({ syncPoint }) => this.synced.push(syncPoint.lastIndex),
    onRead: () => undefined,
    onFailure: (error) => {
      throw error;
    },
  });

  write(prevIndex: number): void {
    this.raft.append(1, prevIndex === 0 ? start : { index: prevIndex, term: 1 }, [1]);
    this.work.write(this.raft.take());
  }

  async sync(): Promise<void> {
    this.syncs.shift()?.resolve();
    await setImmediate();
  }
}

test('what is durable is told in the order of the writes', async () => {
  const bench = new Bench();
  bench.write(0);
  bench.write(1);
  await bench.sync();
  expect(bench.synced).toEqual([1]);
  await bench.sync();
  expect(bench.synced).toEqual([1, 2]);
});

test('after the end nothing is passed on', async () => {
  const bench = new Bench();
  bench.write(0);
  bench.work.close();
  await bench.sync();
  expect(bench.synced).toEqual([]);
});

test('entries that the log has dropped are not read for a follower', async () => {
  const bench = new Bench();
  await bench.work.read(ReplicaId(2), LogIndex(4), 1000);
  expect(bench.reads).toEqual([]);
  await bench.work.read(ReplicaId(2), LogIndex(5), 1000);
  expect(bench.reads).toEqual(['5-8']);
});
