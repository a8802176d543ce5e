import { assert } from '../../base/assert.js';
import { compareBytes, equalBytes } from '../../base/bytes.js';
import type { Disk } from '../../env/disk.js';
import type { StoredKind } from '../entry.js';
import type { Pending } from '../iterator/entry-iterator.js';
import type { RangeFragment, RangeFragments } from '../range/range-tombstones.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import { SstableWriter, type SstableWriterOptions } from '../sstable/sstable-writer.js';
import { tableFileName } from '../version/file-names.js';

export interface OutputOptions extends SstableWriterOptions {
  readonly directory: string;
  /** The numbers of the new tables are this one and the next ones, `outputsMax` at most: the last takes what is left. */
  readonly firstOutputNumber: number;
  readonly outputsMax: number;
  /** See TreeOptions. */
  readonly sstableBytesTarget: number;
}

/**
 * The tables that a merge makes, one after the other. Each begins at a key, where the one before it ends: all versions of
 * a user key go into one table, and a range tombstone that reaches over that key is cut in two there.
 */
export class OutputTables {
  readonly #options: OutputOptions;
  readonly #disk: Disk;
  readonly #ranges: RangeFragments;
  /** Position in `#ranges` of the one that begins next. */
  #nextRange = 0;
  /** What no table has yet of the one that began last. */
  #openRange: RangeFragment | undefined;
  /** Of all tables that were begun. */
  readonly #writers: SstableWriter[] = [];
  #writer: SstableWriter | undefined;
  readonly #finished: TableMetadata[] = [];
  /** The table before the current one is synced while entries are added: one at a time. */
  #finishing = Promise.resolve();

  /** @param ranges the range tombstones of all of them */
  constructor(options: OutputOptions, ranges: RangeFragments, disk: Disk) {
    this.#options = options;
    this.#ranges = ranges;
    this.#disk = disk;
  }

  /** As SstableWriter.add. */
  add(key: Uint8Array, version: number, kind: StoredKind, value: Uint8Array): Pending {
    const writer = this.#writer;
    if (writer === undefined || this.#hasRangeUpTo(key) || this.#isFull(writer, key)) {
      return this.#addToNew(key, version, kind, value);
    }
    return writer.add(key, version, kind, value);
  }

  #isFull(writer: SstableWriter, nextKey: Uint8Array): boolean {
    return (
      writer.bytes >= this.#options.sstableBytesTarget &&
      this.#writers.length < this.#options.outputsMax &&
      !equalBytes(writer.lastKey, nextKey)
    );
  }

  async #addToNew(key: Uint8Array, version: number, kind: StoredKind, value: Uint8Array): Promise<void> {
    while (this.#hasRangeUpTo(key)) await this.#beginRange();
    const writer = await this.#writerFor(key);
    await writer.add(key, version, kind, value);
  }

  #hasRangeUpTo(key: Uint8Array): boolean {
    return this.#nextRange < this.#ranges.length && compareBytes(this.#ranges[this.#nextRange].lower, key) <= 0;
  }

  async #beginRange(): Promise<void> {
    const range = this.#ranges[this.#nextRange++];
    const writer = await this.#writerFor(range.lower);
    this.#endRange(writer, range.lower);
    this.#openRange = range;
  }

  /** Gives the table what there is before `end` of the range that is open. */
  #endRange(writer: SstableWriter, end: Uint8Array | undefined): void {
    const range = this.#openRange;
    if (range === undefined) return;
    if (end === undefined || compareBytes(range.upper, end) <= 0) {
      writer.addRange(range);
      this.#openRange = undefined;
    } else if (compareBytes(range.lower, end) < 0) {
      writer.addRange({ ...range, upper: end });
      this.#openRange = { ...range, lower: end };
    }
  }

  /** For what begins at `key`: the current table if there is one with room, else a new one. */
  async #writerFor(key: Uint8Array): Promise<SstableWriter> {
    if (this.#writer !== undefined && !this.#isFull(this.#writer, key)) return this.#writer;
    await this.#finishWriter(key);
    assert(this.#writers.length < this.#options.outputsMax, 'a compaction ran out of numbers for its tables');
    const number = this.#options.firstOutputNumber + this.#writers.length;
    const path = `${this.#options.directory}/${tableFileName(number)}`;
    const writer = await SstableWriter.create(this.#disk, path, number, this.#options);
    this.#writers.push(writer);
    return (this.#writer = writer);
  }

  /** @param end first key of the next table; undefined when there is none */
  async #finishWriter(end: Uint8Array | undefined): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#endRange(writer, end);
    await this.#finishing;
    this.#finishing = writer.finish().then((table) => void this.#finished.push(table));
    // Whoever awaits it later learns what went wrong.
    this.#finishing.catch(() => undefined);
    this.#writer = undefined;
  }

  /** In order of keys. Their names are durable once the caller has synced the folder. */
  async finish(): Promise<readonly TableMetadata[]> {
    while (this.#nextRange < this.#ranges.length) await this.#beginRange();
    await this.#finishWriter(undefined);
    await this.#finishing;
    return this.#finished;
  }

  /** Removes them. Never rejects. */
  async abandon(): Promise<void> {
    await this.#finishing.catch(() => undefined);
    for (const writer of this.#writers) await writer.abandon();
  }
}
