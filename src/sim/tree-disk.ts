import { assert } from '../base/assert.js';
import { DiskError, type Disk, type DiskFile, type OpenMode } from '../env/disk.js';
import type { DiskTree } from './disk-tree.js';
import type { FileState } from './file-state.js';

export type DiskOperation =
  | 'open'
  | 'list'
  | 'exists'
  | 'makeDirectory'
  | 'remove'
  | 'removeTree'
  | 'rename'
  | 'link'
  | 'syncDirectory'
  | 'size'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'close';

/** What an operation does, once its time has come. */
export interface DiskEffect<T> {
  readonly run: () => T;
  /** For syncs: what the disk does instead when the sync fails. */
  readonly fail?: () => void;
  /** That it writes. Default 0. */
  readonly bytes?: number;
}

/**
 * `Disk` over a {@link DiskTree}: says what each operation does. When it happens, and whether it fails instead, is
 * the business of {@link perform}. A sync covers what had happened when it was called, as on a real system, and not
 * what was only on its way.
 */
export abstract class TreeDisk implements Disk {
  protected abstract readonly tree: DiskTree;
  /** Counts the crashes: what was opened before one is of no use after it. */
  abstract readonly generation: number;
  /** Bytes that the files may still grow by. */
  abstract readonly freeBytes: number;
  abstract perform<T>(operation: DiskOperation, path: string, effect: DiskEffect<T>): Promise<T>;
  /** As {@link perform}, before it returns; undefined where that would have to wait. */
  abstract performNow<T>(operation: DiskOperation, path: string, effect: DiskEffect<T>): T | undefined;

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return this.perform('open', path, {
      run: () => {
        const isNew = mode === 'create' || mode === 'createDurable';
        const state = isNew ? this.tree.create(path) : this.tree.file(path, 'open');
        return new TreeFile(this, path, state, mode);
      },
    });
  }

  list(path: string): Promise<string[]> {
    return this.perform('list', path, { run: () => this.tree.directory(path, 'list').names() });
  }

  exists(path: string): Promise<boolean> {
    return this.perform('exists', path, { run: () => this.tree.find(path) !== undefined });
  }

  makeDirectory(path: string): Promise<void> {
    return this.perform('makeDirectory', path, { run: () => this.tree.makeDirectory(path) });
  }

  remove(path: string): Promise<void> {
    return this.perform('remove', path, { run: () => this.tree.remove(path) });
  }

  removeTree(path: string): Promise<void> {
    return this.perform('removeTree', path, { run: () => this.tree.removeTree(path) });
  }

  rename(from: string, to: string): Promise<void> {
    return this.perform('rename', from, { run: () => this.tree.rename(from, to) });
  }

  link(from: string, to: string): Promise<void> {
    return this.perform('link', to, { run: () => this.tree.link(from, to) });
  }

  syncDirectory(path: string): Promise<void> {
    const node = this.tree.find(path);
    const mark = node?.type === 'directory' ? node.syncMark() : 0;
    return this.perform('syncDirectory', path, {
      run: () => this.tree.directory(path, 'syncDirectory').sync(mark),
      fail: () => this.tree.directory(path, 'syncDirectory').failSync(mark),
    });
  }
}

class TreeFile implements DiskFile {
  readonly path: string;
  readonly #disk: TreeDisk;
  readonly #state: FileState;
  readonly #mode: OpenMode;
  readonly #generation: number;
  #isClosed = false;

  constructor(disk: TreeDisk, path: string, state: FileState, mode: OpenMode) {
    this.path = path;
    this.#disk = disk;
    this.#state = state;
    this.#mode = mode;
    this.#generation = disk.generation;
  }

  size(): Promise<number> {
    return this.#perform('size', { run: () => this.#state.length });
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    return this.#disk.perform('read', this.path, this.#reading(target, offset));
  }

  readNow(target: Uint8Array, offset: number): number | undefined {
    return this.#disk.performNow('read', this.path, this.#reading(target, offset));
  }

  #reading(target: Uint8Array, offset: number): DiskEffect<number> {
    assert(offset >= 0, `the offset must not be negative, got ${offset}`);
    return this.#whileOpen('read', {
      run: () => {
        if (!this.#state.canRead(offset, target.length)) throw new DiskError('io', this.path, 'read');
        const bytes = this.#state.content.subarray(offset, offset + target.length);
        target.set(bytes);
        return bytes.length;
      },
    });
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    assert(offset >= 0, `the offset must not be negative, got ${offset}`);
    const written = this.#perform('write', {
      bytes: bytes.length,
      run: () => {
        this.#assertWritable('write');
        const growth = Math.max(0, offset + bytes.length - this.#state.length);
        const free = this.#disk.freeBytes;
        if (growth <= free) {
          this.#state.write(bytes, offset);
          return;
        }
        // As the kernel does: what fits is written, then the device is full.
        const fitting = bytes.length - (growth - free);
        if (fitting > 0) this.#state.write(bytes.subarray(0, fitting), offset);
        throw new DiskError('noSpace', this.path, 'write');
      },
    });
    // Two operations, so that everything that can go wrong with either, and between them, does.
    const isDurable = this.#mode === 'createDurable' || this.#mode === 'readWriteDurable';
    return isDurable ? written.then(() => this.sync()) : written;
  }

  sync(): Promise<void> {
    const mark = this.#state.syncMark();
    return this.#perform('sync', {
      run: () => this.#state.sync(mark),
      fail: () => this.#state.failSync(mark),
    });
  }

  truncate(length: number): Promise<void> {
    assert(length >= 0, `the length must not be negative, got ${length}`);
    return this.#perform('truncate', {
      run: () => {
        this.#assertWritable('truncate');
        this.#state.truncate(length);
      },
    });
  }

  close(): Promise<void> {
    return this.#perform('close', {
      run: () => {
        this.#isClosed = true;
      },
    });
  }

  #perform<T>(operation: DiskOperation, effect: DiskEffect<T>): Promise<T> {
    return this.#disk.perform(operation, this.path, this.#whileOpen(operation, effect));
  }

  #whileOpen<T>(operation: DiskOperation, effect: DiskEffect<T>): DiskEffect<T> {
    return {
      ...effect,
      run: () => {
        if (this.#generation !== this.#disk.generation) throw new DiskError('crashed', this.path, operation);
        if (this.#isClosed) throw new DiskError('closed', this.path, operation);
        return effect.run();
      },
    };
  }

  #assertWritable(operation: DiskOperation): void {
    if (this.#mode === 'read') throw new DiskError('notPermitted', this.path, operation);
  }
}
