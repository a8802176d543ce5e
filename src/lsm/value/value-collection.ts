import type { MaybePromise } from '../../base/promises.js';
import type { Disk } from '../../env/disk.js';
import { OpenFiles } from '../sstable/open-files.js';
import { valueFileName } from '../version/file-names.js';
import { decodeValuePointer, type ValueFileMetadata, type ValuePointer } from './value-file-format.js';
import { ValueFileReader } from './value-file-reader.js';
import { ValueOutput, type ValueOutputOptions } from './value-output.js';

export interface ValueCollectionOptions extends ValueOutputOptions {
  /** Files whose values are moved. */
  readonly collected: readonly ValueFileMetadata[];
  /** Until the new file has so many bytes. */
  readonly collectedBytesMax: number;
}

const openFilesMax = 16;

/** Moves the values that a merge meets in files that are to be emptied. */
export class ValueCollection {
  readonly #bytesMax: number;
  readonly #output: ValueOutput;
  readonly #readers: ReadonlyMap<number, ValueFileReader>;

  constructor(options: ValueCollectionOptions, disk: Disk) {
    this.#bytesMax = options.collectedBytesMax;
    this.#output = new ValueOutput(options, disk);
    const openFiles = new OpenFiles(openFilesMax);
    this.#readers = new Map(
      options.collected.map((file) => {
        const path = `${options.directory}/${valueFileName(file.number)}`;
        return [file.number, new ValueFileReader(path, file, { disk, openFiles })];
      }),
    );
  }

  /** The value of the entry that points to where the value is afterwards; the same if it stays. */
  move(encoded: Uint8Array): MaybePromise<Uint8Array> {
    if (this.#readers.size === 0 || this.#output.bytes >= this.#bytesMax) return encoded;
    const pointer = decodeValuePointer(encoded);
    const reader = this.#readers.get(pointer.file);
    if (reader === undefined) return encoded;
    const block = reader.storedValue(pointer);
    return block instanceof Promise ? block.then((read) => this.#add(read, pointer)) : this.#add(block, pointer);
  }

  #add(block: Uint8Array, pointer: ValuePointer): MaybePromise<Uint8Array> {
    const room = this.#output.ready();
    if (room === undefined) return this.#output.addStored(block, pointer);
    return room.then(() => this.#output.addStored(block, pointer));
  }

  finish(): Promise<readonly ValueFileMetadata[]> {
    return this.#output.finish();
  }

  /** Removes the new file. Never rejects. */
  abandon(): Promise<void> {
    return this.#output.abandon();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#readers.values()].map((reader) => reader.close()));
  }
}
