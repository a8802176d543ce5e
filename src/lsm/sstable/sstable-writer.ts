import { assert } from '../../base/assert.js';
import { equalBytes, copyBytes, emptyBytes } from '../../base/bytes.js';
import { maskedCrc32 } from '../../base/checksum.js';
import { ByteWriter } from '../../base/coding.js';
import { Timestamp } from '../../base/ids.js';
import type { Disk, DiskFile } from '../../env/disk.js';
import { byteOfKind, compareEntries, kindDelete, kindPut, type Kind } from '../entry.js';
import type { Pending } from '../iterator/entry-iterator.js';
import { BlockWriter } from './block-writer.js';
import { bloomHash, buildBloomFilter } from './bloom-filter.js';
import { compressBlock, type Compression } from './compression.js';
import {
  encodeBlockHandle,
  encodeFooter,
  encodeProperties,
  type BlockHandle,
  type TableMetadata,
  type TableProperties,
} from './sstable-format.js';

/** Written at a time: large enough for the disk, small enough to encode without holding up the event loop. */
const writeBytes = 256 * 1024;

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
  readonly #disk: Disk;
  readonly #file: DiskFile;
  readonly #number: number;
  readonly #options: SstableWriterOptions;

  readonly #block = new BlockWriter();
  readonly #index = new BlockWriter();
  readonly #hashes: number[] = [];
  /** Finished blocks that are not written yet. */
  readonly #buffer = new ByteWriter();
  /** Bytes written; the buffer comes after them. */
  #written = 0;
  #writing = false;

  #entries = 0;
  #tombstones = 0;
  #rawBytes = 0;
  #dataBytes = 0;
  #storedBytes = 0;
  #smallestKey = emptyBytes;
  #lastKey = emptyBytes;
  #lastVersion = 0;
  #smallestVersion = Number.MAX_SAFE_INTEGER;
  #largestVersion = 0;

  static async create(disk: Disk, path: string, number: number, options: SstableWriterOptions): Promise<SstableWriter> {
    return new SstableWriter(disk, await disk.open(path, 'create'), number, options);
  }

  private constructor(disk: Disk, file: DiskFile, number: number, options: SstableWriterOptions) {
    this.#disk = disk;
    this.#file = file;
    this.#number = number;
    this.#options = options;
  }

  get entries(): number {
    return this.#entries;
  }

  /** Size that the data has so far. */
  get bytes(): number {
    return this.#written + this.#buffer.length + (this.#block.empty ? 0 : this.#block.length);
  }

  /** Key of the last entry. */
  get lastKey(): Uint8Array {
    return this.#lastKey;
  }

  /**
   * Adds the entry that comes next in order. `key` must never change; `value` is copied. The returned promise, if there
   * is one, must be awaited before the next call.
   */
  add(key: Uint8Array, version: number, kind: Kind, value: Uint8Array): Pending {
    assert(!this.#writing, 'the last add has not resolved');
    const first = this.#entries === 0;
    assert(
      first || compareEntries(this.#lastKey, this.#lastVersion, key, version) < 0,
      'entries of a table must come in order, and each once',
    );
    const kindByte = byteOfKind(kind);
    this.#block.add(key, version, kindByte, value);
    if (first) this.#smallestKey = key;
    if (first || !equalBytes(this.#lastKey, key)) this.#hashes.push(bloomHash(key));
    if (kindByte === kindDelete) this.#tombstones++;
    this.#entries++;
    this.#rawBytes += key.length + value.length;
    this.#lastKey = key;
    this.#lastVersion = version;
    this.#smallestVersion = Math.min(this.#smallestVersion, version);
    this.#largestVersion = Math.max(this.#largestVersion, version);

    if (this.#block.length < this.#options.blockBytes) return undefined;
    this.#finishDataBlock();
    return this.#buffer.length < writeBytes ? undefined : this.#writeBuffer();
  }

  #finishDataBlock(): void {
    const contents = this.#block.finish();
    const handle = this.#appendBlock(contents, this.#options.compression);
    this.#dataBytes += contents.length;
    this.#storedBytes += handle.length;
    this.#index.add(this.#lastKey, this.#lastVersion, kindPut, encodeBlockHandle(handle));
  }

  #appendBlock(contents: Uint8Array, compression: Compression = 'none'): BlockHandle {
    const offset = this.#written + this.#buffer.length;
    const start = this.#buffer.length;
    const { bytes, type } = compressBlock(contents, compression);
    const stored = this.#buffer.raw(bytes).u8(type).view().subarray(start);
    return { offset, length: stored.length, checksum: maskedCrc32(stored) };
  }

  async #writeBuffer(): Promise<void> {
    this.#writing = true;
    await this.#file.write(this.#buffer.view(), this.#written);
    this.#writing = false;
    this.#written += this.#buffer.length;
    this.#buffer.reset();
  }

  /** Writes what is left and syncs the file. The name is durable once the caller has synced the folder. */
  async finish(): Promise<TableMetadata> {
    assert(this.#entries > 0, 'a table has at least one entry');
    if (!this.#block.empty) this.#finishDataBlock();
    const properties: TableProperties = {
      entries: this.#entries,
      keys: this.#hashes.length,
      tombstones: this.#tombstones,
      rawBytes: this.#rawBytes,
      dataBytes: this.#dataBytes,
      storedBytes: this.#storedBytes,
      smallestKey: copyBytes(this.#smallestKey),
      largestKey: copyBytes(this.#lastKey),
      smallestVersion: Timestamp(this.#smallestVersion),
      largestVersion: Timestamp(this.#largestVersion),
    };
    const filter = this.#appendBlock(buildBloomFilter(this.#hashes, this.#options.bloomBitsPerKey));
    const index = this.#appendBlock(this.#index.finish());
    const encoded = new ByteWriter();
    encodeProperties(encoded, properties);
    const footer = encodeFooter({ filter, index, properties: this.#appendBlock(encoded.view()) });
    this.#buffer.raw(footer.bytes);
    await this.#writeBuffer();
    await this.#file.sync();
    await this.#file.close();
    return {
      ...properties,
      number: this.#number,
      bytes: this.#written,
      fingerprint: footer.fingerprint,
      trimmed: false,
    };
  }

  /** Closes and removes the file. Never rejects: what stays behind is collected when the tree is opened. */
  async abandon(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await this.#disk.remove(this.#file.path).catch(() => undefined);
  }
}
