/**
 * The recovery point: a file beside the segments that says below which batch the log was durable. The proofs in a segment lie close to what
 * they prove, and what takes its end away, or all of it, takes them along; this file tells on it, but for what is newer.
 *
 * Two slots, in blocks of their own, are written in turns: a write that is torn leaves the other. Byte-exact form: docs/formats/log.md.
 */
import { maskedCrc32 } from '../base/checksum.js';
import { getU32, getU53, putU32, putU53 } from '../base/coding.js';
import { DiskError, readWholeFile, syncNames, type Disk, type DiskFile } from '../env/disk.js';

export const recoveryPointName = 'RECOVERY-POINT';

const slotBytes = 24;
const slotOffsets = [0, 4096] as const;
const fileBytes = 8192;
const formatVersion = 1;
/** 'QLRP' in the order of the bytes. */
const magic = 0x50524c51;
/** While batches are written, the file is once in so many ticks: half a second, at the default length of a tick. */
const ticksPerWrite = 10;

/** All batches below this one were durable; 0 where nothing says so. */
export async function readRecoveryPoint(disk: Disk, directory: string): Promise<number> {
  const path = `${directory}/${recoveryPointName}`;
  if (!(await disk.exists(path))) return 0;
  return Math.max(...slotsOf(await readWholeFile(disk, path)));
}

/** What each slot says. */
export function slotsOf(bytes: Uint8Array): readonly number[] {
  return slotOffsets.map((offset) => decodeSlot(bytes, offset));
}

function encodeSlot(durableBefore: number): Uint8Array {
  const bytes = new Uint8Array(slotBytes);
  putU32(bytes, 4, magic);
  putU32(bytes, 8, formatVersion);
  putU53(bytes, 16, durableBefore);
  putU32(bytes, 0, maskedCrc32(bytes.subarray(4)));
  return bytes;
}

/** 0 when there is none: the file may just have been made, or the write have been torn. */
function decodeSlot(bytes: Uint8Array, offset: number): number {
  if (bytes.length < offset + slotBytes) return 0;
  const slot = bytes.subarray(offset, offset + slotBytes);
  const isWhole = getU32(slot, 0) === maskedCrc32(slot.subarray(4)) && getU32(slot, 4) === magic;
  return isWhole && getU32(slot, 8) === formatVersion ? getU53(slot, 16) : 0;
}

export interface RecoveryPointOptions {
  readonly disk: Disk;
  /** Of the segments. */
  readonly directory: string;
  readonly onFailure: (error: unknown) => void;
}

/** Writes it, beside what the log writes: it speaks only of what is durable already. */
export class RecoveryPoint {
  readonly #options: RecoveryPointOptions;
  /** Opened with the first write. */
  #file: DiskFile | undefined;
  #nextSlot = 0;
  /** Of an empty log there is nothing to say. */
  #written = 1;
  #ticks = 0;
  #running: Promise<void> | undefined;

  constructor(options: RecoveryPointOptions) {
    this.#options = options;
  }

  /** @param durableBefore all batches below it are durable */
  tick(durableBefore: number): void {
    this.#ticks++;
    if (this.#ticks < ticksPerWrite || durableBefore === this.#written || this.#running !== undefined) return;
    this.#ticks = 0;
    this.#running = this.#write(durableBefore).finally(() => {
      this.#running = undefined;
    });
  }

  /** With the last word, if the log has not failed. */
  async close(lastWord: () => number | undefined): Promise<void> {
    await this.#running;
    const durableBefore = lastWord();
    if (durableBefore !== undefined && durableBefore !== this.#written) await this.#write(durableBefore);
    await this.#file?.close();
  }

  /** A full device may refuse its bytes: what is missing proves nothing, and nothing false. */
  async #write(durableBefore: number): Promise<void> {
    try {
      this.#file ??= await this.#open();
      await this.#file.write(encodeSlot(durableBefore), slotOffsets[this.#nextSlot]);
      this.#nextSlot = 1 - this.#nextSlot;
      this.#written = durableBefore;
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'noSpace')) this.#options.onFailure(error);
    }
  }

  async #open(): Promise<DiskFile> {
    const { disk, directory } = this.#options;
    const path = `${directory}/${recoveryPointName}`;
    const isThere = await disk.exists(path);
    if (isThere) {
      const [first, second] = slotsOf(await readWholeFile(disk, path));
      this.#nextSlot = first > second ? 1 : 0;
    }
    const file = await disk.open(path, isThere ? 'readWriteDurable' : 'createDurable');
    try {
      if (!isThere) await file.write(new Uint8Array(fileBytes), 0);
      // Also where it is there: an earlier try may have found no room. A failed one may have lost the name of a new segment, too.
      await syncNames(disk, directory);
      return file;
    } catch (error) {
      // The log is to know at once: what is under way there may be lost with the names.
      void file.close().catch(() => undefined);
      throw error;
    }
  }
}
