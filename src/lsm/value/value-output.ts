import { defined } from '../../base/assert.js';
import type { Disk } from '../../env/disk.js';
import type { Pending } from '../iterator/entry-iterator.js';
import type { Compression } from '../sstable/compression.js';
import { valueFileName } from '../version/file-names.js';
import { encodeValuePointer, type ValueFileMetadata, type ValuePointer } from './value-file-format.js';
import { ValueFileWriter } from './value-file-writer.js';

export interface ValueOutputOptions {
  readonly directory: string;
  /** Of the value file, if there will be one. */
  readonly valueFileNumber: number;
}

/** The value file that a job makes, if it meets a value for it. */
export class ValueOutput {
  readonly #options: ValueOutputOptions;
  readonly #disk: Disk;
  #writer: ValueFileWriter | undefined;

  constructor(options: ValueOutputOptions, disk: Disk) {
    this.#options = options;
    this.#disk = disk;
  }

  get bytes(): number {
    return this.#writer?.bytes ?? 0;
  }

  /** To be awaited before each value. */
  ready(): Pending {
    if (this.#writer === undefined) return this.#create();
    return this.#writer.isFull ? this.#writer.flush() : undefined;
  }

  async #create(): Promise<void> {
    const { directory, valueFileNumber } = this.#options;
    const path = `${directory}/${valueFileName(valueFileNumber)}`;
    this.#writer = await ValueFileWriter.create(this.#disk, path, valueFileNumber);
  }

  /** @returns the value of the entry that points to it */
  add(value: Uint8Array, compression: Compression): Uint8Array {
    return encodeValuePointer(this.#ready.add(value, compression));
  }

  /** As it is stored in another file: not compressed, if it is not compressed there. */
  addStored(block: Uint8Array, pointer: ValuePointer): Uint8Array {
    return encodeValuePointer(this.#ready.addStored(block, pointer));
  }

  get #ready(): ValueFileWriter {
    return defined(this.#writer, 'the writer of an output that is ready');
  }

  async finish(): Promise<readonly ValueFileMetadata[]> {
    return this.#writer === undefined ? [] : [await this.#writer.finish()];
  }

  /** Never rejects. */
  async abandon(): Promise<void> {
    await this.#writer?.abandon();
  }
}
