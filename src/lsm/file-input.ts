import { DecodeError } from '../base/coding.js';
import { CorruptionError } from '../base/errors.js';
import { DiskError, type Disk, type DiskFile } from '../env/disk.js';
import { TreeClosedError } from './background-errors.js';
import type { FileSlot, OpenFiles } from './sstable/open-files.js';

export interface FileInputResources {
  readonly disk: Disk;
  readonly openFiles: OpenFiles;
}

/**
 * A table or value file as its readers see it: opened at the first read and, with many others open, again at a later one. What
 * is read is not checked here; what is wrong with it is told by {@link FileInput.corruption}.
 */
export class FileInput {
  readonly path: string;
  /** For messages. */
  readonly #what: string;
  readonly #disk: Disk;
  readonly #slot: FileSlot;
  #isClosed = false;

  constructor(path: string, what: string, { disk, openFiles }: FileInputResources) {
    this.path = path;
    this.#what = what;
    this.#disk = disk;
    this.#slot = openFiles.slot(() => this.#open());
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async #open(): Promise<DiskFile> {
    if (this.#isClosed) throw new DiskError('closed', this.path, 'open');
    try {
      return await this.#disk.open(this.path, 'read');
    } catch (error) {
      if (error instanceof DiskError && error.code === 'notFound') {
        throw this.corruption(0, `the ${this.#what} is missing`);
      }
      throw error;
    }
  }

  /** See DiskFile.readNow; undefined also where the file is not open. */
  readNow(target: Uint8Array, offset: number): number | undefined {
    return this.#slot.useNow()?.readNow(target, offset);
  }

  /** See DiskFile.read. */
  read(target: Uint8Array, offset: number): Promise<number> {
    return this.#use((file) => file.read(target, offset));
  }

  /** Nobody reads from a file that is closed, but for those whose tree was closed meanwhile. */
  async #use<T>(body: (file: DiskFile) => Promise<T>): Promise<T> {
    try {
      return await this.#slot.use(body);
    } catch (error) {
      if (!this.#isClosed || !(error instanceof DiskError) || error.code !== 'closed') throw error;
      throw new TreeClosedError('the tree was closed', { cause: error });
    }
  }

  /** Rejects with a CorruptionError unless all of `target` could be filled. */
  async fill(target: Uint8Array, offset: number): Promise<void> {
    this.requireAll(target, offset, await this.read(target, offset));
  }

  /** @param got how many bytes could be read into `target` */
  requireAll(target: Uint8Array, offset: number, got: number): void {
    if (got !== target.length) throw this.corruption(offset + got, `it ends after ${got} of ${target.length} bytes`);
  }

  /** Rejects with a CorruptionError unless the file has that size. */
  async requireSize(bytes: number): Promise<void> {
    const size = await this.#use((file) => file.size());
    if (size !== bytes) throw this.corruption(Math.min(size, bytes), `it has ${size} bytes, not ${bytes}`);
  }

  /** Runs a decoder of what is at `offset`; bytes that are sound but not of the right form are damage too. */
  decode<T>(offset: number, decoder: () => T): T {
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

  /** Reads under way may then reject with a TreeClosedError, and later ones do. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#slot.close();
  }
}
