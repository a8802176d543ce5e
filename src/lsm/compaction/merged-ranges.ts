import { defined } from '../../base/assert.js';
import { compareBytes, emptyBytes } from '../../base/bytes.js';
import { mapVersions, mergeRanges, type RangeStream } from '../range/merge-ranges.js';
import { newestAt, type RangeFragment } from '../range/range-tombstones.js';
import { outlivingVersions, visibleVersions, type RetentionOptions } from './retention.js';

/**
 * The range tombstones of all that is merged, in order of keys. In memory is one fragment of all, beside what
 * the runs have in memory: of n that overlap above the safe point there are up to n² versions, which are never in one place.
 */
export class MergedRanges {
  readonly #options: RetentionOptions;
  readonly #stream: RangeStream;
  /** The one that begins next. */
  #next: RangeFragment | undefined;
  /** Where the one that began last ends. */
  #end = emptyBytes;
  /** What that one hides from all reads. */
  #below = 0;

  /** @param runs what each run of the merge has */
  constructor(options: RetentionOptions, runs: readonly RangeStream[]) {
    const { safePoint } = (this.#options = options);
    const visible = ({ versions }: RangeFragment): RangeFragment['versions'] => visibleVersions(versions, safePoint);
    // Each by itself first: lists of many versions that overlap would multiply, for nobody.
    const streams = runs.map((run) => mapVersions(run, visible));
    this.#stream = mapVersions(mergeRanges(streams), visible);
  }

  async start(): Promise<void> {
    this.#next = (await this.#stream.next()).value ?? undefined;
  }

  /** Whether the next one, if there is one, begins at `key` or before; undefined stands for the end of all keys. */
  beginsBy(key: Uint8Array | undefined): boolean {
    return this.#next !== undefined && (key === undefined || compareBytes(this.#next.lower, key) <= 0);
  }

  /** Begins the next one. What outlives the merge of it: dropped is what an entry in its place would be. */
  async begin(): Promise<RangeFragment | undefined> {
    const fragment = defined(this.#next, 'a range that begins');
    this.#next = (await this.#stream.next()).value ?? undefined;
    this.#end = fragment.upper;
    this.#below = newestAt(fragment, this.#options.safePoint);
    const versions = outlivingVersions(fragment.versions, this.#options);
    return versions.length === 0 ? undefined : { ...fragment, versions };
  }

  /** Entries of `key` of versions below this one are hidden from all reads; 0 if none are. All that begin by `key` have begun. */
  hiddenBelow(key: Uint8Array): number {
    return this.#below > 0 && compareBytes(key, this.#end) < 0 ? this.#below : 0;
  }
}
