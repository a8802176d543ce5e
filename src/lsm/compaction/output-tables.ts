import { assert } from '../../base/assert.js';
import { compareBytes, equalBytes } from '../../base/bytes.js';
import type { Disk } from '../../env/disk.js';
import type { Kind } from '../entry.js';
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
  readonly #finished: TableMetadata[] = [];
  #writer: SstableWriter | undefined;
  #created = 0;

  /** @param ranges the range tombstones of all of them */
  constructor(options: OutputOptions, ranges: RangeFragments, disk: Disk) {
    this.#options = options;
    this.#ranges = ranges;
    this.#disk = disk;
  }

  /** As SstableWriter.add. */
  add(key: Uint8Array, version: number, kind: Kind, value: Uint8Array): Pending {
    const writer = this.#writer;
    if (writer === undefined || this.#hasRangeUpTo(key) || this.#isFull(writer, key)) {
      return this.#addToNew(key, version, kind, value);
    }
    return writer.add(key, version, kind, value);
  }

  #isFull(writer: SstableWriter, nextKey: Uint8Array): boolean {
    return (
      writer.bytes >= this.#options.sstableBytesTarget &&
      this.#created < this.#options.outputsMax &&
      !equalBytes(writer.lastKey, nextKey)
    );
  }

  async #addToNew(key: Uint8Array, version: number, kind: Kind, value: Uint8Array): Promise<void> {
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
    const number = this.#options.firstOutputNumber + this.#created++;
    assert(this.#created <= this.#options.outputsMax, 'a compaction ran out of numbers for its tables');
    return (this.#writer = await SstableWriter.create(this.#disk, this.#path(number), number, this.#options));
  }

  /** @param end first key of the next table; undefined when there is none */
  async #finishWriter(end: Uint8Array | undefined): Promise<void> {
    if (this.#writer === undefined) return;
    this.#endRange(this.#writer, end);
    this.#finished.push(await this.#writer.finish());
    this.#writer = undefined;
  }

  /** In order of keys. Their names are durable once the caller has synced the folder. */
  async finish(): Promise<readonly TableMetadata[]> {
    while (this.#nextRange < this.#ranges.length) await this.#beginRange();
    await this.#finishWriter(undefined);
    return this.#finished;
  }

  /** Removes them. Never rejects. */
  async abandon(): Promise<void> {
    await this.#writer?.abandon();
    for (const { number } of this.#finished) await this.#disk.remove(this.#path(number)).catch(() => undefined);
  }

  #path(number: number): string {
    return `${this.#options.directory}/${tableFileName(number)}`;
  }
}
