/** The slow, obvious twin of the tree: every version that was written and not dropped, in plain lists. */
import { assert } from '../../src/base/assert.js';
import { compareBytes, copyBytes, mapKey } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import type { Prng } from '../../src/base/prng.js';
import type { MaybePromise } from '../../src/base/promises.js';
import type { TreeBatch } from '../../src/lsm/tree-batch.js';
import type { Engine, EngineEntry, EngineIterator, EngineRange, EngineRecord } from '../../src/mvcc/engine.js';

interface StoredEntry extends EngineEntry {
  readonly key: Uint8Array;
}

interface WrittenBatch {
  readonly appliedIndex: LogIndex;
  readonly entries: readonly StoredEntry[];
}

export class NaiveEngine implements Engine {
  readonly #batches: WrittenBatch[] = [];
  readonly #byKey = new Map<string, StoredEntry[]>();
  readonly #random: Prng | undefined;
  #durableAppliedIndex = LogIndex(0);
  safePoint = Timestamp(0);

  /** @param random makes some reads come as promises, as they do when they go to disk. */
  constructor(random?: Prng) {
    this.#random = random;
  }

  get appliedIndex(): LogIndex {
    return this.#batches.at(-1)?.appliedIndex ?? LogIndex(0);
  }

  get durableAppliedIndex(): LogIndex {
    return this.#durableAppliedIndex;
  }

  write(batch: TreeBatch, appliedIndex: LogIndex): void {
    const entries = [...batch].map((entry) => ({ ...entry, key: copyBytes(entry.key), value: copyBytes(entry.value) }));
    this.#add({ appliedIndex, entries });
  }

  #add(batch: WrittenBatch): void {
    assert(batch.appliedIndex > this.appliedIndex, `applied index ${batch.appliedIndex} after ${this.appliedIndex}`);
    this.#batches.push(batch);
    for (const entry of batch.entries) {
      const key = mapKey(entry.key);
      this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), entry]);
    }
  }

  flush(): Promise<void> {
    this.#durableAppliedIndex = this.appliedIndex;
    return Promise.resolve();
  }

  setSafePoint(version: Timestamp): void {
    this.safePoint = version;
  }

  /** What compaction may do: drops every version that another one at or below the safe point has replaced. */
  dropReplaced(): void {
    for (const [key, versions] of this.#byKey) {
      const kept = newest(versions, this.safePoint)?.version ?? 0;
      this.#byKey.set(
        key,
        versions.filter(({ version }) => version >= kept),
      );
    }
  }

  /** What is there after a power loss. */
  reopened(): NaiveEngine {
    const engine = new NaiveEngine(this.#random);
    for (const batch of this.#batches) if (batch.appliedIndex <= this.#durableAppliedIndex) engine.#add(batch);
    engine.#durableAppliedIndex = this.#durableAppliedIndex;
    return engine;
  }

  get(key: Uint8Array, at: Timestamp): MaybePromise<EngineEntry | undefined> {
    const read = (): EngineEntry | undefined => newest(this.#byKey.get(mapKey(key)) ?? [], at);
    return this.#random?.chance(0.5) === true ? Promise.resolve().then(read) : read();
  }

  openIterator({ lower, upper, at, reverse }: EngineRange): EngineIterator {
    const records: EngineRecord[] = [];
    for (const versions of this.#byKey.values()) {
      const { key } = versions[0];
      if (compareBytes(lower, key) > 0 || compareBytes(key, upper) >= 0) continue;
      const entry = newest(versions, at);
      if (entry?.kind === 'put') records.push(entry);
    }
    records.sort((a, b) => compareBytes(a.key, b.key));
    if (reverse) records.reverse();
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

function newest(versions: readonly StoredEntry[], at: Timestamp): StoredEntry | undefined {
  let best: StoredEntry | undefined;
  for (const entry of versions) {
    if (entry.version <= at && (best === undefined || entry.version >= best.version)) best = entry;
  }
  return best;
}
