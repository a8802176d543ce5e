import { compareBytes } from '../../base/bytes.js';
import { maskedCrc32 } from '../../base/checksum.js';
import { ByteReader } from '../../base/coding.js';
import type { CorruptionError } from '../../base/errors.js';
import { rejection, type MaybePromise } from '../../base/promises.js';
import type { BlockCachePartition } from '../block-cache.js';
import type { StoredFound } from '../entry.js';
import { FileInput } from '../file-input.js';
import { decodeRangeBlock } from '../range/range-block.js';
import { clipFragments, countVersions, noFragments, type RangeFragments } from '../range/range-tombstones.js';
import { BlockSearch } from './block-search.js';
import { bloomMayContain } from './bloom-filter.js';
import { decompressBlock, lentContents } from './compression.js';
import { copyOfLent, lentBytes } from './lent-bytes.js';
import { ownedValue } from './owned-value.js';
import type { ReadAheadSource } from './read-ahead.js';
import {
  decodeBlockHandle,
  decodeFooter,
  decodeProperties,
  footerBytes,
  type BlockHandle,
  type Footer,
  type TableMetadata,
  type TableProperties,
} from './sstable-format.js';
import type { ReadCounters, SstableResources } from './sstable-resources.js';

/** What a range tombstone takes in memory beside its bytes in the block: two views, the list of its versions, itself. */
const fragmentBytes = 440;

/**
 * Reads one table. Nothing is handed out that its checksum does not cover: a reader answers rightly, or rejects with a
 * CorruptionError that names file and offset.
 */
export class SstableReader implements ReadAheadSource<BlockHandle> {
  readonly metadata: TableMetadata;
  readonly #cache: BlockCachePartition;
  readonly #counters: ReadCounters;
  readonly #file: FileInput;
  /** By offset: after a flush or a restart thousands of gets ask for the same filter and index at one time. */
  readonly #reading = new Map<number, Promise<Uint8Array>>();
  #readingFooter: Promise<Footer> | undefined;
  #footer: Footer | undefined;
  #readingRanges: Promise<RangeFragments> | undefined;
  #ranges: RangeFragments | undefined;
  #skippedEntries = 0;

  constructor(path: string, metadata: TableMetadata, { disk, cache, openFiles, counters }: SstableResources) {
    this.metadata = metadata;
    this.#cache = cache;
    this.#counters = counters;
    this.#file = new FileInput(path, 'table', { disk, openFiles });
  }

  get path(): string {
    return this.#file.path;
  }

  get fileBytes(): number {
    return this.metadata.bytes;
  }

  /** The footer; read once. */
  footer(): MaybePromise<Footer> {
    return this.#footer ?? this.#readFooterOnce();
  }

  #readFooterOnce(): Promise<Footer> {
    return (this.#readingFooter ??= this.#readFooter());
  }

  async #readFooter(): Promise<Footer> {
    try {
      const { bytes } = this.metadata;
      const offset = bytes - footerBytes;
      await this.#file.requireSize(bytes);
      if (offset < 0) throw this.corruption(0, `it has ${bytes} bytes, fewer than a footer`);
      const encoded = new Uint8Array(footerBytes);
      await this.#file.fill(encoded, offset);
      return (this.#footer = this.decode(offset, () => decodeFooter(encoded, this.metadata.fingerprint)));
    } catch (error) {
      this.#readingFooter = undefined;
      throw error;
    }
  }

  /** The contents of a block; there already when it is cached, or the disk may be read at once. */
  block(handle: BlockHandle): MaybePromise<Uint8Array> {
    return this.cachedBlock(handle) ?? this.readAlone(handle);
  }

  cachedBlock(handle: BlockHandle): Uint8Array | undefined {
    return this.#cache.get(handle.offset);
  }

  /** As {@link block}, of one that is not cached. */
  readAlone(handle: BlockHandle): MaybePromise<Uint8Array> {
    const block = this.#readBlock(handle);
    return block instanceof Promise ? block : copyOfLent(block);
  }

  /** See ReadAheadSource. */
  fromStored(handle: BlockHandle, stored: Uint8Array): Uint8Array {
    this.#check(handle, stored, stored.length);
    const contents = this.decode(handle.offset, () => decompressBlock(stored));
    return this.#keep(handle, contents.buffer === stored.buffer ? new Uint8Array(contents) : contents);
  }

  /** As {@link block}, but to be used before anything else is read: see lentBytes. */
  #lentBlock(handle: BlockHandle): MaybePromise<Uint8Array> {
    return this.#cache.get(handle.offset) ?? this.#readBlock(handle);
  }

  #readBlock(handle: BlockHandle): MaybePromise<Uint8Array> {
    return this.#reading.get(handle.offset) ?? this.#readBlockNow(handle) ?? this.#readOnce(handle);
  }

  #readOnce(handle: BlockHandle): Promise<Uint8Array> {
    const reading = this.readBlock(handle, true).finally(() => this.#reading.delete(handle.offset));
    this.#reading.set(handle.offset, reading);
    return reading;
  }

  /** See DiskFile.readNow; undefined also where the file is not open. */
  readNow(target: Uint8Array, offset: number): number | undefined {
    return this.#file.readNow(target, offset);
  }

  /** See DiskFile.read. What is read is not checked: see {@link fromStored}. */
  read(target: Uint8Array, offset: number): Promise<number> {
    return this.#file.read(target, offset);
  }

  /** Undefined where the file is not open, or must be waited for. What fails is a promise, as if it had been. */
  #readBlockNow(handle: BlockHandle): MaybePromise<Uint8Array> | undefined {
    try {
      const stored = lentBytes(this.lengthOf(handle));
      const got = this.readNow(stored, handle.offset);
      if (got === undefined) return undefined;
      this.#check(handle, stored, got);
      return this.#keep(
        handle,
        this.decode(handle.offset, () => lentContents(stored)),
      );
    } catch (error) {
      return rejection(error);
    }
  }

  /** The contents of a block, from the file. */
  async readBlock(handle: BlockHandle, keep: boolean): Promise<Uint8Array> {
    const stored = new Uint8Array(this.lengthOf(handle));
    const got = await this.read(stored, handle.offset);
    this.#check(handle, stored, got);
    const contents = this.decode(handle.offset, () => decompressBlock(stored));
    return keep ? this.#keep(handle, contents) : contents;
  }

  /** Of a block that ends within the file. */
  lengthOf({ offset, length }: BlockHandle): number {
    if (offset + length > this.metadata.bytes) throw this.corruption(0, 'a block outside of the file');
    return length;
  }

  /** @param got how many of the stored bytes could be read */
  #check({ offset, checksum }: BlockHandle, stored: Uint8Array, got: number): void {
    this.#file.requireAll(stored, offset, got);
    this.#counters.blocksRead++;
    this.#counters.blockBytesRead += stored.length;
    if (maskedCrc32(stored) !== checksum) throw this.corruption(offset, 'a block does not match its checksum');
  }

  /** The same contents, which are the cache's from now on if it wants them. */
  #keep({ offset }: BlockHandle, contents: Uint8Array): Uint8Array {
    if (this.#file.isClosed || !this.#cache.wants(offset, contents.length)) return contents;
    const kept = copyOfLent(contents);
    this.#cache.insert(offset, kept);
    return kept;
  }

  async readProperties(): Promise<TableProperties> {
    const { properties } = await this.footer();
    const contents = await this.readBlock(properties, false);
    return this.decode(properties.offset, () => {
      const reader = new ByteReader(contents);
      const decoded = decodeProperties(reader);
      reader.end();
      return decoded;
    });
  }

  /** The range tombstones of what the tree has of the table; read once, and kept. */
  rangeTombstones(): MaybePromise<RangeFragments> {
    if (this.metadata.rangeTombstones === 0) return noFragments;
    return this.#ranges ?? (this.#readingRanges ??= this.#readRanges());
  }

  async #readRanges(): Promise<RangeFragments> {
    try {
      const { ranges } = await this.footer();
      const block = await this.readBlock(ranges, false);
      const fragments = this.decode(ranges.offset, () => decodeRangeBlock(block));
      const { rangeTombstones, smallestKey, endKey, trimmed } = this.metadata;
      if (countVersions(fragments) !== rangeTombstones) {
        throw this.corruption(ranges.offset, `the manifest says that there are ${rangeTombstones} range tombstones`);
      }
      this.#ranges = trimmed ? clipFragments(fragments, { lower: smallestKey, upper: endKey }) : fragments;
      if (!this.#file.isClosed) this.#cache.charge(block.length + fragmentBytes * this.#ranges.length);
      return this.#ranges;
    } catch (error) {
      this.#readingRanges = undefined;
      throw error;
    }
  }

  /**
   * The newest version of `key` at or below `at`, of the entries alone: not of range tombstones. At once when what is needed is in memory, or may be read at once.
   * @param hash bloomHash of `key`
   */
  get(key: Uint8Array, hash: number, at: number): MaybePromise<StoredFound | undefined> {
    if (this.metadata.entries === 0 || (this.metadata.trimmed && !this.#has(key))) return undefined;
    const footer = this.footer();
    if (footer instanceof Promise) return footer.then((read) => this.#getFromFilter(read, key, hash, at));
    return this.#getFromFilter(footer, key, hash, at);
  }

  /** Whether the tree has this part of the table. */
  #has(key: Uint8Array): boolean {
    const { smallestKey, endKey } = this.metadata;
    return compareBytes(smallestKey, key) <= 0 && compareBytes(key, endKey) < 0;
  }

  #getFromFilter(footer: Footer, key: Uint8Array, hash: number, at: number): MaybePromise<StoredFound | undefined> {
    const filter = this.#lentBlock(footer.filter);
    if (filter instanceof Promise) return filter.then((read) => this.#getFiltered(footer, read, key, hash, at));
    return this.#getFiltered(footer, filter, key, hash, at);
  }

  #getFiltered(
    footer: Footer,
    filter: Uint8Array,
    key: Uint8Array,
    hash: number,
    at: number,
  ): MaybePromise<StoredFound | undefined> {
    if (!this.#filterPasses(footer, filter, hash)) return undefined;
    const index = this.#lentBlock(footer.index);
    if (index instanceof Promise) return index.then((read) => this.#getIndexed(footer, read, key, at));
    return this.#getIndexed(footer, index, key, at);
  }

  #getIndexed(footer: Footer, index: Uint8Array, key: Uint8Array, at: number): MaybePromise<StoredFound | undefined> {
    const handle = this.#findHandle(footer, index, key, at);
    if (handle === undefined) return this.#passedInVain();
    const block = this.#lentBlock(handle);
    if (block instanceof Promise) return block.then((read) => this.#findEntry(handle, read, key, at));
    return this.#findEntry(handle, block, key, at);
  }

  /** An iterator passed over one of the entries, which gave nothing to its reader. */
  noteSkipped(): void {
    this.#counters.entriesSkipped++;
    if (++this.#skippedEntries % this.metadata.entries === 0) this.#counters.tablesSkippedThrough++;
  }

  /**
   * Whether as many entries were passed over as there are. Reads have then spent on it about what a merge of the table
   * costs, so that merges for their sake stay in proportion, also where they turn out to be in vain.
   */
  get isSkippedThrough(): boolean {
    return this.#skippedEntries > 0 && this.#skippedEntries >= this.metadata.entries;
  }

  #passedInVain(): undefined {
    this.#counters.filterPassesInVain++;
    return undefined;
  }

  #filterPasses(footer: Footer, filter: Uint8Array, hash: number): boolean {
    const passes = this.decode(footer.filter.offset, () => bloomMayContain(filter, hash));
    this.#counters.filterChecks++;
    if (!passes) this.#counters.filterRejections++;
    return passes;
  }

  /** The one block in which the newest entry of `key` at or below `at` can be. */
  #findHandle(footer: Footer, index: Uint8Array, key: Uint8Array, at: number): BlockHandle | undefined {
    return this.decode(footer.index.offset, () => {
      const search = new BlockSearch(index, key, at);
      return search.found ? decodeBlockHandle(search.value) : undefined;
    });
  }

  #findEntry(handle: BlockHandle, block: Uint8Array, key: Uint8Array, at: number): StoredFound | undefined {
    return this.decode(handle.offset, () => {
      const search = new BlockSearch(block, key, at);
      if (!search.isOfKey) return this.#passedInVain();
      return { version: search.version, kind: search.kind, value: ownedValue(search.value) };
    });
  }

  /** See FileInput.decode. */
  decode<T>(offset: number, decoder: () => T): T {
    return this.#file.decode(offset, decoder);
  }

  corruption(offset: number, reason: string): CorruptionError {
    return this.#file.corruption(offset, reason);
  }

  /** Forgets the cached blocks and closes the file; as with FileInput.close. */
  async close(): Promise<void> {
    const closing = this.#file.close();
    this.#cache.clear();
    this.#readingFooter = undefined;
    this.#footer = undefined;
    this.#readingRanges = undefined;
    this.#ranges = undefined;
    await closing;
  }
}
