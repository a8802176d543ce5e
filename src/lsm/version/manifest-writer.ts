import { crc32 } from '../../base/checksum.js';
import { replaceFile, syncNames, type Disk } from '../../env/disk.js';
import { currentFileName, manifestFileName } from './file-names.js';
import type { TreeState } from './manifest-reader.js';
import { encodeCurrent, encodeManifestHeader, encodeManifestRecord, type ManifestPointer } from './manifest-format.js';
import { encodeVersionRecord, type VersionRecord } from './version-edit.js';

/**
 * Appends records to the manifest, or begins a new one when it has grown. A record counts once CURRENT says so, which
 * is when `append` resolves. If `append` rejects, a crash before the next one that resolves may show either state: until
 * then the files of both must stay. One call at a time.
 */
export class ManifestWriter {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #bytesMax: number;
  /** Undefined when there is none that may be appended to, as at first. */
  #tail: { pointer: ManifestPointer; snapshotBytes: number } | undefined;

  constructor(disk: Disk, directory: string, bytesMax: number) {
    this.#disk = disk;
    this.#directory = directory;
    this.#bytesMax = bytesMax;
  }

  /**
   * @param record the edit
   * @param state what it leads to, for the case that a new manifest is begun
   * @param takeNumber gives the number of a new manifest
   * @returns the number of the manifest that counts now
   */
  async append(record: VersionRecord, state: TreeState, takeNumber: () => number): Promise<number> {
    const tail = this.#tail;
    // A file to which an append failed is never appended to again: what a failed sync leaves behind is not known.
    this.#tail = undefined;
    this.#tail =
      tail === undefined || tail.pointer.length - tail.snapshotBytes > Math.max(this.#bytesMax, tail.snapshotBytes)
        ? await this.#begin(takeNumber(), state)
        : { pointer: await this.#extend(tail.pointer, record), snapshotBytes: tail.snapshotBytes };
    return this.#tail.pointer.number;
  }

  async #extend(pointer: ManifestPointer, record: VersionRecord): Promise<ManifestPointer> {
    const bytes = encodeManifestRecord(encodeVersionRecord(record));
    const file = await this.#disk.open(this.#path(pointer.number), 'readWrite');
    try {
      await file.write(bytes, pointer.length);
      await file.sync();
    } finally {
      await file.close();
    }
    return this.#point({
      number: pointer.number,
      length: pointer.length + bytes.length,
      checksum: crc32(bytes, pointer.checksum),
    });
  }

  async #begin(number: number, state: TreeState): Promise<{ pointer: ManifestPointer; snapshotBytes: number }> {
    const header = encodeManifestHeader(number);
    const record = encodeManifestRecord(
      encodeVersionRecord({
        removed: [],
        added: state.levels.flatMap((tables, level) => tables.map((table) => ({ level, table }))),
        addedValues: [...state.valueFiles.values()].map(({ metadata }) => metadata),
        appliedIndex: state.appliedIndex,
        nextFileNumber: Math.max(state.nextFileNumber, number + 1),
      }),
    );
    const file = await this.#disk.open(this.#path(number), 'create');
    try {
      await file.write(header, 0);
      await file.write(record, header.length);
      await file.sync();
    } finally {
      await file.close();
    }
    await syncNames(this.#disk, this.#directory);
    const length = header.length + record.length;
    const pointer = await this.#point({ number, length, checksum: crc32(record, crc32(header)) });
    return { pointer, snapshotBytes: length };
  }

  async #point(pointer: ManifestPointer): Promise<ManifestPointer> {
    await replaceFile(this.#disk, this.#directory, currentFileName, encodeCurrent(pointer));
    return pointer;
  }

  #path(number: number): string {
    return `${this.#directory}/${manifestFileName(number)}`;
  }
}
