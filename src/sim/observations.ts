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
  /** Versions are unique in the whole cluster. */
  readonly #keyOf = new Map<number, string>();
  /** Every value is written once: a second version of it is a write that took effect twice. */
  readonly #versionOf = new Map<string, number>();
  /** Deletes with an unknown outcome, by key: when the first of them was called. */
  readonly #maybeDeletedMs = new Map<string, number>();

  /** A write or delete was acknowledged. */
  wrote(key: string, value: SeenValue, version: number, span: Span): void {
    this.#learn(key, version, value);
    this.writes.push({ key, version, ...span });
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

  versionOf(value: string): number | undefined {
    return this.#versionOf.get(value);
  }

  mayBeDeletedBy(key: string, atMs: number): boolean {
    return (this.#maybeDeletedMs.get(key) ?? Infinity) <= atMs;
  }

  #learn(key: string, version: number, value: SeenValue): void {
    const show = (shown: SeenValue | undefined): string => shown ?? 'a delete';
    const versions = this.#versions.get(key) ?? new Map<number, SeenValue>();
    this.#versions.set(key, versions);
    if (versions.has(version)) {
      const before = versions.get(version);
      if (before !== value) this.violated(`version ${version} of ${key} is ${show(before)} and ${show(value)}`);
      return;
    }
    versions.set(version, value);
    const other = this.#keyOf.get(version);
    if (other !== undefined) this.violated(`${other} and ${key} have the same version ${version}`);
    this.#keyOf.set(version, key);
    if (value === null) return;
    const twice = this.#versionOf.get(value);
    if (twice !== undefined) this.violated(`${value} was written twice, at ${twice} and at ${version}`);
    this.#versionOf.set(value, version);
  }
}
