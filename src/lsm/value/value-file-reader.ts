import { crc32, maskedCrc32 } from '../../base/checksum.js';
import { ByteReader, getU32 } from '../../base/coding.js';
import { rejection, type MaybePromise } from '../../base/promises.js';
import type { BlockCachePartition } from '../block-cache.js';
import { FileInput, type FileInputResources } from '../file-input.js';
import { decompressBlock } from '../sstable/compression.js';
import { copyOfLent, lentBytes } from '../sstable/lent-bytes.js';
import { ownedValue } from '../sstable/owned-value.js';
import type { ReadAheadSource } from '../sstable/read-ahead.js';
import { SequentialBytes } from './sequential-bytes.js';
import {
  checkValueHeader,
  decodeValueFooter,
  recordHeadBytes,
  valueFooterBytes,
  valueHeaderBytes,
  type ValueFileMetadata,
  type ValuePointer,
} from './value-file-format.js';

/** The length of a value is in these. */
const storedStartBytes = 8;

export interface ValueFileResources extends FileInputResources {
  /** The file's own part of the cache, for those who read a value more than once. */
  readonly cache?: BlockCachePartition;
}

/** Reads values by their pointers. Nothing is handed out that its pointer's checksum does not cover. */
export class ValueFileReader implements ReadAheadSource<ValuePointer> {
  readonly metadata: ValueFileMetadata;
  readonly #file: FileInput;
  readonly #cache: BlockCachePartition | undefined;

  constructor(path: string, metadata: ValueFileMetadata, { cache, ...resources }: ValueFileResources) {
    this.metadata = metadata;
    this.#cache = cache;
    this.#file = new FileInput(path, 'value file', resources);
  }

  get path(): string {
    return this.#file.path;
  }

  get fileBytes(): number {
    return this.metadata.bytes;
  }

  /** The value; at once when it is cached, or the disk may be read at once. */
  value(pointer: ValuePointer): MaybePromise<Uint8Array> {
    return this.cached(pointer) ?? this.readAlone(pointer);
  }

  cached({ offset }: ValuePointer): Uint8Array | undefined {
    return this.#cache?.get(offset);
  }

  /** As {@link value}, of one that is not cached. What fails is a promise, as if it had been waited for. */
  readAlone(pointer: ValuePointer): MaybePromise<Uint8Array> {
    return this.#stored(pointer, lentBytes, (block) => this.#keep(pointer, this.#decode(pointer, block)));
  }

  /** The value as it is stored, for another value file; at once, or not, as {@link readAlone}. */
  storedValue(pointer: ValuePointer): MaybePromise<Uint8Array> {
    return this.#stored(
      pointer,
      (length) => new Uint8Array(length),
      (block) => block,
    );
  }

  /** See ReadAheadSource. */
  fromStored(pointer: ValuePointer, stored: Uint8Array): Uint8Array {
    this.#check(pointer, stored, stored.length);
    const value = this.#decode(pointer, stored);
    return this.#keep(pointer, value.buffer === stored.buffer ? new Uint8Array(value) : value);
  }

  /** The same value, to hand out, which is the cache's from now on if it wants it. */
  #keep({ offset }: ValuePointer, value: Uint8Array): Uint8Array {
    const cache = this.#file.isClosed ? undefined : this.#cache;
    if (cache?.wants(offset, value.length) !== true) return ownedValue(value);
    const kept = copyOfLent(value);
    cache.insert(offset, kept);
    return kept;
  }

  /** See DiskFile.readNow; undefined also where the file is not open. */
  readNow(target: Uint8Array, offset: number): number | undefined {
    return this.#file.readNow(target, offset);
  }

  /** See DiskFile.read. */
  read(target: Uint8Array, offset: number): Promise<number> {
    return this.#file.read(target, offset);
  }

  /**
   * Checks that the pointer means a record, by the head of that alone: for those who have checked all records with {@link verify}.
   */
  async verifyPointer(pointer: ValuePointer): Promise<void> {
    const { offset, checksum, valueBytes } = pointer;
    const length = this.lengthOf(pointer);
    const start = await this.#read(offset - recordHeadBytes, recordHeadBytes + Math.min(length, storedStartBytes));
    const isRecord = getU32(start, 0) === length && getU32(start, 4) === checksum;
    if (!isRecord) throw this.#file.corruption(offset, 'a pointer to no record');
    // A value that is compressed says in front how long it is, and is shorter than that.
    const isPlain = length === valueBytes + 1;
    const bytes = isPlain
      ? valueBytes
      : this.#file.decode(offset, () => new ByteReader(start, recordHeadBytes).varint());
    if (bytes !== valueBytes) throw this.#file.corruption(offset, `a value has ${bytes} bytes, not ${valueBytes}`);
  }

  /** @param memory for a block that is read at once; what `use` makes of it is handed out */
  #stored(
    pointer: ValuePointer,
    memory: (length: number) => Uint8Array,
    use: (block: Uint8Array) => Uint8Array,
  ): MaybePromise<Uint8Array> {
    try {
      const block = memory(this.lengthOf(pointer));
      const got = this.#file.readNow(block, pointer.offset);
      if (got === undefined) return this.#readStored(pointer, copyOfLent(block)).then(use);
      this.#check(pointer, block, got);
      return use(block);
    } catch (error) {
      return rejection(error);
    }
  }

  /** @param block its memory */
  async #readStored(pointer: ValuePointer, block: Uint8Array): Promise<Uint8Array> {
    this.#check(pointer, block, await this.#file.read(block, pointer.offset));
    return block;
  }

  /** @param block was checked */
  #decode(pointer: ValuePointer, block: Uint8Array): Uint8Array {
    const value = this.#file.decode(pointer.offset, () => decompressBlock(block));
    if (value.length !== pointer.valueBytes) {
      throw this.#file.corruption(pointer.offset, `a value has ${value.length} bytes, not ${pointer.valueBytes}`);
    }
    return value;
  }

  lengthOf({ offset, length }: ValuePointer): number {
    const isInside = offset >= valueHeaderBytes && offset + length <= this.metadata.bytes - valueFooterBytes;
    if (!isInside) throw this.#file.corruption(0, `a pointer to ${offset}, outside of the values`);
    return length;
  }

  #check({ offset, checksum }: ValuePointer, block: Uint8Array, got: number): void {
    this.#file.requireAll(block, offset, got);
    if (maskedCrc32(block) !== checksum) throw this.#file.corruption(offset, 'a value does not match its checksum');
  }

  /** Reads every byte, also of values that nobody points to any more. Rejects with the first CorruptionError. */
  async verify(): Promise<void> {
    const { bytes, fingerprint, values, valueBytes } = this.metadata;
    await this.#file.requireSize(bytes);
    const end = bytes - valueFooterBytes;
    if (end < valueHeaderBytes) throw this.#file.corruption(0, `it has ${bytes} bytes, fewer than header and footer`);
    const header = await this.#read(0, valueHeaderBytes);
    this.#file.decode(0, () => checkValueHeader(header));
    const encoded = await this.#read(end, valueFooterBytes);
    const footer = this.#file.decode(end, () => decodeValueFooter(encoded, fingerprint));
    if (footer.values !== values || footer.valueBytes !== valueBytes) {
      throw this.#file.corruption(end, 'the footer disagrees with the manifest');
    }
    const found = { values: 0, valueBytes: 0, headsCrc: 0 };
    const records = new SequentialBytes((target, offset) => this.#file.fill(target, offset), valueHeaderBytes, end);
    for (let offset = valueHeaderBytes; offset < end;) {
      const at = offset + recordHeadBytes;
      if (at > end) throw this.#file.corruption(offset, 'bytes that belong to no record');
      const taking = records.take(recordHeadBytes);
      const head = taking instanceof Promise ? await taking : taking;
      const [length, checksum] = [getU32(head, 0), getU32(head, 4)];
      if (at + length > end) throw this.#file.corruption(offset, 'a record runs out of its file');
      found.headsCrc = crc32(head, found.headsCrc);
      const takingBlock = records.take(length);
      const block = takingBlock instanceof Promise ? await takingBlock : takingBlock;
      this.#check({ file: 0, offset: at, length, checksum, valueBytes: 0 }, block, block.length);
      found.values++;
      found.valueBytes += this.#file.decode(at, () => decompressBlock(block)).length;
      offset = at + length;
    }
    const isSame = found.values === values && found.valueBytes === valueBytes && found.headsCrc === footer.headsCrc;
    if (!isSame) throw this.#file.corruption(end, 'the footer disagrees with the records');
  }

  async #read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.#file.fill(bytes, offset);
    return bytes;
  }

  close(): Promise<void> {
    const closing = this.#file.close();
    this.#cache?.clear();
    return closing;
  }
}
