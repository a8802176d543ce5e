import { assert } from '../../base/assert.js';
import type { DiskFile } from '../../env/disk.js';

/**
 * Files of tables that are open, of all trees of a node: at most `filesMax`, and beyond that only as many as are being
 * read at the same time. The file that was used the longest ago is closed, and opened again when it is needed.
 */
export class OpenFiles {
  readonly #filesMax: number;
  /** Those that are open or being opened; the least recently used first. */
  readonly #open = new Set<FileSlot>();

  constructor(filesMax: number) {
    assert(filesMax >= 1, `filesMax must be at least 1, got ${filesMax}`);
    this.#filesMax = filesMax;
  }

  /** Files that are open now. */
  get count(): number {
    return this.#open.size;
  }

  /** @param open called whenever the file is needed and not open */
  slot(open: () => Promise<DiskFile>): FileSlot {
    return new FileSlot(open, {
      onUse: (slot) => {
        this.#open.delete(slot);
        this.#open.add(slot);
      },
      onIdle: () => this.#trim(),
      onClosed: (slot) => this.#open.delete(slot),
    });
  }

  #trim(): void {
    if (this.#open.size <= this.#filesMax) return;
    for (const slot of this.#open) {
      if (slot.isBusy) continue;
      // Nothing was written to it: how closing ends does not matter.
      void slot.close().catch(() => undefined);
      if (this.#open.size <= this.#filesMax) return;
    }
  }
}

interface SlotEvents {
  readonly onUse: (slot: FileSlot) => void;
  readonly onIdle: () => void;
  readonly onClosed: (slot: FileSlot) => void;
}

/** One file, open while it is used and as long afterwards as there is room. */
export class FileSlot {
  readonly #open: () => Promise<DiskFile>;
  readonly #events: SlotEvents;
  #file: Promise<DiskFile> | undefined;
  /** What `#file` has resolved to. */
  #opened: DiskFile | undefined;
  #users = 0;

  constructor(open: () => Promise<DiskFile>, events: SlotEvents) {
    this.#open = open;
    this.#events = events;
  }

  get isBusy(): boolean {
    return this.#users > 0;
  }

  /** The file, for this turn only; undefined when it is not open. */
  useNow(): DiskFile | undefined {
    if (this.#opened !== undefined) this.#events.onUse(this);
    return this.#opened;
  }

  /** Runs `body` with the file, which stays open until it is done. Rejects with what opening rejects with. */
  async use<T>(body: (file: DiskFile) => Promise<T>): Promise<T> {
    this.#users++;
    this.#events.onUse(this);
    try {
      const file = (this.#file ??= this.#open());
      file.catch(() => this.#forget(file));
      const opened = await file;
      if (this.#file === file) this.#opened = opened;
      return await body(opened);
    } finally {
      this.#users--;
      if (this.#users === 0) this.#events.onIdle();
    }
  }

  #forget(file: Promise<DiskFile>): void {
    if (this.#file !== file) return;
    this.#file = undefined;
    this.#opened = undefined;
    this.#events.onClosed(this);
  }

  /** Closes the file if it is open; who uses it then may see a DiskError `closed`. A later use opens it again. */
  async close(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#forget(file);
    const opened = await file.catch(() => undefined);
    await opened?.close();
  }
}
