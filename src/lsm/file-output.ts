import { ByteWriter } from '../base/coding.js';
import type { Disk, DiskFile } from '../env/disk.js';

/** Written at a time: large enough for the disk, small enough to encode without holding up the event loop. */
const writeBytes = 256 * 1024;

/**
 * A new file that is written from front to back: what is put into the buffer is written in large pieces, one of them while the
 * next is made. It counts when `finish` has resolved and its folder is synced; one that is not finished must be abandoned.
 */
export class FileOutput {
  readonly #disk: Disk;
  readonly #file: DiskFile;
  /** What is not written yet, and where in the file it will be. */
  #buffer = new ByteWriter();
  #bufferOffset = 0;
  /** What comes before, while it is written. */
  #bufferBefore = new ByteWriter();
  #writing = Promise.resolve();

  static async create(disk: Disk, path: string): Promise<FileOutput> {
    return new FileOutput(disk, await disk.open(path, 'create'));
  }

  private constructor(disk: Disk, file: DiskFile) {
    this.#disk = disk;
    this.#file = file;
  }

  /** To be added to, while not {@link isFull}. Another one after each flush. */
  get buffer(): ByteWriter {
    return this.#buffer;
  }

  /** Size that the file has so far, the buffer included. */
  get bytes(): number {
    return this.#bufferOffset + this.#buffer.length;
  }

  /** Whether {@link flush} must come next. */
  get isFull(): boolean {
    return this.#buffer.length >= writeBytes;
  }

  /** Resolves when the buffer is being written, and the one before it has been. */
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
  async finish(): Promise<void> {
    await this.flush();
    await this.#writing;
    await this.#file.sync();
    await this.#file.close();
  }

  /** Closes and removes the file. Never rejects: what stays behind is collected when the tree is opened. */
  async abandon(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#file.close().catch(() => undefined);
    await this.#disk.remove(this.#file.path).catch(() => undefined);
  }
}
