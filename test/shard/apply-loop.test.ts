import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { emptyBytes } from '../../src/base/bytes.js';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import { deferred, type Deferred } from '../../src/base/promises.js';
import type { Entry } from '../../src/raft/types.js';
import { ApplyLoop } from '../../src/shard/apply-loop.js';

function entryAt(index: number): Entry {
  return { index: LogIndex(index), term: Term(1), data: emptyBytes };
}

/** Of a log with all entries in memory. */
class Bench {
  readonly applied: number[] = [];
  readonly loop: ApplyLoop;
  /** While it is there the tree takes no more. */
  stall: Deferred<void> | undefined;
  #ends: (() => void)[] = [];

  constructor() {
    const entries = (from: LogIndex, to: LogIndex): Entry[] =>
      Array.from({ length: to - from + 1 }, (_, i) => entryAt(from + i));
    const options = {
      shard: ShardId(1),
      clock: { endOfTurn: (callback: () => void) => void this.#ends.push(callback) },
      log: { entries, read: () => Promise.reject(new Error('all is in memory')) },
      tree: { writeStall: () => this.stall?.promise },
      appliedIndex: () => LogIndex(this.applied.at(-1) ?? 0),
      apply: ({ index }: Entry) => void this.applied.push(index),
      onApplied: () => undefined,
      onFailure: (error: unknown) => expect.unreachable(String(error)),
    };
    this.loop = new ApplyLoop(options, LogIndex(0));
  }

  allow(index: number): void {
    this.loop.allow(LogIndex(index));
    this.loop.run();
  }

  atEnd(callback: () => void): void {
    this.#ends.push(callback);
  }

  async endTurn(): Promise<void> {
    const ends = this.#ends;
    this.#ends = [];
    for (const end of ends) end();
    await setImmediate();
  }
}

test('entries are applied when the turn that allowed it has sent and written what others wait for', async () => {
  const bench = new Bench();
  bench.allow(1);
  await setImmediate();
  expect(bench.applied).toEqual([]);
  bench.allow(2);
  await bench.endTurn();
  expect(bench.applied).toEqual([1, 2]);
  bench.allow(3);
  await bench.endTurn();
  expect(bench.applied).toEqual([1, 2, 3]);
});

test('a loop that was halted meanwhile applies nothing before it is resumed', async () => {
  const bench = new Bench();
  bench.allow(2);
  await bench.loop.halt();
  await bench.endTurn();
  expect(bench.applied).toEqual([]);
  bench.loop.resume(LogIndex(0));
  await bench.endTurn();
  expect(bench.applied).toEqual([1, 2]);
});

test('a loop that was closed meanwhile applies nothing', async () => {
  const bench = new Bench();
  bench.allow(1);
  bench.loop.close();
  await bench.endTurn();
  expect(bench.applied).toEqual([]);
});

test('what is allowed at the end in which a run ends is applied as well', async () => {
  const bench = new Bench();
  bench.allow(1);
  // Promise reactions of the run come after all ends of the turn, this one included.
  bench.atEnd(() => bench.allow(2));
  await bench.endTurn();
  await bench.endTurn();
  expect(bench.applied).toEqual([1, 2]);
});

test.each(['close', 'halt'] as const)('what waits for the tree is not applied after %s', async (how) => {
  const bench = new Bench();
  const stall = deferred<void>();
  bench.stall = stall;
  bench.allow(2);
  await bench.endTurn();
  expect(bench.applied).toEqual([]);
  const over = bench.loop[how]();
  bench.stall = undefined;
  stall.resolve();
  await over;
  await bench.endTurn();
  expect(bench.applied).toEqual([]);
});

test('what waits for the tree is applied when the tree can take it', async () => {
  const bench = new Bench();
  const stall = deferred<void>();
  bench.stall = stall;
  bench.allow(2);
  await bench.endTurn();
  expect(bench.applied).toEqual([]);
  bench.stall = undefined;
  stall.resolve();
  await bench.endTurn();
  expect(bench.applied).toEqual([1, 2]);
});
