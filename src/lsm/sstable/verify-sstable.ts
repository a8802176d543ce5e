import { equalBytes, keySuccessor } from '../../base/bytes.js';
import { DecodeError } from '../../base/coding.js';
import { Timestamp, timestampMax } from '../../base/ids.js';
import type { MaybePromise } from '../../base/promises.js';
import { decodeValuePointer, type ValuePointer } from '../value/value-file-format.js';
import { compareEntries } from '../entry.js';
import { fragmentsIn } from '../range/range-block.js';
import type { RangeFragment } from '../range/range-tombstones.js';
import { rangeOf, type KeyRange } from '../version/levels.js';
import { BlockCursor } from './block-cursor.js';
import { bloomHash, bloomMayContain } from './bloom-filter.js';
import {
  decodeBlockHandle,
  equalProperties,
  footerBytes,
  isTableOf,
  NamedValueFiles,
  type TableProperties,
} from './sstable-format.js';
import type { SstableReader } from './sstable-reader.js';

/**
 * Reads every byte of a table from the file and checks that its parts agree: checksums, order, index, filter,
 * range tombstones and properties, what it points to (by `follow`), and that the blocks fill the file without gaps. Rejects with the first CorruptionError.
 */
export async function verifySstable(
  table: SstableReader,
  follow: (pointer: ValuePointer) => MaybePromise<unknown> = () => undefined,
): Promise<void> {
  const footer = await table.footer();
  const properties = await table.readProperties();
  const summary = new TableSummary();
  /** Where the block is that is being looked at. */
  let offset = 0;
  try {
    if (properties.entries > 0) {
      const filter = await table.readBlock(footer.filter, false);
      const handles = new BlockCursor(await table.readBlock(footer.index, false));
      for (handles.toFirst(); handles.valid; handles.next()) {
        const handle = decodeBlockHandle(handles.value);
        if (handle.offset !== offset) throw new DecodeError('the index leaves out bytes');
        summary.addBlock(await table.readBlock(handle, false), handle.length, filter);
        for (const pointer of summary.pointers) await follow(pointer);
        if (!summary.endsWith(handles)) throw new DecodeError('the index disagrees about the last entry of a block');
        offset += handle.length;
      }
    }
    if (properties.rangeTombstones > 0) {
      for (const range of fragmentsIn(await table.readBlock(footer.ranges, false))) summary.addRange(range);
    }
    for (const handle of [footer.ranges, footer.filter, footer.index, footer.properties]) {
      if (handle.offset !== offset) throw new DecodeError('blocks do not follow each other');
      offset += handle.length;
    }
    if (offset + footerBytes !== table.metadata.bytes) throw new DecodeError('bytes that belong to no block');
    if (!isTableOf(table.metadata, properties)) throw new DecodeError('properties disagree with the manifest');
    if (!equalProperties(properties, summary.properties)) throw new DecodeError('properties disagree with the entries');
  } catch (error) {
    throw error instanceof DecodeError ? table.corruption(offset, error.message) : error;
  }
}

/** Properties of the blocks that it is shown, counted as the writer of the table must have done. */
class TableSummary {
  #entries = 0;
  #keys = 0;
  #tombstones = 0;
  #rangeTombstones = 0;
  #ranges: KeyRange | undefined;
  #rawBytes = 0;
  #dataBytes = 0;
  #storedBytes = 0;
  #smallestVersion = timestampMax;
  #largestVersion = Timestamp(0);
  #largestEntryVersion = Timestamp(0);
  readonly #valueFiles = new NamedValueFiles();
  /** Of the block that was added last. */
  pointers: ValuePointer[] = [];
  #first: Uint8Array | undefined;
  #last: { readonly key: Uint8Array; readonly version: Timestamp } | undefined;

  get properties(): TableProperties {
    const parts: KeyRange[] = this.#ranges === undefined ? [] : [this.#ranges];
    if (this.#first !== undefined && this.#last !== undefined) {
      parts.push({ smallestKey: this.#first, endKey: keySuccessor(this.#last.key) });
    }
    if (parts.length === 0) throw new DecodeError('a table with nothing in it');
    return {
      entries: this.#entries,
      keys: this.#keys,
      tombstones: this.#tombstones,
      rangeTombstones: this.#rangeTombstones,
      rawBytes: this.#rawBytes,
      dataBytes: this.#dataBytes,
      storedBytes: this.#storedBytes,
      ...rangeOf(parts),
      smallestVersion: this.#smallestVersion,
      largestVersion: this.#largestVersion,
      largestEntryVersion: this.#largestEntryVersion,
      valueFiles: this.#valueFiles.all,
    };
  }

  addBlock(block: Uint8Array, storedBytes: number, filter: Uint8Array): void {
    this.#dataBytes += block.length;
    this.#storedBytes += storedBytes;
    this.pointers = [];
    const cursor = new BlockCursor(block);
    for (cursor.toFirst(); cursor.valid; cursor.next()) {
      if (!bloomMayContain(filter, bloomHash(cursor.key))) throw new DecodeError('the bloom filter lacks a key');
      this.#add(cursor);
    }
  }

  #add({ key, version, kind, value }: BlockCursor): void {
    const last = this.#last;
    if (last !== undefined && compareEntries(last.key, last.version, key, version) >= 0) {
      throw new DecodeError('entries are out of order');
    }
    if (last === undefined || !equalBytes(last.key, key)) this.#keys++;
    this.#entries++;
    if (kind === 'delete') this.#tombstones++;
    this.#rawBytes += key.length + (kind === 'pointer' ? this.#addPointer(value) : value.length);
    if (version > this.#largestEntryVersion) this.#largestEntryVersion = version;
    this.#addVersion(version);
    this.#first ??= key;
    this.#last = { key, version };
  }

  #addPointer(value: Uint8Array): number {
    const pointer = decodeValuePointer(value);
    this.#valueFiles.add(pointer);
    this.pointers.push(pointer);
    return pointer.valueBytes;
  }

  /** Ranges come in order. */
  addRange({ lower, upper, versions }: RangeFragment): void {
    this.#ranges = { smallestKey: this.#ranges?.smallestKey ?? lower, endKey: upper };
    this.#rangeTombstones += versions.length;
    for (const version of versions) this.#addVersion(version);
  }

  #addVersion(version: Timestamp): void {
    if (version < this.#smallestVersion) this.#smallestVersion = version;
    if (version > this.#largestVersion) this.#largestVersion = version;
  }

  endsWith({ key, version }: BlockCursor): boolean {
    return this.#last !== undefined && equalBytes(this.#last.key, key) && this.#last.version === version;
  }
}
