/** The read views that iterators hold: what memtables and tables they keep from being given back, and for how long. */
import type { Clock } from '../env/clock.js';
import type { Logger } from '../env/logger.js';
import type { Memtable } from './memtable/memtable.js';
import type { MemtableQueue } from './memtable/memtable-queue.js';
import type { LsmVersion } from './version/lsm-version.js';
import type { VersionSet } from './version/version-set.js';

/** Somebody has probably forgotten to close an iterator that is open for so long. */
const oldViewMs = 5 * 60_000;

/** As it is now. */
export interface ReadViewMetrics {
  /** Iterators that were not closed. */
  readonly open: number;
  /** Age of the oldest of them, in milliseconds; 0 without any. */
  readonly oldestMs: number;
  /** Memory of memtables that were flushed and that only views hold: no budget counts it. */
  readonly memtableBytes: number;
  /** Files of tables that were replaced and that only views keep on the disk. */
  readonly tableBytes: number;
}

interface ReadView {
  readonly openedMs: number;
  readonly memtables: readonly Memtable[];
  readonly version: LsmVersion;
}

interface Places {
  readonly memtables: MemtableQueue;
  readonly versions: VersionSet;
}

export class ReadViews {
  readonly #places: Places;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** The oldest first. */
  readonly #open = new Set<ReadView>();
  #warnedOf: ReadView | undefined;

  constructor(places: Places, { clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#places = places;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Holds the current state; the result gives it back, and is called once. */
  open(): () => void {
    const { memtables, versions } = this.#places;
    const version = versions.current;
    const view = { openedMs: this.#clock.monotonicMs(), memtables: memtables.all, version };
    version.retain();
    this.#open.add(view);
    return () => {
      this.#open.delete(view);
      version.release();
    };
  }

  get metrics(): ReadViewMetrics {
    const { memtables, versions } = this.#places;
    const liveMemtables = new Set(memtables.all);
    const liveTables = new Set(versions.current.tables());
    const heldMemtables = new Set<Memtable>();
    const heldVersions = new Set<LsmVersion>();
    for (const view of this.#open) {
      for (const memtable of view.memtables) if (!liveMemtables.has(memtable)) heldMemtables.add(memtable);
      heldVersions.add(view.version);
    }
    const heldTables = new Set([...heldVersions].flatMap((version) => [...version.tables()]));
    let memtableBytes = 0;
    for (const memtable of heldMemtables) memtableBytes += memtable.memoryBytes;
    let tableBytes = 0;
    for (const table of heldTables) if (!liveTables.has(table)) tableBytes += table.reader.metadata.bytes;
    return { open: this.#open.size, oldestMs: this.#oldestMs, memtableBytes, tableBytes };
  }

  get #oldest(): ReadView | undefined {
    for (const view of this.#open) return view;
    return undefined;
  }

  get #oldestMs(): number {
    const oldest = this.#oldest;
    return oldest === undefined ? 0 : this.#clock.monotonicMs() - oldest.openedMs;
  }

  /** To be called now and then. Warns of each view once, when it is the oldest one. */
  warnIfOld(): void {
    const oldest = this.#oldest;
    if (oldest === undefined || oldest === this.#warnedOf || this.#oldestMs < oldViewMs) return;
    this.#warnedOf = oldest;
    const { directory } = this.#places.versions;
    this.#logger.warn('an iterator holds memtables and tables for long', { directory, ...this.metrics });
  }
}
