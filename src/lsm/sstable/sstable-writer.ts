import { assert } from '../../base/assert.js';
import { compareBytes, copyBytes, emptyBytes, keySuccessor } from '../../base/bytes.js';
import { maskedCrc32 } from '../../base/checksum.js';
import { ByteWriter } from '../../base/coding.js';
import { Timestamp } from '../../base/ids.js';
import type { Disk } from '../../env/disk.js';
import { FileOutput } from '../file-output.js';
import { byteOfKind, kindDelete, kindPointer, kindPut, type StoredKind } from '../entry.js';
import type { Pending } from '../iterator/entry-iterator.js';
import { encodedBytes, encodeRangeBlock } from '../range/range-block.js';
import { countVersions, type RangeFragment } from '../range/range-tombstones.js';
import { decodeValuePointer } from '../value/value-file-format.js';
import { BlockWriter } from './block-writer.js';
import { bloomHash, buildBloomFilter } from './bloom-filter.js';
import { compressBlock, type Compression } from './compression.js';
import {
  encodeBlockHandle,
  encodeFooter,
  encodeProperties,
  NamedValueFiles,
  type BlockHandle,
  type TableMetadata,
  type TableProperties,
} from './sstable-format.js';
import { rangeOf, type KeyRange } from '../version/levels.js';

export interface SstableWriterOptions {
  /** See TreeOptions. */
  readonly blockBytes: number;
  /** See TreeOptions. */
  readonly bloomBitsPerKey: number;
  /** Of the data blocks. */
  readonly compression: Compression;
}

/**
 * Writes one table from front to back. The file does not count before `finish` has resolved and its folder is synced;
 * a writer that is not finished must be abandoned.
 */
export class SstableWriter {
  readonly #file: FileOutput;
  readonly #number: number;
  readonly #options: SstableWriterOptions;

  readonly #block = new BlockWriter();
  readonly #index = new BlockWriter();
  readonly #hashes: number[] = [];
  readonly #ranges: RangeFragment[] = [];
  #rangeBytes = 0;
  #entries = 0;
  #tombstones = 0;
  #rawBytes = 0;
  #dataBytes = 0;
  #storedBytes = 0;
  #smallestKey = emptyBytes;
  #lastKey = emptyBytes;
  #lastVersion = 0;
  #smallestVersion = Number.MAX_SAFE_INTEGER;
  #largestEntryVersion = 0;
  readonly #valueFiles = new NamedValueFiles();
  #largestRangeVersion = 0;

  static async create(disk: Disk, path: string, number: number, options: SstableWriterOptions): Promise<SstableWriter> {
    return new SstableWriter(await FileOutput.create(disk, path), number, options);
  }

  private constructor(file: FileOutput, number: number, options: SstableWriterOptions) {
    this.#file = file;
    this.#number = number;
    this.#options = options;
  }

  get entries(): number {
    return this.#entries;
  }

  /** Size that the data has so far. */
  get bytes(): number {
    return this.#file.bytes + (this.#block.empty ? 0 : this.#block.length) + this.#rangeBytes;
  }

  /** About what its range tombstones take so far, as part of `bytes`. */
  get rangeBytes(): number {
    return this.#rangeBytes;
  }

  /** Key of the last entry; empty while there is none. */
  get lastKey(): Uint8Array {
    return this.#lastKey;
  }

  /**
   * Adds the entry that comes next in order. `key` must never change; `value` is copied. The returned promise, if there
   * is one, must be awaited before the next call.
   */
  add(key: Uint8Array, version: number, kind: StoredKind, value: Uint8Array): Pending {
    assert(!this.#file.isFull, 'the last add has not resolved');
    const kindByte = byteOfKind(kind);
    const isNewKey = this.#block.add(key, version, kindByte, value);
    if (this.#entries === 0) this.#smallestKey = key;
    if (this.#entries === 0 || isNewKey) this.#hashes.push(bloomHash(key));
    if (kindByte === kindDelete) this.#tombstones++;
    this.#entries++;
    this.#rawBytes += key.length + (kindByte === kindPointer ? this.#notePointer(value) : value.length);
    this.#lastKey = key;
    this.#lastVersion = version;
    if (version < this.#smallestVersion) this.#smallestVersion = version;
    if (version > this.#largestEntryVersion) this.#largestEntryVersion = version;

    if (this.#block.length < this.#options.blockBytes) return undefined;
    this.#finishDataBlock();
    return this.#file.isFull ? this.#file.flush() : undefined;
  }

  /** @returns how many bytes its value has */
  #notePointer(value: Uint8Array): number {
    const pointer = decodeValuePointer(value);
    this.#valueFiles.add(pointer);
    return pointer.valueBytes;
  }

  /** Adds the range tombstones that come next in order, whatever entries there are. Their keys must never change. */
  addRange(fragment: RangeFragment): void {
    const last = this.#ranges.at(-1);
    assert(compareBytes(fragment.lower, fragment.upper) < 0, 'a range must not be empty');
    assert(last === undefined || compareBytes(last.upper, fragment.lower) <= 0, 'ranges must come in order');
    this.#ranges.push(fragment);
    this.#rangeBytes += encodedBytes(fragment);
    const { versions } = fragment;
    this.#smallestVersion = Math.min(this.#smallestVersion, versions[versions.length - 1]);
    this.#largestRangeVersion = Math.max(this.#largestRangeVersion, versions[0]);
  }

  #finishDataBlock(): void {
    const contents = this.#block.finish();
    const handle = this.#appendBlock(contents, this.#options.compression);
    this.#dataBytes += contents.length;
    this.#storedBytes += handle.length;
    this.#index.add(this.#lastKey, this.#lastVersion, kindPut, encodeBlockHandle(handle));
  }

  #appendBlock(contents: Uint8Array, compression: Compression = 'none'): BlockHandle {
    const { buffer, bytes: offset } = this.#file;
    const start = buffer.length;
    const { bytes, type } = compressBlock(contents, compression);
    const stored = buffer.raw(bytes).u8(type).view().subarray(start);
    return { offset, length: stored.length, checksum: maskedCrc32(stored) };
  }

  #noBlock(): BlockHandle {
    return { offset: this.#file.bytes, length: 0, checksum: 0 };
  }

  /** Writes what is left and syncs the file. The name is durable once the caller has synced the folder. */
  async finish(): Promise<TableMetadata> {
    assert(this.#entries > 0 || this.#ranges.length > 0, 'a table has at least one entry or range tombstone');
    if (!this.#block.empty) this.#finishDataBlock();
    const properties: TableProperties = {
      entries: this.#entries,
      keys: this.#hashes.length,
      tombstones: this.#tombstones,
      rangeTombstones: countVersions(this.#ranges),
      rawBytes: this.#rawBytes,
      dataBytes: this.#dataBytes,
      storedBytes: this.#storedBytes,
      ...this.#range(),
      smallestVersion: Timestamp(this.#smallestVersion),
      largestVersion: Timestamp(Math.max(this.#largestEntryVersion, this.#largestRangeVersion)),
      largestEntryVersion: Timestamp(this.#largestEntryVersion),
      valueFiles: this.#valueFiles.all,
    };
    // Of ranges that overlap each fragment has mostly the versions of the one before it.
    const { compression } = this.#options;
    const hasRanges = this.#ranges.length > 0;
    const ranges = hasRanges ? this.#appendBlock(encodeRangeBlock(this.#ranges), compression) : this.#noBlock();
    const hasEntries = this.#entries > 0;
    const filter = hasEntries
      ? this.#appendBlock(buildBloomFilter(this.#hashes, this.#options.bloomBitsPerKey))
      : this.#noBlock();
    const index = hasEntries ? this.#appendBlock(this.#index.finish()) : this.#noBlock();
    const encoded = new ByteWriter();
    encodeProperties(encoded, properties);
    const footer = encodeFooter({ ranges, filter, index, properties: this.#appendBlock(encoded.view()) });
    this.#file.buffer.raw(footer.bytes);
    await this.#file.finish();
    return {
      ...properties,
      number: this.#number,
      bytes: this.#file.bytes,
      fingerprint: footer.fingerprint,
      trimmed: false,
    };
  }

  /** Of entries and range tombstones together. */
  #range(): KeyRange {
    const entries = { smallestKey: this.#smallestKey, endKey: keySuccessor(this.#lastKey) };
    const ranges = this.#ranges.map(({ lower, upper }) => ({ smallestKey: lower, endKey: upper }));
    const { smallestKey, endKey } = rangeOf(this.#entries === 0 ? ranges : [entries, ...ranges]);
    return { smallestKey: copyBytes(smallestKey), endKey: copyBytes(endKey) };
  }

  /** Closes and removes the file. Never rejects: what stays behind is collected when the tree is opened. */
  abandon(): Promise<void> {
    return this.#file.abandon();
  }
}
