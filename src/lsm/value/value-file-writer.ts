import { assert } from '../../base/assert.js';
import { crc32, maskedCrc32 } from '../../base/checksum.js';
import type { Disk } from '../../env/disk.js';
import { FileOutput } from '../file-output.js';
import { compressBlock, type Compression } from '../sstable/compression.js';
import {
  encodeValueFooter,
  encodeValueHeader,
  recordHeadBytes,
  type ValueFileMetadata,
  type ValuePointer,
} from './value-file-format.js';

/**
 * Writes one value file from front to back. It does not count before `finish` has resolved and its folder is synced; a
 * writer that is not finished must be abandoned.
 */
export class ValueFileWriter {
  readonly #file: FileOutput;
  readonly #number: number;
  #values = 0;
  #valueBytes = 0;
  #headsCrc = 0;

  static async create(disk: Disk, path: string, number: number): Promise<ValueFileWriter> {
    return new ValueFileWriter(await FileOutput.create(disk, path), number);
  }

  private constructor(file: FileOutput, number: number) {
    this.#file = file;
    this.#number = number;
    file.buffer.raw(encodeValueHeader());
  }

  /** Size that the file has so far. */
  get bytes(): number {
    return this.#file.bytes;
  }

  /** Whether {@link flush} must come before the next value. */
  get isFull(): boolean {
    return this.#file.isFull;
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
    const { buffer, bytes } = this.#file;
    const head = buffer.u32(block.length).u32(checksum).view().subarray(-recordHeadBytes);
    this.#headsCrc = crc32(head, this.#headsCrc);
    buffer.raw(block);
    this.#values++;
    this.#valueBytes += valueBytes;
    return { file: this.#number, offset: bytes + recordHeadBytes, length: block.length, checksum, valueBytes };
  }

  /** Resolves when the records are being written, and those before them have been. */
  flush(): Promise<void> {
    return this.#file.flush();
  }

  /** Writes what is left and syncs the file. The name is durable once the caller has synced the folder. */
  async finish(): Promise<ValueFileMetadata> {
    assert(this.#values > 0, 'a value file has at least one value');
    const counts = { values: this.#values, valueBytes: this.#valueBytes };
    const footer = encodeValueFooter({ ...counts, headsCrc: this.#headsCrc });
    this.#file.buffer.raw(footer.bytes);
    await this.#file.finish();
    return { ...counts, number: this.#number, bytes: this.#file.bytes, fingerprint: footer.fingerprint };
  }

  /** Closes and removes the file. Never rejects: what stays behind is collected when the tree is opened. */
  abandon(): Promise<void> {
    return this.#file.abandon();
  }
}
