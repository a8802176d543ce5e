/**
 * Random operations under random options against a plain list of all that was written. The seed is in the name of the
 * test; LSM_SEEDS=first-last runs others.
 */
import { describe, expect, it } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { BlockCache } from '../../src/lsm/block-cache.js';
import type { Kind } from '../../src/lsm/entry.js';
import type { TreeIterator } from '../../src/lsm/iterator/tree-iterator.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import { drawTreeOptions } from '../../src/sim/engine/engine-plan.js';
import { newDisk, text, treeDirectory, treeResources, type ShownRecord } from './harness.js';

interface ModelEntry {
  readonly key: string;
  readonly version: number;
  readonly kind: Kind;
  readonly value: string;
}

/** A deleted range. */
interface ModelRange {
  readonly lower: string;
  readonly upper: string;
  readonly version: number;
  readonly kind: 'deleteRange';
}

interface ScanBounds {
  readonly lower: string;
  readonly upper: string | undefined;
  readonly at: number;
  readonly reverse: boolean;
}

/** All batches in the order of writing; batch i has applied index i + 1. */
class Model {
  readonly batches: (ModelEntry | ModelRange)[][] = [];

  newest(key: string, at: number): ModelEntry | undefined {
    let best: ModelEntry | undefined;
    let hiddenBelow = 0;
    for (const entry of this.batches.flat()) {
      if (entry.version > at) continue;
      if (entry.kind === 'deleteRange') {
        if (entry.lower <= key && key < entry.upper) hiddenBelow = Math.max(hiddenBelow, entry.version);
      } else if (entry.key === key && (best === undefined || entry.version >= best.version)) {
        best = entry;
      }
    }
    if (hiddenBelow <= (best?.version ?? 0)) return best;
    return { key, version: hiddenBelow, kind: 'delete', value: '' };
  }

  scan({ lower, upper, at, reverse }: ScanBounds): ShownRecord[] {
    const keys = new Set(this.batches.flat().flatMap((entry) => (entry.kind === 'put' ? [entry.key] : [])));
    const records = [...keys]
      .filter((key) => key >= lower && (upper === undefined || key < upper))
      .sort()
      .flatMap((key) => {
        const entry = this.newest(key, at);
        return entry?.kind === 'put' ? [{ key, version: entry.version, value: entry.value }] : [];
      });
    return reverse ? records.reverse() : records;
  }
}

class ModelTest {
  readonly #random: Prng;
  readonly #disk = newDisk();
  readonly #model = new Model();
  readonly #keys: readonly string[];
  /** Iterators that stay open, each with what it still has to give. */
  #open: { readonly iterator: TreeIterator; readonly expected: ShownRecord[] }[] = [];
  #tree: Tree | undefined;
  #version = 1;
  #safePoint = 0;
  readonly done = { gets: 0, scans: 0, records: 0, ranges: 0, reopened: 0, compactions: 0 };

  constructor(seed: number) {
    this.#random = new Prng(seed);
    this.#keys = Array.from({ length: this.#random.int(3, 60) }, () => this.#randomKey());
  }

  get #opened(): Tree {
    return defined(this.#tree, 'the tree');
  }

  #randomKey(): string {
    const prefix = this.#random.pick(['', 'a', 'ab', 'user/', 'user/00000', '\u00ff\u00ff']);
    return prefix + text(this.#random.bytes(this.#random.int(0, 3)));
  }

  async run(steps: number): Promise<void> {
    this.#tree = await Tree.create(treeDirectory, this.#resources(), drawTreeOptions(this.#random));
    for (let step = 0; step < steps; step++) await this.#step();
    await this.#reopen();
    await this.#closeIterators();
    await this.#opened.flush();
    await this.#opened.verify();
    await this.#compareAll();
    await this.#opened.close();
  }

  #resources(): ReturnType<typeof treeResources> {
    const bytes = this.#random.pick([0, 300, 3000, 1 << 20]);
    return treeResources(this.#disk, { blockCache: new BlockCache(bytes) });
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const drawn = random.float();
    if (drawn < 0.55) await this.#write();
    else if (drawn < 0.75) await this.#get();
    else if (drawn < 0.84) await this.#scan();
    else if (drawn < 0.88) await this.#openIterator();
    else if (drawn < 0.95) await this.#advanceIterators();
    else if (drawn < 0.965) await this.#opened.flush();
    else if (drawn < 0.98) this.#raiseSafePoint();
    else if (drawn < 0.985) await this.#opened.verify();
    else if (drawn < 0.99) await this.#reopen();
    else for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  async #write(): Promise<void> {
    const random = this.#random;
    const batch: (ModelEntry | ModelRange)[] = [];
    for (let left = random.int(0, 6); left > 0; left--) {
      const [a, b] = [this.#someKey(), this.#someKey()];
      const isRange = random.chance(0.05) && a !== b;
      const kind = random.chance(0.25) ? 'delete' : 'put';
      // Mostly newer than all before; sometimes the same version again, or an older one.
      if (random.chance(0.8)) this.#version += random.int(1, 3);
      const version = random.chance(0.9) ? this.#version : random.int(this.#safePoint + 1, this.#version);
      if (isRange) {
        this.done.ranges++;
        batch.push({ lower: a < b ? a : b, upper: a < b ? b : a, version, kind: 'deleteRange' });
        continue;
      }
      const value =
        kind === 'put' ? text(random.bytes(random.chance(0.05) ? random.int(0, 2000) : random.int(0, 30))) : '';
      batch.push({ key: random.pick(this.#keys), version, kind, value });
    }
    await this.#opened.writeStall();
    this.#model.batches.push(batch);
    this.#apply(this.#model.batches.length);
  }

  #apply(appliedIndex: number): void {
    const batch = new TreeBatch();
    for (const entry of this.#model.batches[appliedIndex - 1]) {
      const version = Timestamp(entry.version);
      if (entry.kind === 'deleteRange') batch.deleteRange(bytesOf(entry.lower), bytesOf(entry.upper), version);
      else if (entry.kind === 'put') batch.put(bytesOf(entry.key), version, bytesOf(entry.value));
      else batch.delete(bytesOf(entry.key), version);
    }
    this.#opened.write(batch, LogIndex(appliedIndex));
  }

  #randomAt(): number {
    return this.#random.chance(0.5) ? this.#version : this.#random.int(this.#safePoint, this.#version);
  }

  #someKey(): string {
    return this.#random.chance(0.9) ? this.#random.pick(this.#keys) : this.#randomKey();
  }

  async #get(): Promise<void> {
    const key = this.#someKey();
    const at = this.#randomAt();
    const expected = this.#model.newest(key, at);
    const found = await this.#opened.get(bytesOf(key), Timestamp(at));
    this.done.gets++;
    // A tombstone may be gone with what it hid.
    if (expected === undefined || (expected.kind === 'delete' && found === undefined)) {
      expect(found).toBeUndefined();
      return;
    }
    const { version, kind, value } = expected;
    expect(found && { ...found, value: text(found.value) }).toEqual({ version, kind, value });
  }

  #randomBounds(): ScanBounds {
    const [a, b] = [this.#someKey(), this.#someKey()];
    return {
      lower: this.#random.chance(0.3) ? '' : a < b ? a : b,
      upper: this.#random.chance(0.3) ? undefined : a < b ? b : a,
      at: this.#randomAt(),
      reverse: this.#random.chance(0.5),
    };
  }

  #iterator({ lower, upper, at, reverse }: ScanBounds): TreeIterator {
    return this.#opened.openIterator({
      lower: bytesOf(lower),
      upper: upper === undefined ? undefined : bytesOf(upper),
      at: Timestamp(at),
      reverse,
    });
  }

  async #scan(): Promise<void> {
    const bounds = this.#randomBounds();
    const iterator = this.#iterator(bounds);
    await this.#expectNext(iterator, this.#model.scan(bounds), Infinity);
    iterator.close();
  }

  async #openIterator(): Promise<void> {
    if (this.#open.length >= 3) await this.#closeIterators();
    const bounds = this.#randomBounds();
    this.#open.push({ iterator: this.#iterator(bounds), expected: this.#model.scan(bounds) });
  }

  async #advanceIterators(): Promise<void> {
    for (const { iterator, expected } of this.#open) {
      await this.#expectNext(iterator, expected, this.#random.int(1, 10));
    }
  }

  /** Takes from the iterator what comes next, and it from `expected`. */
  async #expectNext(iterator: TreeIterator, expected: ShownRecord[], count: number): Promise<void> {
    this.done.scans++;
    for (let i = 0; i < count; i++) {
      const record = await iterator.next();
      const wanted = expected.shift();
      if (wanted === undefined) {
        expect(record).toBeUndefined();
        return;
      }
      this.done.records++;
      expect(record && { ...record, key: text(record.key), value: text(record.value) }).toEqual(wanted);
    }
  }

  async #closeIterators(): Promise<void> {
    for (const { iterator, expected } of this.#open) {
      await this.#expectNext(iterator, expected, Infinity);
      iterator.close();
    }
    this.#open = [];
  }

  #raiseSafePoint(): void {
    // Nobody reads below it any more; writes are above it.
    this.#safePoint = this.#random.int(this.#safePoint, this.#version);
    this.#version++;
    for (const { iterator } of this.#open) iterator.close();
    this.#open = [];
    this.#opened.setSafePoint(Timestamp(this.#safePoint));
  }

  /** Loses what is in memory and writes it again, as the log does. */
  async #reopen(): Promise<void> {
    this.done.reopened++;
    await this.#closeIterators();
    this.done.compactions += this.#opened.stats().compactions;
    await this.#opened.close();
    this.#tree = await Tree.open(treeDirectory, this.#resources(), drawTreeOptions(this.#random));
    expect(this.#tree.failure).toBeUndefined();
    for (let index = this.#tree.durableAppliedIndex + 1; index <= this.#model.batches.length; index++) {
      await this.#tree.writeStall();
      this.#apply(index);
    }
    this.#tree.setSafePoint(Timestamp(this.#safePoint));
  }

  async #compareAll(): Promise<void> {
    for (const reverse of [false, true]) {
      const bounds = { lower: '', upper: undefined, at: this.#version, reverse };
      const iterator = this.#iterator(bounds);
      await this.#expectNext(iterator, this.#model.scan(bounds), Infinity);
      iterator.close();
    }
  }
}

function bytesOf(latin1: string): Uint8Array {
  return new Uint8Array(Buffer.from(latin1, 'latin1'));
}

function seeds(): number[] {
  const [first, last] = (process.env['LSM_SEEDS'] ?? '1-8').split('-').map(Number);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

describe('a tree against a list of all that was written', () => {
  it.each(seeds())('agrees, seed %i', async (seed) => {
    const test = new ModelTest(seed);
    await test.run(600);
    expect(test.done.gets).toBeGreaterThan(50);
    expect(test.done.records).toBeGreaterThan(50);
    expect(test.done.ranges).toBeGreaterThan(10);
    expect(test.done.compactions).toBeGreaterThan(0);
  });
});
