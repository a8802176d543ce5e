import { defined } from '../../base/assert.js';

/** Keys and values are strings of bytes (latin1): compared and shown more easily than arrays. */
export interface ModelEntry {
  /** Of a range: the first one. */
  readonly key: string;
  readonly version: number;
  readonly kind: 'put' | 'delete' | 'deleteRange';
  /** Of a put; of a range the key that ends it. */
  readonly value: string;
}

export interface ModelRecord {
  readonly key: string;
  readonly version: number;
  readonly value: string;
}

export interface ModelBounds {
  readonly lower: string;
  readonly upper: string | undefined;
}

interface PlacedEntry {
  readonly entry: ModelEntry;
  /** Of its batch. */
  readonly index: number;
}

/**
 * What a tree must hold, by the obvious way: all batches that were written, and a plain map of all versions of each key.
 * Batch i has applied index i. `through` asks for the state after that many batches: what a crash may leave.
 */
export class EngineModel {
  readonly #batches: (readonly ModelEntry[])[] = [];
  /** In the order of writing. */
  readonly #versions = new Map<string, PlacedEntry[]>();
  readonly #ranges: PlacedEntry[] = [];
  #newestVersion = 1;

  get appliedIndex(): number {
    return this.#batches.length;
  }

  /** The largest version that was written, or 1. */
  get newestVersion(): number {
    return this.#newestVersion;
  }

  /** @returns the applied index of the batch */
  add(batch: readonly ModelEntry[]): number {
    this.#batches.push(batch);
    for (const entry of batch) {
      const placed = { entry, index: this.appliedIndex };
      const versions = this.#versions.get(entry.key) ?? [];
      if (entry.kind === 'deleteRange') this.#ranges.push(placed);
      else this.#versions.set(entry.key, [...versions, placed]);
      this.#newestVersion = Math.max(this.#newestVersion, entry.version);
    }
    return this.appliedIndex;
  }

  batch(appliedIndex: number): readonly ModelEntry[] {
    return defined(this.#batches[appliedIndex - 1], `batch ${appliedIndex}`);
  }

  /** The value that the key has at a version; undefined when it has none or was deleted. */
  get(key: string, at: number, through = this.appliedIndex): ModelRecord | undefined {
    let newest: ModelEntry | undefined;
    for (const { entry, index } of this.#versions.get(key) ?? []) {
      if (index > through) break;
      // Of equal versions the later one counts.
      if (entry.version <= at && (newest === undefined || entry.version >= newest.version)) newest = entry;
    }
    if (newest?.kind !== 'put' || this.#isHidden(newest, at, through)) return undefined;
    const { version, value } = newest;
    return { key, version, value };
  }

  /** A range hides what is of lower versions, whenever that was written. */
  #isHidden({ key, version }: ModelEntry, at: number, through: number): boolean {
    return this.#ranges.some(
      ({ entry, index }) =>
        index <= through && entry.version <= at && entry.version > version && entry.key <= key && key < entry.value,
    );
  }

  /** In the order of keys. */
  scan({ lower, upper }: ModelBounds, at: number, through = this.appliedIndex): ModelRecord[] {
    const records: ModelRecord[] = [];
    for (const key of this.#versions.keys()) {
      if (key < lower || (upper !== undefined && key >= upper)) continue;
      const record = this.get(key, at, through);
      if (record !== undefined) records.push(record);
    }
    return records.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** A model of its own of the state after `through` batches, within bounds: what a checkpoint holds. */
  part({ lower, upper }: ModelBounds, through: number): EngineModel {
    const part = new EngineModel();
    for (let index = 1; index <= through; index++) {
      const isIn = ({ key, kind }: ModelEntry): boolean =>
        kind === 'deleteRange' || (key >= lower && (upper === undefined || key < upper));
      part.add(this.batch(index).filter(isIn));
    }
    return part;
  }
}
