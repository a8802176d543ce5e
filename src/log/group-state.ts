/**
 * One Raft group's log in memory: the view that Raft reads, and where on disk the entries lie. No I/O.
 *
 * Two clocks run here. What the host hands over shows at once in `terms` and the cache; `places`, and the segments
 * of the hard state and of the truncation record, follow when a batch is durable (`entriesDurable` and others).
 *
 * Invariants:
 * - every entry of `firstIndex … lastIndex` is in the cache or has a place;
 * - an entry without a place is in the cache;
 * - `#underWay` holds, in order, the entries that were handed over, or handed out to be written again, and are not
 *   durable; of each append only those up to `liveTo` still count, as a later append may have replaced the rest.
 * While a log is replayed entries may be missing, before and between others: see {@link GroupState.firstMissing}.
 */
import { assert } from '../base/assert.js';
import { LogIndex, Term, type ShardId } from '../base/ids.js';
import type { Entry, HardState, LogView } from '../raft/types.js';
import { EntryCache, type CacheMeter } from './entry-cache.js';
import { EntryPlaces, type EntriesPlace, type SegmentUse } from './entry-places.js';
import type { EntriesType, RecordPlace, TruncationType } from './record.js';
import type { PlacedEntries } from './segment-writer.js';
import { TermRuns } from './term-runs.js';

/** Entries of one append, or of one rewrite, on their way to disk. */
export interface EntriesUnderWay {
  readonly type: EntriesType;
  readonly entries: readonly Entry[];
  /** Those after it were replaced or dropped meanwhile. */
  liveTo: LogIndex;
}

/** What to fetch for a read: records from disk, then what follows in memory. */
export interface ReadPlan {
  readonly places: readonly EntriesPlace[];
  readonly cached: readonly Entry[];
}

export interface DroppedEntry {
  readonly index: LogIndex;
  readonly term: Term;
}

const initialHardState: HardState = { term: Term(0), vote: 0, commit: LogIndex(0) };
const beforeAll = LogIndex(0);

export class GroupState implements LogView {
  readonly id: ShardId;
  #hardState: HardState = initialHardState;
  /** Segment of the newest durable hard state, and of the newest durable truncation record. */
  hardStateSegment: number | undefined;
  truncationSegment: number | undefined;
  /** False until the first append: then nothing of the group is on disk. */
  hasRecords = false;
  #terms = new TermRuns(beforeAll, Term(0));
  readonly #places: EntryPlaces;
  readonly #cache: EntryCache;
  readonly #underWay: EntriesUnderWay[] = [];

  constructor(id: ShardId, use: SegmentUse, meter: CacheMeter) {
    this.id = id;
    this.#places = new EntryPlaces(use);
    this.#cache = new EntryCache(meter, LogIndex(1));
  }

  get firstIndex(): LogIndex {
    return LogIndex(this.#terms.baseIndex + 1);
  }

  get lastIndex(): LogIndex {
    return this.#terms.lastIndex;
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
    this.hasRecords = true;
  }

  get hasCachedEntries(): boolean {
    return this.#cache.firstIndex <= this.lastIndex;
  }

  /** The oldest segment that its durable entries lie in; undefined when it has none. */
  get oldestSegment(): number | undefined {
    return this.#places.isEmpty ? undefined : this.#places.oldestSegment;
  }

  /** That its entries take on disk. */
  get bytes(): number {
    return this.#places.bytes;
  }

  /** The last entry that was dropped, with its term; index 0 when none was. */
  get dropped(): DroppedEntry {
    return { index: this.#terms.baseIndex, term: this.#terms.baseTerm };
  }

  term(index: LogIndex): Term | undefined {
    return this.#terms.term(index);
  }

  entries(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] | undefined {
    this.#assertPresent(from, to);
    return from < this.#cache.firstIndex ? undefined : this.#cache.slice(from, to, bytesMax);
  }

  /** Takes over `entries`; they replace what is there from the first one's index on. Not empty. */
  append(entries: readonly Entry[]): EntriesUnderWay {
    const first = entries[0].index;
    assert(first >= this.firstIndex, `entry ${first} was dropped; the log of shard ${this.id} begins later`);
    assert(first <= this.lastIndex + 1, `entry ${first} leaves a gap after ${this.lastIndex} in shard ${this.id}`);
    if (first <= this.lastIndex) this.#truncateFrom(first);
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, `entry ${entry.index} is not consecutive`);
      this.#terms.push(entry.term);
      this.#cache.push(entry);
    }
    this.hasRecords = true;
    return this.#send('entries', entries);
  }

  /** The first neighbouring records of `segment` that hold live entries, with those, of about `bytesMax` bytes. */
  planRewrite(segment: number, bytesMax: number): readonly EntriesPlace[] {
    return this.#places.inSegment(segment, this.firstIndex, bytesMax);
  }

  /**
   * Hands out again what was read from disk, as far as it is still the log's: `entries`, without those that were
   * dropped or replaced meanwhile. Undefined when nothing is left of them.
   */
  rewrite(entries: readonly Entry[]): EntriesUnderWay | undefined {
    const live = entries.filter(({ index, term }) => index >= this.firstIndex && this.#terms.term(index) === term);
    return live.length === 0 ? undefined : this.#send('rewritten', live);
  }

  /** The oldest append or rewrite is durable, in these records. */
  entriesDurable(append: EntriesUnderWay, records: readonly PlacedEntries[]): void {
    assert(this.#underWay.shift() === append, 'appends become durable in order');
    let first: number = append.entries[0].index;
    for (const record of records) {
      const last = Math.min(first + record.count - 1, append.liveTo);
      if (last >= first && last >= this.firstIndex) {
        if (append.type === 'entries') this.#places.push(LogIndex(first), LogIndex(last), record);
        else this.#replace(LogIndex(Math.max(first, this.firstIndex)), LogIndex(last), record);
      }
      first += record.count;
    }
  }

  /**
   * Drops the entries up to `index`. When the log does not have the entry of `term` there, all of it is dropped:
   * another log takes its place that begins after `index` (a Raft snapshot was installed).
   * Says what is to be recorded; undefined when nothing changed.
   */
  truncatePrefix(index: LogIndex, term: Term): TruncationType | undefined {
    if (index < this.firstIndex) return undefined;
    this.hasRecords = true;
    if (this.#terms.term(index) !== term) {
      this.#reset(index, term);
      return 'reset';
    }
    this.#dropThrough(index, term);
    return 'truncatePrefix';
  }

  /** The group is gone: nothing of it counts, and what is on its way to disk has no place here when it comes there. */
  discard(): void {
    this.#reset(beforeAll, Term(0));
    this.#hardState = initialHardState;
    this.hasRecords = false;
  }

  evict(bytesMax: number): void {
    if (!this.#places.isEmpty) this.#cache.evict(this.#places.lastIndex, bytesMax);
  }

  planRead(from: LogIndex, to: LogIndex, bytesMax: number): ReadPlan {
    this.#assertPresent(from, to);
    const cachedFrom = this.#cache.firstIndex;
    if (from >= cachedFrom) return { places: [], cached: this.#cache.slice(from, to, bytesMax) };
    const places = this.#places.find(from, LogIndex(Math.min(to, cachedFrom - 1)), bytesMax);
    const reachesCache = places[places.length - 1].last === cachedFrom - 1;
    return { places, cached: reachesCache && to >= cachedFrom ? this.#cache.slice(cachedFrom, to, bytesMax) : [] };
  }

  /**
   * Restart: a record of entries was found. Returns false when the log cannot have been written so.
   * The oldest segments are gone, so entries may be missing that a record further on says were dropped, or has again:
   * `firstMissing` tells in the end.
   */
  replayEntries(entries: readonly Entry[], place: RecordPlace): boolean {
    const first = entries[0].index;
    if (first < this.firstIndex) return false;
    if (first <= this.lastIndex) this.#truncateFrom(first);
    else this.#missUpTo(LogIndex(first - 1));
    for (const entry of entries) {
      if (entry.term < this.#terms.lastTerm) return false;
      this.#terms.push(entry.term);
    }
    this.#places.push(first, this.lastIndex, place);
    this.#replayed();
    return true;
  }

  /** Restart: entries were found that had been written again. Returns false when the log cannot have been written so. */
  replayRewritten(entries: readonly Entry[], place: RecordPlace): boolean {
    const first = entries[0].index;
    const last = entries[entries.length - 1].index;
    if (first < this.firstIndex) return false;
    this.#missUpTo(last);
    const terms = entries.map(({ term }) => term);
    if (!this.#terms.fill(first, terms)) return false;
    this.#replace(first, last, place);
    this.#replayed();
    return true;
  }

  replayHardState(hardState: HardState, segment: number): void {
    this.#hardState = hardState;
    this.hardStateSegment = segment;
    this.hasRecords = true;
  }

  replayTruncation(record: DroppedEntry & { readonly type: TruncationType }, segment: number): void {
    const { type, index, term } = record;
    this.truncationSegment = segment;
    this.hasRecords = true;
    if (index < this.firstIndex) return;
    if (type === 'reset' || index > this.lastIndex) this.#reset(index, term);
    else this.#dropThrough(index, term);
  }

  /** After a replay: an entry that was neither dropped nor found; undefined when there is none. */
  get firstMissing(): LogIndex | undefined {
    return this.#terms.firstUnknown;
  }

  /** After a replay: what was dropped had been committed, even where no hard state came to say so. */
  raiseCommit(): void {
    const commit = this.#terms.baseIndex;
    if (this.#hardState.commit < commit) this.#hardState = { ...this.#hardState, commit };
  }

  #send(type: EntriesType, entries: readonly Entry[]): EntriesUnderWay {
    const append = { type, entries, liveTo: entries[entries.length - 1].index };
    this.#underWay.push(append);
    return append;
  }

  #replace(first: LogIndex, last: LogIndex, record: RecordPlace): void {
    this.#places.replace(first, last, record);
    // Of a record that the log begins in the middle of, the rest is not needed.
    this.#places.dropThrough(LogIndex(this.firstIndex - 1));
  }

  #replayed(): void {
    this.#cache.reset(LogIndex(this.lastIndex + 1));
    this.hasRecords = true;
  }

  #missUpTo(index: LogIndex): void {
    if (index <= this.lastIndex) return;
    this.#places.pushMissing(LogIndex(this.lastIndex + 1), index);
    this.#terms.pushUnknown(index);
  }

  #dropThrough(index: LogIndex, term: Term): void {
    this.#terms.dropThrough(index, term);
    this.#places.dropThrough(index);
    this.#cache.dropThrough(index);
  }

  #reset(baseIndex: LogIndex, baseTerm: Term): void {
    this.#terms = new TermRuns(baseIndex, baseTerm);
    this.#places.truncateFrom(beforeAll);
    this.#cache.reset(LogIndex(baseIndex + 1));
    for (const append of this.#underWay) append.liveTo = beforeAll;
  }

  #truncateFrom(index: LogIndex): void {
    this.#terms.truncateFrom(index);
    this.#places.truncateFrom(index);
    this.#cache.truncateFrom(index);
    const last = LogIndex(index - 1);
    for (const append of this.#underWay) if (append.liveTo > last) append.liveTo = last;
  }

  #assertPresent(from: LogIndex, to: LogIndex): void {
    assert(
      from >= this.firstIndex && from <= to && to <= this.lastIndex,
      `shard ${this.id} has no entries ${from} to ${to}, only ${this.firstIndex} to ${this.lastIndex}`,
    );
  }
}
