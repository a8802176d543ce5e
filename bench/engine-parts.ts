/**
 * The parts of the engine suite: what is done to one store, and measured. A part runs in a process of its own, so that no
 * store gains or suffers from what another left in memory or made of the compiled code.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { Prng } from '../src/base/prng.js';
import { EngineValues, key16, permutation } from './engine-data.js';
import type { Store, StoreType, StoreWrite } from './engine-store.js';
import { zipfian } from './zipfian.js';

export const batchOperations = 100;
const mib = 1024 * 1024;
const queueLength = 10_000;

/** In the order in which they run. The data that `random` makes is what `overwrite`, `cached` and `uncached` work on. */
export const partNames = ['sequential', 'random', 'overwrite', 'cached', 'uncached', 'deletes', 'queue'] as const;
export type PartName = (typeof partNames)[number];

export interface Sizes {
  readonly keys: number;
  readonly valueBytes: number;
  readonly reads: number;
  /** See SuiteOptions. */
  readonly largeValueBytesMin?: number | undefined;
}

export type Unit = 'operations/s' | 'µs of all cores' | 'MiB';

export interface Figure {
  readonly name: string;
  readonly unit: Unit;
  readonly value: number;
}

/** Of keys and values as they are given. */
function dataBytes({ keys, valueBytes }: Sizes): number {
  return keys * (16 + valueBytes);
}

/** Everything fits, and half as much again; or a fiftieth does. */
export function cacheBytes(part: PartName, sizes: Sizes): number {
  return Math.ceil(dataBytes(sizes) * (part === 'uncached' ? 0.02 : 1.5));
}

/** What is told of the space that the data of a part takes. */
const spaceNames: Partial<Record<PartName, string>> = {
  random: 'bytes on disk',
  overwrite: 'bytes on disk, overwritten',
};

/** The keys of `order` by their numbers: the store has even ones only. */
const presentKey = (n: number): Uint8Array => key16(2 * n);
const missingKey = (n: number): Uint8Array => key16(2 * n + 1);

export class EnginePart {
  readonly figures: Figure[] = [];
  readonly #type: StoreType;
  readonly #part: PartName;
  readonly #directory: string;
  readonly #sizes: Sizes;
  readonly #progress: (text: string) => void;
  readonly #values: EngineValues;
  readonly #random = new Prng(1);

  constructor(
    { type, part, directory, sizes }: { type: StoreType; part: PartName; directory: string; sizes: Sizes },
    progress: (text: string) => void,
  ) {
    this.#type = type;
    this.#part = part;
    this.#directory = directory;
    this.#sizes = sizes;
    this.#progress = progress;
    this.#values = new EngineValues(sizes.valueBytes);
  }

  async run(): Promise<readonly Figure[]> {
    await this.#warmUp();
    const store = await this.#open(this.#directory);
    await this.#measured(store);
    await store.close();
    const spaceName = spaceNames[this.#part];
    if (spaceName !== undefined) this.#add(spaceName, 'MiB', (await bytesOf(this.#directory)) / mib);
    this.#add(`RSS max: ${this.#part}`, 'MiB', process.resourceUsage().maxRSS / 1024);
    return this.figures;
  }

  #measured(store: Store): Promise<void> {
    switch (this.#part) {
      case 'sequential':
        return this.#sequential(store);
      case 'random':
        return this.#fillRandom(store);
      case 'overwrite':
        return this.#overwrite(store);
      case 'cached':
        return this.#cached(store);
      case 'uncached':
        return this.#uncached(store);
      case 'deletes':
        return this.#deletes(store);
      case 'queue':
        return this.#queue(store);
    }
  }

  /** Compiles what is measured later. */
  async #warmUp(): Promise<void> {
    const keys = Math.min(this.#sizes.keys, 20_000);
    const store = await this.#open(`${this.#directory}-warm`);
    await this.#write(store, keys, (n) => this.#put(n));
    await store.flush();
    await store.scan(false);
    for (let n = 0; n < keys; n++) await store.get(presentKey(n));
    await store.close();
  }

  async #sequential(store: Store): Promise<void> {
    const { keys } = this.#sizes;
    await this.#measure('fill sequential', keys, async () => {
      await this.#write(store, keys, (n) => this.#put(n));
      await store.flush();
    });
  }

  async #fillRandom(store: Store): Promise<void> {
    const { keys } = this.#sizes;
    const order = permutation(keys, this.#random);
    await this.#measureUntilSettled('fill random', keys, store, (n) => this.#put(order[n]));
  }

  async #overwrite(store: Store): Promise<void> {
    const { keys } = this.#sizes;
    await this.#measureUntilSettled('overwrite', keys, store, () => this.#put(this.#random.int(0, keys - 1)));
    const draw = this.#zipfianKeys();
    await this.#measureUntilSettled('overwrite zipfian', keys, store, () => this.#put(draw()));
  }

  async #cached(store: Store): Promise<void> {
    const { keys, reads } = this.#sizes;
    const present = this.#uniformKeys(presentKey);
    const missing = this.#uniformKeys(missingKey);
    await this.#gets(store, present, true);
    await this.#measure('get cached', reads, () => this.#gets(store, present, true));
    const hot = present.slice(0, 5000);
    await this.#measure('get hot', 4 * reads, async () => {
      for (let n = 0; n < 4 * reads; n += hot.length) await this.#gets(store, hot, true);
    });
    await this.#measure('get missing', reads, () => this.#gets(store, missing, false));
    await this.#measure('get 100 at a time', reads, () => this.#getsTogether(store, present));
    const draw = this.#zipfianKeys();
    const popular = Array.from({ length: reads }, () => presentKey(draw()));
    await this.#measure('get zipfian', reads, () => this.#gets(store, popular, true));
    const seeks = Math.ceil(reads / 4);
    await this.#measure('seek', seeks, async () => {
      for (let n = 0; n < seeks; n++) await store.seek(missing[n]);
    });
    await this.#measure('scan forward', keys, () => this.#scan(store, keys, false));
    await this.#measure('scan reverse', keys, () => this.#scan(store, keys, true));
  }

  async #uncached(store: Store): Promise<void> {
    const { keys, reads } = this.#sizes;
    const present = this.#uniformKeys(presentKey);
    const missing = this.#uniformKeys(missingKey);
    await this.#measure('get uncached', reads, () => this.#gets(store, present, true));
    await this.#measure('get missing, uncached', reads, () => this.#gets(store, missing, false));
    await this.#measure('get uncached, 100 at a time', reads, () => this.#getsTogether(store, present));
    const draw = this.#zipfianKeys();
    const popular = Array.from({ length: reads }, () => presentKey(draw()));
    await this.#measure('get uncached, zipfian', reads, () => this.#gets(store, popular, true));
    await this.#measure('read and write, half each', reads, async () => {
      for (let n = 0; n < reads; n += 2 * batchOperations) {
        await this.#write(store, batchOperations, () => this.#put(this.#random.int(0, keys - 1)));
        await this.#gets(store, popular.slice(n, n + batchOperations), true);
      }
      await store.flush();
    });
  }

  async #deletes(store: Store): Promise<void> {
    const { keys, reads } = this.#sizes;
    const order = permutation(keys, this.#random);
    await this.#write(store, keys, (n) => this.#put(order[n]));
    await store.settle();
    const deleted = Math.floor(0.9 * keys);
    await this.#measure('delete 90 %', deleted, async () => {
      await this.#write(store, deleted, (n) => ({ key: presentKey(order[n]), value: undefined }));
      await store.flush();
    });
    // Nothing was settled: the tombstones are still there.
    await this.#measure('scan of what remains', keys - deleted, () => this.#scan(store, keys - deleted, false));
    const remaining = Array.from({ length: reads }, () => presentKey(order[this.#random.int(deleted, keys - 1)]));
    await this.#measure('get of what remains', reads, () => this.#gets(store, remaining, true));
    await store.settle();
    await this.#measure('scan of what remains, settled', keys - deleted, () =>
      this.#scan(store, keys - deleted, false),
    );
  }

  /** What comes in at the back goes out at the front, and each time the front is looked for from the very beginning. */
  async #queue(store: Store): Promise<void> {
    const { keys, reads } = this.#sizes;
    const passing = Math.min(keys, reads);
    await this.#write(store, queueLength, (n) => this.#put(n));
    const beginning = presentKey(0);
    await this.#measure('queue', passing, async () => {
      for (let front = 0; front < passing; front += batchOperations) {
        await this.#write(store, batchOperations, (n) => this.#put(front + queueLength + n));
        await this.#write(store, batchOperations, (n) => ({ key: presentKey(front + n), value: undefined }));
        const first = await store.seek(beginning);
        if (first === undefined || Buffer.compare(first, presentKey(front + batchOperations)) !== 0)
          throw new Error(`${this.#type.name} has lost the front of the queue`);
      }
    });
  }

  #open(directory: string): Promise<Store> {
    const { largeValueBytesMin } = this.#sizes;
    return this.#type.open({ directory, cacheBytes: cacheBytes(this.#part, this.#sizes), largeValueBytesMin });
  }

  #put(n: number): StoreWrite {
    return { key: presentKey(n), value: this.#values.next() };
  }

  /** Popular ones are anywhere among the keys. */
  #zipfianKeys(): () => number {
    const { keys } = this.#sizes;
    const draw = zipfian(keys, new Prng(3));
    const step = coprimeNear(keys, 0.618 * keys);
    return () => (draw() * step) % keys;
  }

  #uniformKeys(key: (n: number) => Uint8Array): Uint8Array[] {
    return Array.from({ length: this.#sizes.reads }, () => key(this.#random.int(0, this.#sizes.keys - 1)));
  }

  async #write(store: Store, count: number, make: (n: number) => StoreWrite): Promise<void> {
    for (let n = 0; n < count; n += batchOperations) {
      const writes: StoreWrite[] = [];
      for (let i = n; i < Math.min(n + batchOperations, count); i++) writes.push(make(i));
      const written = store.write(writes);
      if (written !== undefined) await written;
    }
  }

  async #gets(store: Store, wanted: readonly Uint8Array[], isThere: boolean): Promise<void> {
    for (const key of wanted) {
      const got = store.get(key);
      const value = got instanceof Promise ? await got : got;
      if ((value !== undefined) !== isThere) throw new Error(`${this.#type.name} has lost or found a key`);
    }
  }

  async #getsTogether(store: Store, wanted: readonly Uint8Array[]): Promise<void> {
    for (let n = 0; n < wanted.length; n += batchOperations) {
      const values = await store.getMany(wanted.slice(n, n + batchOperations));
      if (values.includes(undefined)) throw new Error(`${this.#type.name} has lost a key`);
    }
  }

  async #scan(store: Store, expected: number, reverse: boolean): Promise<void> {
    const count = await store.scan(reverse);
    // One store keeps a mark of its own.
    if (Math.abs(count - expected) > 1) throw new Error(`${this.#type.name} has ${count} of ${expected} keys`);
  }

  async #measureUntilSettled(
    name: string,
    operations: number,
    store: Store,
    make: (n: number) => StoreWrite,
  ): Promise<void> {
    await this.#measure(`${name}, until compactions are done`, operations, async () => {
      await this.#measure(name, operations, async () => {
        await this.#write(store, operations, make);
        await store.flush();
      });
      await store.settle();
    });
  }

  async #measure(name: string, operations: number, body: () => Promise<void>): Promise<void> {
    this.#progress(name);
    const startMs = performance.now();
    const before = process.cpuUsage();
    await body();
    const { user, system } = process.cpuUsage(before);
    const seconds = (performance.now() - startMs) / 1000;
    this.#add(name, 'operations/s', operations / seconds);
    this.#add(name, 'µs of all cores', (user + system) / operations);
  }

  #add(name: string, unit: Unit, value: number): void {
    this.figures.push({ name, unit, value });
  }
}

/** Of all files in a folder. */
export async function bytesOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) bytes += (await stat(join(directory, name))).size;
  return bytes;
}

function coprimeNear(count: number, wanted: number): number {
  let step = Math.max(1, Math.round(wanted));
  while (greatestCommonDivisor(step, count) !== 1) step++;
  return step;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
