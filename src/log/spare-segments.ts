import { DiskError, syncNames, type Disk } from '../env/disk.js';
import type { Logger } from '../env/logger.js';
import type { SegmentFile, SpareFile } from './segment-file.js';
import { spareName } from './segment-format.js';

/** What a segment may be longer than it should be, by its reserve and its proof, and still be kept. */
const excessBytesMax = 64 * 1024;

export interface SpareSegmentsOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly segmentBytesMax: number;
  readonly spareSegmentsMax: number;
  readonly logger: Logger;
}

/**
 * Files of segments that are no longer needed, kept to be overwritten by new ones: they have their room already. They have a
 * name of their own, by which the next start knows them, and removes them.
 *
 * A file is taken only when that name is durable: what is written into it then must never be found under its old one.
 */
export class SpareSegments {
  readonly #options: SpareSegmentsOptions;
  #spares: SpareFile[] = [];
  /** How often all were given up: what is on its way to be one meanwhile does not become one. */
  #timesGivenUp = 0;

  constructor(options: SpareSegmentsOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#spares.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  take(): SpareFile | undefined {
    return this.#spares.shift();
  }

  /**
   * The log does without these segments, oldest first, and that is durable. Waits for reads of them: none may see what is
   * written over them. With `keep`, as many as there is a place for become spares. Rejects when nobody knows which names are durable.
   */
  async retire(files: readonly SegmentFile[], { keep }: { readonly keep: boolean }): Promise<void> {
    const { disk, directory, spareSegmentsMax, segmentBytesMax, logger } = this.#options;
    const timesGivenUp = this.#timesGivenUp;
    const spares: SpareFile[] = [];
    try {
      for (const file of files) await file.close();
      for (const file of files) {
        const fits = file.allocatedBytes <= segmentBytesMax + excessBytesMax;
        if (keep && fits && this.#spares.length + spares.length < spareSegmentsMax) {
          const path = `${directory}/${spareName(file.segment)}`;
          await disk.rename(file.path, path);
          spares.push({ path, bytes: file.allocatedBytes });
        } else {
          await disk.remove(file.path);
        }
      }
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      // It costs space until the next open, and no more.
      logger.warn('superfluous log segments could not be removed', { error: error.message });
    }
    // One that fails may have lost the name of a new segment, too, and the sync that is to follow that would not tell.
    await syncNames(disk, directory);
    if (timesGivenUp === this.#timesGivenUp) this.#spares.push(...spares);
    else await this.#remove(spares);
  }

  /** The device is full: removes all of them. False when there are none. */
  async giveUp(): Promise<boolean> {
    this.#timesGivenUp++;
    const spares = this.#spares.splice(0);
    await this.#remove(spares);
    return spares.length > 0;
  }

  async #remove(spares: readonly SpareFile[]): Promise<void> {
    const { disk, logger } = this.#options;
    try {
      for (const { path } of spares) await disk.remove(path);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      logger.warn('superfluous log segments could not be removed', { error: error.message });
    }
  }
}
