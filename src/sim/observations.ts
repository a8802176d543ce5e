/**
 * What clients were told, apart from the histories of single keys: versions, scans and stale reads. At the end
 * `checkObservations` holds it against what was promised.
 */
/** What a key has: a value, or null where it was deleted. */
export type SeenValue = string | null;

/** Virtual times of an operation's first call and of its answer. */
export interface Span {
  readonly calledMs: number;
  readonly returnedMs: number;
}

/** One write of those that take effect together. */
export interface SeenWrite {
  readonly key: string;
  readonly value: SeenValue;
}

export interface AcknowledgedWrite extends Span {
  readonly key: string;
  readonly version: number;
}

export interface SeenRecord {
  readonly key: string;
  readonly version: number;
  /** Undefined in a scan of keys only. */
  readonly value: string | undefined;
}

export interface SeenScan extends Span {
  readonly readTs: number;
  /** Whether `readTs` was got for this scan, and not asked for by the client. */
  readonly isFresh: boolean;
  /** Keys of the workload that it has covered, with a record or without. */
  readonly covered: readonly string[];
  readonly records: readonly SeenRecord[];
}

export interface StaleRead extends Span {
  readonly key: string;
  /** 0 when the key was absent. */
  readonly version: number;
}

export class Observations {
  readonly writes: AcknowledgedWrite[] = [];
  readonly scans: SeenScan[] = [];
  readonly staleReads: StaleRead[] = [];
  /** What was wrong as soon as it was seen. */
  readonly violations: string[] = [];
  /** By key, by version. */
  readonly #versions = new Map<string, Map<number, SeenValue>>();
  /** By version, which is unique in the whole cluster: the keys that were written together. */
  readonly #keysOf = new Map<number, string>();
  /** By value: all that is written together with it. */
  readonly #together = new Map<string, readonly SeenWrite[]>();
  /** Every value is written once: a second version of it is a write that took effect twice. */
  readonly #versionOf = new Map<string, number>();
  /** Deletes with an unknown outcome, by key: when the first of them was called. */
  readonly #maybeDeletedMs = new Map<string, number>();

  /** These will take effect together, if at all: seen of one of them, a version is that of all. */
  willWriteTogether(writes: readonly SeenWrite[]): void {
    for (const { value } of writes) if (value !== null) this.#together.set(value, writes);
  }

  /** Writes and deletes were acknowledged, as one. */
  wrote(writes: readonly SeenWrite[], version: number, span: Span): void {
    this.#learnAll(writes, version);
    for (const { key } of writes) this.writes.push({ key, version, ...span });
  }

  /** A delete has an unknown outcome: it may take effect at any time after `calledMs`. */
  mayHaveDeleted(key: string, calledMs: number): void {
    this.#maybeDeletedMs.set(key, Math.min(calledMs, this.#maybeDeletedMs.get(key) ?? Infinity));
  }

  /** A read, or the answer to a refused write, showed this. */
  saw({ key, version, value }: SeenRecord): void {
    if (value !== undefined) this.#learn(key, version, value);
  }

  violated(what: string): void {
    this.violations.push(what);
  }

  /** All known versions of the key, ascending. */
  versions(key: string): { readonly version: number; readonly value: SeenValue }[] {
    const known = [...(this.#versions.get(key) ?? [])].map(([version, value]) => ({ version, value }));
    return known.sort((a, b) => a.version - b.version);
  }

  /** At which the key got this value; undefined where that is not known, or was another key. */
  versionOf(key: string, value: string): number | undefined {
    const version = this.#versionOf.get(value);
    return version !== undefined && this.#versions.get(key)?.get(version) === value ? version : undefined;
  }

  mayBeDeletedBy(key: string, atMs: number): boolean {
    return (this.#maybeDeletedMs.get(key) ?? Infinity) <= atMs;
  }

  #learn(key: string, version: number, value: SeenValue): void {
    const together = value === null ? undefined : this.#together.get(value);
    this.#learnAll(together?.some((write) => write.key === key) === true ? together : [{ key, value }], version);
  }

  #learnAll(writes: readonly SeenWrite[], version: number): void {
    const keys = writes
      .map(({ key }) => key)
      .sort()
      .join('+');
    for (const { key, value } of writes) this.#learnOne(key, version, value, keys);
  }

  #learnOne(key: string, version: number, value: SeenValue, keys: string): void {
    const show = (shown: SeenValue | undefined): string => shown ?? 'a delete';
    const versions = this.#versions.get(key) ?? new Map<number, SeenValue>();
    this.#versions.set(key, versions);
    if (versions.has(version)) {
      const before = versions.get(version);
      if (before !== value) this.violated(`version ${version} of ${key} is ${show(before)} and ${show(value)}`);
      return;
    }
    versions.set(version, value);
    const others = this.#keysOf.get(version);
    if (others !== undefined && others !== keys)
      this.violated(`${others} and ${keys} have the same version ${version}`);
    this.#keysOf.set(version, keys);
    if (value === null) return;
    const twice = this.#versionOf.get(value);
    if (twice !== undefined) this.violated(`${value} was written twice, at ${twice} and at ${version}`);
    this.#versionOf.set(value, version);
  }
}
