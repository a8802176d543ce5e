/** What the engine suite does to a store, whichever it is: each adapter takes the fastest way that its store has. */
import type { MaybePromise } from '../src/base/promises.js';

/** Of one memtable, for every store: RocksDB's default. Each has two of them at a time. */
export const memtableBytes = 64 * 1024 * 1024;

export interface StoreWrite {
  readonly key: Uint8Array;
  /** Undefined deletes the key. */
  readonly value: Uint8Array | undefined;
}

export interface Store {
  /** One atomic batch. */
  write(writes: readonly StoreWrite[]): MaybePromise<void>;
  /** Resolves when all that was written is on disk. */
  flush(): Promise<void>;
  /** Flushes; resolves when compactions have nothing left to do. */
  settle(): Promise<void>;
  get(key: Uint8Array): MaybePromise<Uint8Array | undefined>;
  /** Of several keys; in their order. */
  getMany(keys: readonly Uint8Array[]): MaybePromise<readonly (Uint8Array | undefined)[]>;
  /** Walks over everything; the number of entries. */
  scan(reverse: boolean): Promise<number>;
  /** The first key at or after `key`, by a new position. */
  seek(key: Uint8Array): MaybePromise<Uint8Array | undefined>;
  close(): Promise<void>;
}

export interface StoreOptions {
  readonly directory: string;
  readonly cacheBytes: number;
  /** See SuiteOptions; rivals have no use for it. */
  readonly largeValueBytesMin?: number | undefined;
}

export interface StoreType {
  readonly name: string;
  /** Makes the store if there is none. */
  open(options: StoreOptions): Promise<Store>;
}
