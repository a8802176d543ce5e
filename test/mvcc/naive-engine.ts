/** The slow, obvious twin of the tree: every version ever written, in one list, sorted for each read. */
import { compareBytes, copyBytes } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import type { MaybePromise } from '../../src/base/promises.js';
import type { Prng } from '../../src/base/prng.js';
import type { Engine, EngineEntry, EngineIterator, EngineRange, EngineRecord } from '../../src/mvcc/engine.js';
import type { TreeBatch } from '../../src/lsm/tree-batch.js';

interface StoredEntry extends EngineEntry {
  readonly key: Uint8Array;
}

export class NaiveEngine implements Engine {
  readonly #entries: StoredEntry[] = [];
  readonly #random: Prng | undefined;
  #appliedIndex = LogIndex(0);
  #durableAppliedIndex = LogIndex(0);
  safePoint = Timestamp(0);

  /** @param random makes some reads come as promises, as they do when they go to disk. */
  constructor(random?: Prng) {
    this.#random = random;
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  get durableAppliedIndex(): LogIndex {
    return this.#durableAppliedIndex;
  }

  get entries(): readonly StoredEntry[] {
    return this.#entries;
  }

  write(batch: TreeBatch, appliedIndex: LogIndex): void {
    for (const { key, version, kind, value } of batch) {
      this.#entries.push({ key: copyBytes(key), version, kind, value: copyBytes(value) });
    }
    this.#appliedIndex = appliedIndex;
  }

  flush(): Promise<void> {
    this.#durableAppliedIndex = this.#appliedIndex;
    return Promise.resolve();
  }

  setSafePoint(version: Timestamp): void {
    this.safePoint = version;
  }

  get(key: Uint8Array, at: Timestamp): MaybePromise<EngineEntry | undefined> {
    if (this.#random?.chance(0.5) !== true) return this.#get(key, at);
    return Promise.resolve().then(() => this.#get(key, at));
  }

  #get(key: Uint8Array, at: Timestamp): StoredEntry | undefined {
    let newest: StoredEntry | undefined;
    for (const entry of this.#entries) {
      if (entry.version > at || compareBytes(entry.key, key) !== 0) continue;
      if (newest === undefined || entry.version >= newest.version) newest = entry;
    }
    return newest;
  }

  openIterator({ lower, upper, at, reverse }: EngineRange): EngineIterator {
    const keys = this.#entries
      .map((entry) => entry.key)
      .filter((key) => compareBytes(lower, key) <= 0 && compareBytes(key, upper) < 0)
      .sort(compareBytes)
      .filter((key, i, all) => i === 0 || compareBytes(key, all[i - 1]) !== 0);
    if (reverse) keys.reverse();
    const records = keys.flatMap((key): EngineRecord[] => {
      const entry = this.#get(key, at);
      return entry === undefined || entry.kind === 'delete' ? [] : [entry];
    });
    let position = 0;
    return {
      next: () => {
        const record = position < records.length ? records[position++] : undefined;
        return this.#random?.chance(0.5) === true ? Promise.resolve(record) : record;
      },
      close: () => {
        position = records.length;
      },
    };
  }
}
