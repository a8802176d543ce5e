import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { MemtableBudget, type BudgetMember } from '../../../src/lsm/memtable/memtable-budget.js';
import { TreeBatch } from '../../../src/lsm/tree-batch.js';
import { Tree } from '../../../src/lsm/tree.js';
import { newDisk, put, scan, treeResources } from '../harness.js';

/** Writes and flushes as the test says. */
class FakeTree implements BudgetMember {
  readonly #budget: MemtableBudget;
  active = 0;
  sealed: number[] = [];
  rooms = 0;

  constructor(budget: MemtableBudget) {
    this.#budget = budget;
    budget.join(this);
  }

  get sealableBytes(): number {
    return this.active;
  }

  write(bytes: number): void {
    this.active += bytes;
    this.#budget.add(bytes, 0);
  }

  seal(): void {
    const bytes = this.active;
    this.sealed.push(bytes);
    this.active = 0;
    this.#budget.add(-bytes, bytes);
  }

  flushed(): void {
    this.#budget.add(0, -(this.sealed.shift() ?? 0));
  }

  onRoom(): void {
    this.rooms++;
  }
}

describe('MemtableBudget', () => {
  it('seals the largest when the active ones take more than half', () => {
    const budget = new MemtableBudget({ bytesMax: 100, writeBytesMax: 10 });
    const [a, b, c] = [new FakeTree(budget), new FakeTree(budget), new FakeTree(budget)];
    a.write(10);
    b.write(25);
    c.write(15);
    expect([a, b, c].map(({ sealed }) => sealed)).toEqual([[], [], []]);
    a.write(1);
    expect([a, b, c].map(({ sealed }) => sealed)).toEqual([[], [25], []]);
    expect([budget.bytes, budget.isFull]).toEqual([51, false]);
  });

  it('is full one write before its end, and tells every member when it is not any more', () => {
    const budget = new MemtableBudget({ bytesMax: 100, writeBytesMax: 10 });
    const [a, b, gone] = [new FakeTree(budget), new FakeTree(budget), new FakeTree(budget)];
    budget.leave(gone);
    a.write(51);
    expect(a.sealed).toEqual([51]);
    b.write(39);
    expect(budget.isFull).toBe(false);
    b.write(1);
    expect(budget.isFull).toBe(true);
    expect(a.rooms).toBe(0);
    a.flushed();
    expect(budget.isFull).toBe(false);
    expect([a.rooms, b.rooms, gone.rooms]).toEqual([1, 1, 0]);
  });

  it('does not seal what has nothing to flush', () => {
    const budget = new MemtableBudget({ bytesMax: 100, writeBytesMax: 10 });
    budget.add(60, 0);
    expect(budget.bytes).toBe(60);
  });

  it('must hold several writes', () => {
    expect(() => new MemtableBudget({ bytesMax: 100, writeBytesMax: 26 })).toThrow('too large for a budget of 100');
  });
});

describe('trees that share a budget', () => {
  it.each([1, 2])('never take more than it, and lose nothing, seed %i', async (seed) => {
    const random = new Prng(seed);
    const disk = newDisk(seed);
    const budget = new MemtableBudget({ bytesMax: 512 << 10, writeBytesMax: 64 << 10 });
    const trees: Tree[] = [];
    for (let i = 0; i < 32; i++) {
      const resources = treeResources(disk, { memtableBudget: budget });
      trees.push(await Tree.create(`node/${i}`, resources, { memtableBytesMax: 48 << 10 }));
    }
    let largest = 0;
    let waits = 0;
    const written = trees.map(() => new Map<string, number>());
    const writer = async (n: number): Promise<void> => {
      for (let version = 1; version <= 200; version++) {
        // Some trees take much more than others.
        const key = `key ${random.int(0, 5000)}`;
        const value = new Uint8Array(random.int(0, n % 4 === 0 ? 3000 : 300));
        const tree = trees[n];
        for (let stall = tree.writeStall(); stall !== undefined; stall = tree.writeStall()) {
          waits++;
          await stall;
        }
        tree.write(new TreeBatch().put(utf8(key), Timestamp(version), value), LogIndex(version));
        written[n].set(key, version);
        largest = Math.max(largest, budget.bytes);
        if (random.chance(0.1)) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    // The disk stands still most of the time, so that flushes are behind.
    let isOver = false;
    const slowDown = async (): Promise<void> => {
      while (!isOver) {
        disk.stall();
        for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
        disk.unstall();
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const slow = slowDown();
    await Promise.all(trees.map((_, n) => writer(n)));
    isOver = true;
    await slow;
    expect(largest).toBeGreaterThan(budget.bytesMax / 2);
    expect(largest).toBeLessThanOrEqual(budget.bytesMax);
    expect(waits).toBeGreaterThan(0);
    expect(trees.reduce((sum, tree) => sum + tree.stats().flushes, 0)).toBeGreaterThan(20);
    for (const [n, tree] of trees.entries()) {
      const records = await scan(tree);
      expect(new Map(records.map(({ key, version }) => [key, version]))).toEqual(written[n]);
      await tree.close();
    }
    expect(budget.bytes).toBe(0);
  });

  it('wait for each other, also where the disk is the reason', async () => {
    const disk = newDisk();
    const memtableBudget = new MemtableBudget({ bytesMax: 128 << 10, writeBytesMax: 16 << 10 });
    const resources = treeResources(disk, { memtableBudget });
    const busy = await Tree.create('node/busy', resources);
    const quiet = await Tree.create('node/quiet', resources);
    disk.stall();
    for (let version = 1; busy.writeStall() === undefined; version++)
      put(busy, `k${version}`, version, 'x'.repeat(5000));
    expect(busy.stats().sealedMemtables).toBeGreaterThan(0);
    const stall = quiet.writeStall();
    expect(stall).toBeDefined();
    disk.unstall();
    await stall;
    expect(quiet.writeStall()).toBeUndefined();
    await busy.close();
    await quiet.close();
    expect(memtableBudget.bytes).toBe(0);
  });
});
