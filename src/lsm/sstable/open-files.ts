import { assert } from '../../base/assert.js';
import { deferred } from '../../base/promises.js';
import type { DiskFile } from '../../env/disk.js';

/**
 * Files of tables that are open, of all trees of a node: never more than `filesMax`, those that are being opened or closed
 * included. Who needs another one waits, in the order of asking, until one is not used; the file that was used the longest
 * ago is closed for it, and opened again when it is needed. Who uses a file must not wait for another one meanwhile.
 */
export class OpenFiles {
  readonly #filesMax: number;
  /** Those that hold a file, or wait for it; the least recently used first. */
  readonly #slots = new Set<FileSlot>();
  /** Resolved with a place, each. */
  readonly #waiting: (() => void)[] = [];
  #places = 0;
  #closing = 0;

  constructor(filesMax: number) {
    assert(filesMax >= 1, `filesMax must be at least 1, got ${filesMax}`);
    this.#filesMax = filesMax;
  }

  /** Files that are open now, being opened, or being closed. */
  get count(): number {
    return this.#places;
  }

  /** @param open called whenever the file is needed and not open */
  slot(open: () => Promise<DiskFile>): FileSlot {
    return new FileSlot(open, {
      takePlace: () => this.#takePlace(),
      givePlace: () => this.#givePlace(),
      onUse: (slot) => {
        this.#slots.delete(slot);
        this.#slots.add(slot);
      },
      onIdle: () => this.#closeIdle(),
      onForgotten: (slot) => this.#slots.delete(slot),
    });
  }

  async #takePlace(): Promise<void> {
    if (this.#places < this.#filesMax) {
      this.#places++;
      return;
    }
    const { promise, resolve } = deferred<void>();
    this.#waiting.push(resolve);
    this.#closeIdle();
    await promise;
  }

  #givePlace(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#places--;
    else next();
  }

  /** As many as are waited for. */
  #closeIdle(): void {
    if (this.#waiting.length <= this.#closing) return;
    for (const slot of this.#slots) {
      if (!slot.isOpen || slot.isBusy) continue;
      this.#closing++;
      const closed = (): void => {
        this.#closing--;
        this.#closeIdle();
      };
      // Nothing was written to it: how closing ends does not matter.
      void slot.close().then(closed, closed);
      if (this.#waiting.length <= this.#closing) return;
    }
  }
}

interface SlotEvents {
  readonly takePlace: () => Promise<void>;
  readonly givePlace: () => void;
  readonly onUse: (slot: FileSlot) => void;
  readonly onIdle: () => void;
  readonly onForgotten: (slot: FileSlot) => void;
}

/** One file, open while it is used and as long afterwards as nobody waits for its place. */
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

  get isOpen(): boolean {
    return this.#opened !== undefined;
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
      const file = (this.#file ??= this.#openInPlace());
      file.catch(() => this.#forget(file));
      const opened = await file;
      if (this.#file === file) this.#opened = opened;
      return await body(opened);
    } finally {
      this.#users--;
      if (this.#users === 0) this.#events.onIdle();
    }
  }

  async #openInPlace(): Promise<DiskFile> {
    await this.#events.takePlace();
    try {
      return await this.#open();
    } catch (error) {
      this.#events.givePlace();
      throw error;
    }
  }

  #forget(file: Promise<DiskFile>): void {
    if (this.#file !== file) return;
    this.#file = undefined;
    this.#opened = undefined;
    this.#events.onForgotten(this);
  }

  /** Closes the file if it is open; who uses it then may see a DiskError `closed`. A later use opens it again. */
  async close(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#forget(file);
    const opened = await file.catch(() => undefined);
    if (opened === undefined) return;
    try {
      await opened.close();
    } finally {
      this.#events.givePlace();
    }
  }
}
