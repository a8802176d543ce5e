import { describe, expect, test } from 'vitest';
import { setImmediate } from 'node:timers/promises';
import { defined } from '../../../src/base/assert.js';
import { LogIndex, NodeId, Timestamp } from '../../../src/base/ids.js';
import { deferred } from '../../../src/base/promises.js';
import type { Deferred } from '../../../src/base/promises.js';
import type { ScanResult } from '../../../src/mvcc/scan.js';
import { PlacementView } from '../../../src/node/routing/placement-view.js';
import { encodeNodeRecord, nodeKey } from '../../../src/placement/placement-format.js';

/** A replica of the placement group whose state is `nodes` nodes; each read of it ends when the test says so. */
class Bench {
  readonly view: PlacementView;
  readonly changes: number[] = [];
  readonly failures: unknown[] = [];
  readonly reads: Deferred<void>[] = [];
  onChange: () => void = () => undefined;
  #nodes = 0;
  #applied: (index: LogIndex) => void = () => undefined;

  constructor() {
    const machine = { maxVersion: Timestamp(1), scan: () => this.#scan() };
    const onApplied = (listener: (index: LogIndex) => void): void => void (this.#applied = listener);
    this.view = new PlacementView(
      { machine, onApplied },
      {
        change: (state) => {
          this.changes.push(state.nodes.size);
          this.onChange();
        },
        failure: (error) => this.failures.push(error),
      },
    );
  }

  /** Reads what is there when it begins. */
  async #scan(): Promise<ScanResult> {
    const records = Array.from({ length: this.#nodes }, (_, i) => {
      const node = { id: NodeId(i + 1), storeId: 'store', clientAddress: 'a:1', peerAddress: 'a:2' };
      return { key: nodeKey(node.id), version: Timestamp(1), value: encodeNodeRecord(node) };
    });
    const read = deferred<void>();
    this.reads.push(read);
    await read.promise;
    return { records, resume: undefined };
  }

  apply(): void {
    this.#nodes++;
    this.#applied(LogIndex(this.#nodes));
  }

  async endRead(): Promise<void> {
    defined(this.reads.shift(), 'read').resolve(undefined);
    await setImmediate();
  }
}

describe('the placement view', () => {
  test('reads what is there, then after each change', async () => {
    const bench = new Bench();
    const loaded = bench.view.load();
    await bench.endRead();
    await loaded;
    bench.apply();
    await bench.endRead();
    expect([bench.changes, bench.view.state.nodes.size]).toEqual([[0, 1], 1]);
  });

  test('reads once more for all changes that come while one read is under way, and never two at a time', async () => {
    const bench = new Bench();
    void bench.view.load();
    bench.apply();
    bench.apply();
    expect(bench.reads).toHaveLength(1);
    await bench.endRead();
    expect(bench.reads).toHaveLength(1);
    await bench.endRead();
    expect([bench.changes, bench.reads.length]).toEqual([[0, 2], 0]);
  });

  test.each([0, 1, 2, 3, 4, 5])('misses no change that comes %i microtasks after a read has ended', async (count) => {
    const bench = new Bench();
    bench.onChange = () => {
      bench.onChange = () => undefined;
      void (async () => {
        for (let i = 0; i < count; i++) await Promise.resolve();
        bench.apply();
      })();
    };
    bench.apply();
    await bench.endRead();
    await bench.endRead();
    expect(bench.changes).toEqual([1, 2]);
  });

  test('tells of a read that failed, and reads again after the next change', async () => {
    const bench = new Bench();
    bench.apply();
    const error = new Error('damaged');
    defined(bench.reads.shift(), 'read').reject(error);
    await setImmediate();
    expect(bench.failures).toEqual([error]);
    bench.apply();
    await bench.endRead();
    expect(bench.changes).toEqual([2]);
  });

  test('ends with its replica: a read whose tree was closed meanwhile is no failure (seed 1003366)', async () => {
    const bench = new Bench();
    const loaded = bench.view.load();
    bench.view.close();
    defined(bench.reads.shift(), 'read').reject(new Error('the tree was closed'));
    await loaded;
    expect([bench.failures, bench.changes, bench.reads]).toEqual([[], [], []]);
  });

  test('begins no read of a replica that has gone (seed 1313367)', async () => {
    const bench = new Bench();
    void bench.view.load();
    // The removal itself, which is applied while a read is under way.
    bench.apply();
    bench.view.close();
    await bench.endRead();
    bench.apply();
    await bench.view.load();
    expect([bench.failures, bench.reads]).toEqual([[], []]);
  });
});
