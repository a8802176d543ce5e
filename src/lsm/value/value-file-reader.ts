import { crc32, maskedCrc32 } from '../../base/checksum.js';
import { DecodeError, getU32 } from '../../base/coding.js';
import { CorruptionError } from '../../base/errors.js';
import type { MaybePromise } from '../../base/promises.js';
import { DiskError, type Disk, type DiskFile } from '../../env/disk.js';
import { decompressBlock } from '../sstable/compression.js';
import { lentBytes } from '../sstable/lent-bytes.js';
import type { FileSlot, OpenFiles } from '../sstable/open-files.js';
import { ownedValue } from '../sstable/owned-value.js';
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

export interface ValueFileResources {
  readonly disk: Disk;
  readonly openFiles: OpenFiles;
}

/**
 * Reads values by their pointers. Nothing is handed out that its pointer's checksum does not cover. No cache: a value is
 * read for itself, not for what lies beside it; what is hot is in the row cache.
 */
export class ValueFileReader {
  readonly path: string;
  readonly metadata: ValueFileMetadata;
  readonly #disk: Disk;
  readonly #file: FileSlot;
  #closed = false;

  constructor(path: string, metadata: ValueFileMetadata, { disk, openFiles }: ValueFileResources) {
    this.path = path;
    this.metadata = metadata;
    this.#disk = disk;
    this.#file = openFiles.slot(() => this.#open());
  }

  async #open(): Promise<DiskFile> {
    if (this.#closed) throw new DiskError('closed', this.path, 'open');
    try {
      return await this.#disk.open(this.path, 'read');
    } catch (error) {
      if (error instanceof DiskError && error.code === 'notFound')
        throw this.corruption(0, 'the value file is missing');
      throw error;
    }
  }

  /** The value; at once where the disk may be read at once. What fails is a promise, as if it had been waited for. */
  value(pointer: ValuePointer): MaybePromise<Uint8Array> {
    const file = this.#file.useNow();
    if (file === undefined) return this.#readValue(pointer);
    try {
      const block = lentBytes(this.#lengthOf(pointer));
      const got = file.readNow(block, pointer.offset);
      if (got === undefined) return this.#readValue(pointer);
      this.#check(pointer, block, got);
      return ownedValue(this.#decode(pointer, block));
    } catch (error) {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- passed on as it was thrown
      return Promise.reject(error);
    }
  }

  async #readValue(pointer: ValuePointer): Promise<Uint8Array> {
    const block = await this.#readStored(pointer);
    return this.#decode(pointer, block);
  }

  /** @param block was checked */
  #decode(pointer: ValuePointer, block: Uint8Array): Uint8Array {
    const value = this.#decoded(pointer.offset, () => decompressBlock(block));
    if (value.length !== pointer.valueBytes) {
      throw this.corruption(pointer.offset, `a value has ${value.length} bytes, not ${pointer.valueBytes}`);
    }
    return value;
  }

  /** The value as it is stored, for another value file; at once, or not, as {@link value}. */
  storedValue(pointer: ValuePointer): MaybePromise<Uint8Array> {
    const file = this.#file.useNow();
    if (file === undefined) return this.#readStored(pointer);
    try {
      const block = new Uint8Array(this.#lengthOf(pointer));
      const got = file.readNow(block, pointer.offset);
      if (got === undefined) return this.#readStored(pointer);
      this.#check(pointer, block, got);
      return block;
    } catch (error) {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- passed on as it was thrown
      return Promise.reject(error);
    }
  }

  async #readStored(pointer: ValuePointer): Promise<Uint8Array> {
    const block = new Uint8Array(this.#lengthOf(pointer));
    const got = await this.#file.use((file) => file.read(block, pointer.offset));
    this.#check(pointer, block, got);
    return block;
  }

  #lengthOf({ offset, length }: ValuePointer): number {
    const isInside = offset >= valueHeaderBytes && offset + length <= this.metadata.bytes - valueFooterBytes;
    if (!isInside) throw this.corruption(0, `a pointer to ${offset}, outside of the values`);
    return length;
  }

  #check({ offset, checksum }: ValuePointer, block: Uint8Array, got: number): void {
    if (got !== block.length) throw this.corruption(offset + got, `it ends after ${got} of ${block.length} bytes`);
    if (maskedCrc32(block) !== checksum) throw this.corruption(offset, 'a value does not match its checksum');
  }

  /** Reads every byte, also of values that nobody points to any more. Rejects with the first CorruptionError. */
  async verify(): Promise<void> {
    const { bytes, fingerprint, values, valueBytes } = this.metadata;
    const size = await this.#file.use((file) => file.size());
    if (size !== bytes) throw this.corruption(Math.min(size, bytes), `it has ${size} bytes, not ${bytes}`);
    const end = bytes - valueFooterBytes;
    if (end < valueHeaderBytes) throw this.corruption(0, `it has ${bytes} bytes, fewer than header and footer`);
    const header = await this.#read(0, valueHeaderBytes);
    this.#decoded(0, () => checkValueHeader(header));
    const encoded = await this.#read(end, valueFooterBytes);
    const footer = this.#decoded(end, () => decodeValueFooter(encoded, fingerprint));
    if (footer.values !== values || footer.valueBytes !== valueBytes) {
      throw this.corruption(end, 'the footer disagrees with the manifest');
    }
    const found = { values: 0, valueBytes: 0, headsCrc: 0 };
    const records = new SequentialBytes((target, offset) => this.#fill(target, offset), valueHeaderBytes, end);
    for (let offset = valueHeaderBytes; offset < end;) {
      const at = offset + recordHeadBytes;
      if (at > end) throw this.corruption(offset, 'bytes that belong to no record');
      const taking = records.take(recordHeadBytes);
      const head = taking instanceof Promise ? await taking : taking;
      const [length, checksum] = [getU32(head, 0), getU32(head, 4)];
      if (at + length > end) throw this.corruption(offset, 'a record runs out of its file');
      found.headsCrc = crc32(head, found.headsCrc);
      const takingBlock = records.take(length);
      const block = takingBlock instanceof Promise ? await takingBlock : takingBlock;
      this.#check({ file: 0, offset: at, length, checksum, valueBytes: 0 }, block, block.length);
      found.values++;
      found.valueBytes += this.#decoded(at, () => decompressBlock(block)).length;
      offset = at + length;
    }
    const isSame = found.values === values && found.valueBytes === valueBytes && found.headsCrc === footer.headsCrc;
    if (!isSame) throw this.corruption(end, 'the footer disagrees with the records');
  }

  async #read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.#fill(bytes, offset);
    return bytes;
  }

  async #fill(target: Uint8Array, offset: number): Promise<void> {
    const got = await this.#file.use((file) => file.read(target, offset));
    if (got !== target.length) throw this.corruption(offset + got, `it ends after ${got} of ${target.length} bytes`);
  }

  #decoded<T>(offset: number, decoder: () => T): T {
    try {
      return decoder();
    } catch (error) {
      if (error instanceof DecodeError) throw this.corruption(offset, error.message);
      throw error;
    }
  }

  corruption(offset: number, reason: string): CorruptionError {
    return new CorruptionError(this.path, offset, reason);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#file.close();
  }
}
