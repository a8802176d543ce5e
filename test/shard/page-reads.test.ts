import { expect, test } from 'vitest';
import { deferred } from '../../src/base/promises.js';
import { PageReads } from '../../src/shard/page-reads.js';

class Bench {
  readonly due: (() => void)[] = [];
  readonly reads: PageReads;
  readonly begun: number[] = [];
  readonly #ends = new Map<number, () => void>();

  constructor(max: number) {
    this.reads = new PageReads(max, {
      after: (delayMs, callback) => {
        expect(delayMs).toBe(0);
        this.due.push(callback);
        return { cancel: () => undefined };
      },
    });
  }

  read(page: number): Promise<number> {
    return this.reads.run(() => {
      this.begun.push(page);
      const end = deferred<number>();
      this.#ends.set(page, () => end.resolve(page));
      return end.promise;
    });
  }

  /** The loop goes round once the page has been read. */
  async end(page: number): Promise<void> {
    this.#ends.get(page)?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a few pages are read at a time, the others in their order, each after the loop went round', async () => {
  const bench = new Bench(10);
  const all = Promise.all([0, 1, 2, 3, 4, 5].map((page) => bench.read(page)));
  expect(bench.begun).toEqual([0, 1, 2, 3]);
  await bench.end(2);
  expect(bench.begun, 'not before the loop went round').toEqual([0, 1, 2, 3]);
  for (const page of [4, 5]) {
    bench.due.shift()?.();
    await bench.end(page - 4);
    expect(bench.begun.at(-1)).toBe(page);
  }
  for (const page of [3, 4, 5]) await bench.end(page);
  expect(await all).toEqual([0, 1, 2, 3, 4, 5]);
  void bench.read(6);
  expect(bench.begun.at(-1), 'all places are free again').toBe(6);
});

test('what is too much is refused, with the limit', async () => {
  const bench = new Bench(2);
  void bench.read(0);
  void bench.read(1);
  await expect(bench.read(2)).rejects.toMatchObject({
    code: 'OVERLOADED',
    retryAfterMs: 20,
    message: expect.stringContaining('scansInFlightMax') as string,
  });
});
