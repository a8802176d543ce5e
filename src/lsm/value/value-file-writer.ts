import { assert } from '../../base/assert.js';
import { crc32, maskedCrc32 } from '../../base/checksum.js';
import { ByteWriter } from '../../base/coding.js';
import type { Disk, DiskFile } from '../../env/disk.js';
import { compressBlock, type Compression } from '../sstable/compression.js';
import {
  encodeValueFooter,
  encodeValueHeader,
  recordHeadBytes,
  type ValueFileMetadata,
  type ValuePointer,
} from './value-file-format.js';

/** Written at a time, or one record if that is larger. */
const writeBytes = 256 * 1024;

/**
 * Writes one value file from front to back. It does not count before `finish` has resolved and its folder is synced; a
 * writer that is not finished must be abandoned.
 */
export class ValueFileWriter {
  readonly #disk: Disk;
  readonly #file: DiskFile;
  readonly #number: number;
  /** Records that are not written yet, and where in the file they will be. */
  #buffer = new ByteWriter();
  #bufferOffset = 0;
  /** Those before them, while they are written. */
  #bufferBefore = new ByteWriter();
  #writing = Promise.resolve();
  #values = 0;
  #valueBytes = 0;
  #headsCrc = 0;

  static async create(disk: Disk, path: string, number: number): Promise<ValueFileWriter> {
    return new ValueFileWriter(disk, await disk.open(path, 'create'), number);
  }

  private constructor(disk: Disk, file: DiskFile, number: number) {
    this.#disk = disk;
    this.#file = file;
    this.#number = number;
    this.#buffer.raw(encodeValueHeader());
  }

  /** Size that the file has so far. */
  get bytes(): number {
    return this.#bufferOffset + this.#buffer.length;
  }

  /** Whether {@link flush} must come before the next value. */
  get isFull(): boolean {
    return this.#buffer.length >= writeBytes;
  }

  /** Adds a value, which is copied. Not while {@link isFull}. */
  add(value: Uint8Array, compression: Compression): ValuePointer {
    const { bytes, type } = compressBlock(value, compression);
    const block = new Uint8Array(bytes.length + 1);
    block.set(bytes);
    block[bytes.length] = type;
    return this.#append(block, value.length, maskedCrc32(block));
  }

  /** Adds the value of another file as it is stored there: `block` is what `pointer` points to, and was checked. */
  addStored(block: Uint8Array, { valueBytes, checksum }: ValuePointer): ValuePointer {
    return this.#append(block, valueBytes, checksum);
  }

  #append(block: Uint8Array, valueBytes: number, checksum: number): ValuePointer {
    assert(!this.isFull, 'a value file must be flushed first');
    const start = this.#buffer.length;
    const head = this.#buffer.u32(block.length).u32(checksum).view().subarray(start);
    this.#headsCrc = crc32(head, this.#headsCrc);
    const offset = this.#bufferOffset + start + recordHeadBytes;
    this.#buffer.raw(block);
    this.#values++;
    this.#valueBytes += valueBytes;
    return { file: this.#number, offset, length: block.length, checksum, valueBytes };
  }

  /** Resolves when the records are being written, and those before them have been. */
  async flush(): Promise<void> {
    await this.#writing;
    const full = this.#buffer;
    this.#buffer = this.#bufferBefore;
    this.#buffer.reset();
    this.#bufferBefore = full;
    this.#writing = this.#file.write(full.view(), this.#bufferOffset);
    // Whoever awaits it later learns what went wrong.
    this.#writing.catch(() => undefined);
    this.#bufferOffset += full.length;
  }

  /** Writes what is left and syncs the file. The name is durable once the caller has synced the folder. */
  async finish(): Promise<ValueFileMetadata> {
    assert(this.#values > 0, 'a value file has at least one value');
    const counts = { values: this.#values, valueBytes: this.#valueBytes };
    const footer = encodeValueFooter({ ...counts, headsCrc: this.#headsCrc });
    this.#buffer.raw(footer.bytes);
    await this.flush();
    await this.#writing;
    await this.#file.sync();
    await this.#file.close();
    return { ...counts, number: this.#number, bytes: this.#bufferOffset, fingerprint: footer.fingerprint };
  }

  /** Closes and removes the file. Never rejects: what stays behind is collected when the tree is opened. */
  async abandon(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#file.close().catch(() => undefined);
    await this.#disk.remove(this.#file.path).catch(() => undefined);
  }
}
