import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { assert } from '../base/assert.js';
import { DiskError, type Disk, type DiskErrorCode, type DiskFile, type OpenMode } from '../env/disk.js';
import { PromptReads } from './prompt-reads.js';

const codes: Readonly<Record<string, DiskErrorCode>> = {
  ENOENT: 'notFound',
  EEXIST: 'exists',
  ENOTEMPTY: 'exists',
  ENOSPC: 'noSpace',
  EDQUOT: 'noSpace',
  EACCES: 'notPermitted',
  EPERM: 'notPermitted',
  EROFS: 'notPermitted',
  EXDEV: 'otherFileSystem',
};

const { O_RDWR, O_CREAT, O_EXCL, O_DSYNC } = fs.constants;

const flags = {
  read: 'r',
  readWrite: 'r+',
  readWriteDurable: O_RDWR | O_DSYNC,
  create: 'wx+',
  createDurable: O_RDWR | O_CREAT | O_EXCL | O_DSYNC,
} as const;

type Done<T> = (error: NodeJS.ErrnoException | null, value?: T) => void;

/** Calls a function of `node:fs` and turns its errors into ours; plain callbacks cost less than `fs/promises`. */
function call<T = void>(path: string, operation: string, begin: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    begin((error, value) => {
      if (error === null) resolve(value as T);
      else reject(diskError(error, path, operation));
    });
  });
}

function diskError(error: NodeJS.ErrnoException, path: string, operation: string): DiskError {
  return new DiskError(codes[error.code ?? ''] ?? 'io', path, operation, error);
}

/**
 * `recursive` of `fs.mkdir` is not used: where a folder exists that takes no entries (`/proc`), it tries for ever, at
 * full load.
 */
async function makeOneDirectory(path: string): Promise<void> {
  try {
    await call(path, 'makeDirectory', (done) => fs.mkdir(path, done));
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'exists') throw error;
    const stats = await call<fs.Stats>(path, 'makeDirectory', (done) => fs.stat(path, done));
    if (!stats.isDirectory()) throw error;
  }
}

/** Whether a part of the path is a file, so that nothing can be there. */
function isBelowFile({ cause }: DiskError): boolean {
  return (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOTDIR';
}

/** The file system of this machine. */
export class NodeDisk implements Disk {
  readonly #hasDurableWrites: boolean;
  readonly #promptReads = new PromptReads({
    nowMs: () => performance.now(),
    endOfTurn: (callback) => void setImmediate(callback),
  });

  /** @param hasDurableWrites whether O_DSYNC does what fdatasync does. Not on macOS, where it leaves the drive's cache alone. */
  constructor({ hasDurableWrites = process.platform === 'linux' } = {}) {
    this.#hasDurableWrites = hasDurableWrites;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const syncsWrites = (mode === 'createDurable' || mode === 'readWriteDurable') && !this.#hasDurableWrites;
    const openFlags = syncsWrites ? flags[mode] & ~O_DSYNC : flags[mode];
    const fd = await call<number>(path, 'open', (done) => fs.open(path, openFlags, done));
    return new NodeDiskFile({ path, fd, isWritable: mode !== 'read', syncsWrites, promptReads: this.#promptReads });
  }

  async list(path: string): Promise<string[]> {
    const names = await call<string[]>(path, 'list', (done) => fs.readdir(path, done));
    return names.sort();
  }

  async exists(path: string): Promise<boolean> {
    try {
      await call(path, 'exists', (done) => fs.access(path, done));
      return true;
    } catch (error) {
      if (error instanceof DiskError && (error.code === 'notFound' || isBelowFile(error))) return false;
      throw error;
    }
  }

  async makeDirectory(path: string): Promise<void> {
    const parent = dirname(path);
    try {
      await makeOneDirectory(path);
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== 'notFound' || parent === path) throw error;
      await this.makeDirectory(parent);
      await makeOneDirectory(path);
    }
  }

  remove(path: string): Promise<void> {
    return call(path, 'remove', (done) => fs.unlink(path, done));
  }

  removeTree(path: string): Promise<void> {
    return call(path, 'removeTree', (done) => fs.rm(path, { recursive: true, force: true }, done));
  }

  rename(from: string, to: string): Promise<void> {
    return call(from, 'rename', (done) => fs.rename(from, to, done));
  }

  link(from: string, to: string): Promise<void> {
    return call(to, 'link', (done) => fs.link(from, to, done));
  }

  async syncDirectory(path: string): Promise<void> {
    const fd = await call<number>(path, 'syncDirectory', (done) => fs.open(path, 'r', done));
    try {
      await call(path, 'syncDirectory', (done) => fs.fsync(fd, done));
    } catch (error) {
      // Who counts on names in this folder is to know at once.
      fs.close(fd, () => undefined);
      throw error;
    }
    await call(path, 'syncDirectory', (done) => fs.close(fd, done));
  }
}

interface OpenFile {
  readonly path: string;
  readonly fd: number;
  readonly isWritable: boolean;
  /** After each write. */
  readonly syncsWrites: boolean;
  /** Of the whole disk. */
  readonly promptReads: PromptReads;
}

/**
 * An open file. Operations run side by side on the thread pool; the descriptor is closed only when none is left,
 * because its number may then mean another file.
 */
class NodeDiskFile implements DiskFile {
  readonly path: string;
  readonly #fd: number;
  readonly #isWritable: boolean;
  readonly #syncsWrites: boolean;
  readonly #promptReads: PromptReads;
  #isClosed = false;
  #running = 0;
  #onIdle: (() => void) | undefined;

  constructor({ path, fd, isWritable, syncsWrites, promptReads }: OpenFile) {
    this.path = path;
    this.#fd = fd;
    this.#isWritable = isWritable;
    this.#syncsWrites = syncsWrites;
    this.#promptReads = promptReads;
  }

  async size(): Promise<number> {
    const stats = await this.#call<fs.Stats>('size', (done) => fs.fstat(this.#fd, done));
    return stats.size;
  }

  async read(target: Uint8Array, offset: number): Promise<number> {
    assert(offset >= 0, `the offset must not be negative, got ${offset}`);
    let filled = 0;
    while (filled < target.length) {
      const from = filled;
      const count = await this.#call<number>('read', (done) =>
        fs.read(this.#fd, target, from, target.length - from, offset + from, done),
      );
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  readNow(target: Uint8Array, offset: number): number | undefined {
    assert(offset >= 0, `the offset must not be negative, got ${offset}`);
    if (this.#isClosed) throw new DiskError('closed', this.path, 'read');
    return this.#promptReads.run(() => this.#readSync(target, offset));
  }

  #readSync(target: Uint8Array, offset: number): number {
    let filled = 0;
    try {
      while (filled < target.length) {
        const count = fs.readSync(this.#fd, target, filled, target.length - filled, offset + filled);
        if (count === 0) break;
        filled += count;
      }
    } catch (error) {
      throw diskError(error as NodeJS.ErrnoException, this.path, 'read');
    }
    return filled;
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    assert(offset >= 0, `the offset must not be negative, got ${offset}`);
    this.#checkWritable('write');
    let written = 0;
    while (written < bytes.length) {
      const from = written;
      const count = await this.#call<number>('write', (done) =>
        fs.write(this.#fd, bytes, from, bytes.length - from, offset + from, done),
      );
      if (count === 0) throw new DiskError('io', this.path, 'write', new Error('the device takes no bytes'));
      written += count;
    }
    if (this.#syncsWrites) await this.sync();
  }

  /** fdatasync: also the length, and all else that is needed to read the bytes again. */
  sync(): Promise<void> {
    return this.#call('sync', (done) => fs.fdatasync(this.#fd, done));
  }

  async truncate(length: number): Promise<void> {
    assert(length >= 0, `the length must not be negative, got ${length}`);
    this.#checkWritable('truncate');
    await this.#call('truncate', (done) => fs.ftruncate(this.#fd, length, done));
  }

  async close(): Promise<void> {
    if (this.#isClosed) throw new DiskError('closed', this.path, 'close');
    this.#isClosed = true;
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    await call(this.path, 'close', (done) => fs.close(this.#fd, done));
  }

  async #call<T = void>(operation: string, begin: (done: Done<T>) => void): Promise<T> {
    if (this.#isClosed) throw new DiskError('closed', this.path, operation);
    this.#running++;
    try {
      return await call(this.path, operation, begin);
    } finally {
      this.#running--;
      if (this.#running === 0) this.#onIdle?.();
    }
  }

  #checkWritable(operation: string): void {
    if (!this.#isWritable) throw new DiskError('notPermitted', this.path, operation);
  }
}
