import { assert } from '../../base/assert.js';
import { compareBytes, equalBytes } from '../../base/bytes.js';
import type { Disk } from '../../env/disk.js';
import type { StoredKind } from '../entry.js';
import type { Pending } from '../iterator/entry-iterator.js';
import { equalVersions, type RangeFragment } from '../range/range-tombstones.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import { SstableWriter, type SstableWriterOptions } from '../sstable/sstable-writer.js';
import { tableFileName } from '../version/file-names.js';

/**
 * A table with so many bytes of range tombstones is followed by a new one, as one with so many of everything is: whoever reads a table's
 * ranges has all of them in memory. One fragment is never divided.
 */
export const rangeBytesTarget = 1024 * 1024;

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
  /** What no table has yet of the one that began last. */
  #openRange: RangeFragment | undefined;
  /** How many tables were begun. */
  #begun = 0;
  #writer: SstableWriter | undefined;
  /** The table before the current one is synced while entries are added: one at a time. Undefined once that has succeeded. */
  #writerBefore: SstableWriter | undefined;
  #finishing = Promise.resolve();
  readonly #finished: TableMetadata[] = [];

  constructor(options: OutputOptions, disk: Disk) {
    this.#options = options;
    this.#disk = disk;
  }

  /** As SstableWriter.add. Comes after all range tombstones that begin at `key` or before. */
  add(key: Uint8Array, version: number, kind: StoredKind, value: Uint8Array): Pending {
    const writer = this.#writer;
    if (writer === undefined || this.#isFull(writer, key)) return this.#addToNew(key, version, kind, value);
    return writer.add(key, version, kind, value);
  }

  async #addToNew(key: Uint8Array, version: number, kind: StoredKind, value: Uint8Array): Promise<void> {
    const writer = await this.#writerFor(key);
    await writer.add(key, version, kind, value);
  }

  /** The range tombstones that come next. Their keys must never change. */
  async addRange(range: RangeFragment): Promise<void> {
    const open = this.#openRange;
    if (open !== undefined && equalBytes(open.upper, range.lower) && equalVersions(open, range)) {
      this.#openRange = { ...open, upper: range.upper };
      return;
    }
    const writer = await this.#writerFor(range.lower);
    this.#endRange(writer, range.lower);
    this.#openRange = range;
  }

  #isFull(writer: SstableWriter, nextKey: Uint8Array): boolean {
    return (
      (writer.bytes >= this.#options.sstableBytesTarget || writer.rangeBytes >= rangeBytesTarget) &&
      this.#begun < this.#options.outputsMax &&
      !equalBytes(writer.lastKey, nextKey)
    );
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
    assert(this.#begun < this.#options.outputsMax, 'a compaction ran out of numbers for its tables');
    const number = this.#options.firstOutputNumber + this.#begun;
    this.#writer = await SstableWriter.create(this.#disk, this.#pathOf(number), number, this.#options);
    this.#begun++;
    return this.#writer;
  }

  /** @param end first key of the next table; undefined when there is none */
  async #finishWriter(end: Uint8Array | undefined): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#endRange(writer, end);
    await this.#finishing;
    this.#writerBefore = writer;
    this.#finishing = writer.finish().then((table) => {
      this.#finished.push(table);
      // Not kept: it holds much of what it wrote.
      this.#writerBefore = undefined;
    });
    // Whoever awaits it later learns what went wrong.
    this.#finishing.catch(() => undefined);
    this.#writer = undefined;
  }

  /** In order of keys. Their names are durable once the caller has synced the folder. */
  async finish(): Promise<readonly TableMetadata[]> {
    await this.#finishWriter(undefined);
    await this.#finishing;
    return this.#finished;
  }

  /** Removes them. Never rejects. */
  async abandon(): Promise<void> {
    await this.#finishing.catch(() => undefined);
    await this.#writer?.abandon();
    await this.#writerBefore?.abandon();
    for (const { number } of this.#finished) await this.#disk.remove(this.#pathOf(number)).catch(() => undefined);
  }

  #pathOf(number: number): string {
    return `${this.#options.directory}/${tableFileName(number)}`;
  }
}
