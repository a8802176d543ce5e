import { deferred, type Deferred } from '../base/promises.js';
import { DiskError, syncNames, type Disk, type DiskFile } from '../env/disk.js';
import { encodeSegmentHeader, segmentHeaderBytes, segmentName, type SegmentHeader } from './segment-format.js';

/** Files grow by so much at a time, in zeros, so that most batches change no metadata (docs/decisions). */
const growthBytes = 1024 * 1024;
const zeros = new Uint8Array(growthBytes);

/** A file that is to be overwritten by a new segment. */
export interface SpareFile {
  readonly path: string;
  readonly bytes: number;
}

/**
 * An open segment file. The newest one is written at `end`; the others are only read. Bytes from `end` up to
 * `allocatedBytes` are zeros, a proof (see BatchWriter), or what the file held as another segment.
 */
export class SegmentFile {
  readonly segment: number;
  readonly path: string;
  /** Where the next batch goes. */
  end: number;
  /** Of the records in it that hold a live entry; one that is needed for two parts of it counts twice. */
  liveBytes = 0;
  readonly #file: DiskFile;
  #allocatedBytes: number;
  #reads = 0;
  #unread: Deferred<void> | undefined;

  constructor(segment: number, file: DiskFile, place: { readonly end: number; readonly allocatedBytes: number }) {
    this.segment = segment;
    this.path = file.path;
    this.end = place.end;
    this.#file = file;
    this.#allocatedBytes = place.allocatedBytes;
  }

  /**
   * A new segment, durable with its name: over the spare file, whose room it has, or in a file of its own with room for `bytesMax`
   * or a first part of it.
   */
  static async create(
    disk: Disk,
    directory: string,
    header: SegmentHeader,
    bytesMax: number,
    spare?: SpareFile,
  ): Promise<SegmentFile> {
    const path = `${directory}/${segmentName(header.segment)}`;
    if (spare !== undefined) await disk.rename(spare.path, path);
    const file = await disk.open(path, spare === undefined ? 'createDurable' : 'readWriteDurable');
    try {
      const allocatedBytes = spare?.bytes ?? Math.max(segmentHeaderBytes, Math.min(growthBytes, bytesMax));
      const bytes = new Uint8Array(spare === undefined ? allocatedBytes : segmentHeaderBytes);
      bytes.set(encodeSegmentHeader(header));
      await file.write(bytes, 0);
      await syncNames(disk, directory);
      return new SegmentFile(header.segment, file, { end: segmentHeaderBytes, allocatedBytes });
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }

  /**
   * As {@link create}; undefined when the device has no room for the file. Of that nothing may come back then, since its header would
   * say that the segment before it has ended. A spare is gone, too.
   */
  static async createIfRoom(
    disk: Disk,
    directory: string,
    header: SegmentHeader,
    bytesMax: number,
    spare?: SpareFile,
  ): Promise<SegmentFile | undefined> {
    try {
      return await SegmentFile.create(disk, directory, header, bytesMax, spare);
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'noSpace')) throw error;
    }
    const path = `${directory}/${segmentName(header.segment)}`;
    for (const left of spare === undefined ? [path] : [path, spare.path]) {
      if (await disk.exists(left)) await disk.remove(left);
    }
    await syncNames(disk, directory);
    return undefined;
  }

  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** In a file that was made here: durable when it resolves. It grows where it must. */
  async write(bytes: Uint8Array, offset: number): Promise<void> {
    await this.#file.write(bytes, offset);
    this.#allocatedBytes = Math.max(this.#allocatedBytes, offset + bytes.length);
  }

  /**
   * Grows the file when fewer than `reserveBytes` are left after `end`: generously up to `bytesMax` and the reserve,
   * beyond that by no more than it must. Durable when it resolves. False when the device has no room.
   */
  async growAhead(end: number, reserveBytes: number, bytesMax: number): Promise<boolean> {
    const allocated = this.#allocatedBytes;
    if (allocated >= end + reserveBytes) return true;
    const target = Math.max(end + reserveBytes, Math.min(allocated + growthBytes, bytesMax + reserveBytes));
    try {
      await this.write(zeros.subarray(0, target - allocated), allocated);
      return true;
    } catch (error) {
      if (error instanceof DiskError && error.code === 'noSpace') return false;
      throw error;
    }
  }

  /** In a file that was found: what is there already, so that it is durable when it resolves. */
  async writeAgain(bytes: Uint8Array, offset: number): Promise<void> {
    await this.#file.write(bytes, offset);
    await this.#file.sync();
  }

  /** All of the file; for segments that are replayed. */
  async readAll(): Promise<Uint8Array> {
    const bytes = new Uint8Array(await this.#file.size());
    return bytes.subarray(0, await this.#file.read(bytes, 0));
  }

  /** Keeps the file open until the returned function is called. */
  retainForRead(): () => void {
    this.#reads++;
    return () => {
      this.#reads--;
      if (this.#reads === 0) this.#unread?.resolve();
    };
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    return bytes.subarray(0, await this.#file.read(bytes, offset));
  }

  /** Waits for reads under way. */
  async close(): Promise<void> {
    if (this.#reads > 0) {
      this.#unread ??= deferred();
      await this.#unread.promise;
    }
    await this.#file.close();
  }
}
