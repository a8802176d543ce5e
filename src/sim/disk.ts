import { assert } from '../base/assert.js';
import type { Prng } from '../base/prng.js';
import { DiskError, type Disk, type DiskErrorCode } from '../env/disk.js';
import { DiskTree } from './disk-tree.js';
import { MountedDisk } from './mounted-disk.js';
import type { SimProcess } from './process.js';
import type { Scheduler } from './scheduler.js';
import { TreeDisk, type DiskEffect, type DiskOperation } from './tree-disk.js';

/** Virtual milliseconds, uniform between the two. */
type Range = readonly [minMs: number, maxMs: number];

export interface DiskLatency {
  readonly read: Range;
  readonly write: Range;
  readonly sync: Range;
  /** Everything else. */
  readonly other: Range;
}

/** A server SSD. */
const defaultLatency: DiskLatency = {
  read: [0.02, 0.2],
  write: [0.01, 0.1],
  sync: [0.2, 2],
  other: [0.01, 0.2],
};

export interface SimDiskOptions {
  /** Decides what a power loss keeps, and latencies. */
  readonly random: Prng;
  /** Of operations through {@link SimDisk.mount}; default: a server SSD. */
  readonly latency?: DiskLatency;
}

/** `all`: the process dies (SIGKILL), the machine stays. The others are power losses. */
export type CrashKeeps = 'all' | 'none' | 'random';

/** Returns the code with which an operation is to fail, or undefined to let it happen. */
export type DiskFault = (operation: DiskOperation, path: string) => DiskErrorCode | undefined;

/**
 * The disk of one simulated machine. It keeps exactly what POSIX promises (see {@link Disk}), survives the processes
 * that use it, and fails on request.
 *
 * For plain tests it is a `Disk` itself whose operations take no time; a loop over all crash points is
 *
 * ```ts
 * for (let n = 1; ; n++) {
 *   const disk = new SimDisk({ random: new Prng(n) });
 *   disk.crashAtOperation = n;           // operation n and all later ones reject with `crashed`
 *   const acknowledged = await workload(disk).catch(ignoreCrashed);
 *   const isOver = disk.operationCount < n;
 *   disk.crash({ keep: 'random' });      // power loss; from here on the disk works again
 *   await checkRecovery(disk, acknowledged);
 *   if (isOver) break;
 * }
 * ```
 *
 * In a simulated cluster each process incarnation gets its `Disk` from {@link mount}.
 */
export class SimDisk extends TreeDisk {
  /** From this operation on (counted from 1) all reject with `crashed`, until {@link crash}. */
  crashAtOperation: number | undefined;
  /** Asked before every operation. A failed sync loses, at the next power loss, what it was to make durable. */
  fault: DiskFault | undefined;
  /** Bytes that all files together may have; writes beyond fail with `noSpace`. */
  quotaBytes = Infinity;
  /** Multiplies the latency of mounted disks. */
  slowness = 1;
  /** That mounted disks write, one operation after the other. */
  bytesPerSecond = Infinity;
  protected override readonly tree: DiskTree;
  readonly #random: Prng;
  readonly #pageCache: Prng;
  readonly #latency: DiskLatency;
  #operationCount = 0;
  #refusedForSpace = 0;
  #generation = 0;
  #isDown = false;
  /** Until then it writes what it was given. */
  #writesUntilMs = 0;
  #stalled: (() => void)[] | undefined;
  /** Operations of mounted disks that have not happened yet. */
  readonly #inFlight = new Set<() => void>();

  /** @param tree what is on the disk; default: nothing. */
  constructor(options: SimDiskOptions, tree = new DiskTree()) {
    super();
    this.tree = tree;
    this.#random = options.random;
    this.#pageCache = options.random.split('page cache');
    this.#latency = options.latency ?? defaultLatency;
  }

  /** Operations that were begun, over all processes. */
  get operationCount(): number {
    return this.#operationCount;
  }

  /** Operations that failed with `noSpace`, over all processes. */
  get refusedForSpace(): number {
    return this.#refusedForSpace;
  }

  override get generation(): number {
    return this.#generation;
  }

  override get freeBytes(): number {
    return this.quotaBytes === Infinity ? Infinity : Math.max(0, this.quotaBytes - this.tree.usedBytes());
  }

  /**
   * The disk as one incarnation of a process sees it: operations take virtual time, and once the process is dead they
   * never settle, since there is nobody to learn of it. What a dead process had begun still happens, unless
   * {@link crash} comes first.
   */
  mount(scheduler: Scheduler, process: SimProcess): Disk {
    return new MountedDisk({
      disk: this,
      tree: this.tree,
      inFlight: this.#inFlight,
      delayMs: (operation, bytes) => this.#delayMs(operation) + this.#writingMs(bytes, scheduler.nowMs),
      scheduler,
      process,
    });
  }

  override async perform<T>(operation: DiskOperation, path: string, effect: DiskEffect<T>): Promise<T> {
    const generation = this.#generation;
    const happen = this.begin(operation, path, effect);
    await new Promise<void>((resolve) => this.whenNotStalled(resolve));
    if (generation !== this.#generation) throw new DiskError('crashed', path, operation);
    return happen();
  }

  /** Every second time, as if the page cache had half of all bytes; never while the disk is stalled. */
  override performNow<T>(operation: DiskOperation, path: string, effect: DiskEffect<T>): T | undefined {
    if (this.#stalled !== undefined || this.#pageCache.chance(0.5)) return undefined;
    return this.begin(operation, path, effect)();
  }

  /** For mounted disks: counts an operation; the result makes it happen, or fail. */
  begin<T>(operation: DiskOperation, path: string, effect: DiskEffect<T>): () => T {
    this.#operationCount++;
    const isCrashPoint = this.#operationCount === this.crashAtOperation;
    return () => {
      if (isCrashPoint && !this.#isDown) {
        this.#isDown = true;
        this.#maybe(effect.run);
      }
      if (this.#isDown) throw new DiskError('crashed', path, operation);
      const code = this.fault?.(operation, path);
      if (code === undefined) return this.#run(effect);
      effect.fail?.();
      throw new DiskError(code, path, operation);
    };
  }

  #run<T>(effect: DiskEffect<T>): T {
    try {
      return effect.run();
    } catch (error) {
      if (error instanceof DiskError && error.code === 'noSpace') this.#refusedForSpace++;
      throw error;
    }
  }

  /**
   * Ends all that was open and on its way (each such operation has happened or not, at random) and, unless `keep` is
   * `all`, takes away what was not synced: all of it, or a random part at the granularity of sectors and names.
   * The disk works again afterwards.
   */
  crash(options: { readonly keep: CrashKeeps }): void {
    for (const happen of this.#inFlight) this.#maybe(happen);
    this.#inFlight.clear();
    this.#generation++;
    this.#isDown = false;
    this.crashAtOperation = undefined;
    this.unstall();
    if (options.keep !== 'all') this.tree.losePower(options.keep === 'random' ? this.#random : undefined);
  }

  /** Nothing happens any more until {@link unstall} or {@link crash}. */
  stall(): void {
    this.#stalled ??= [];
  }

  get isStalled(): boolean {
    return this.#stalled !== undefined;
  }

  unstall(): void {
    const stalled = this.#stalled ?? [];
    this.#stalled = undefined;
    for (const callback of stalled) callback();
  }

  /** Flips the bits of `mask` in one byte of a file, as a failing medium does. */
  corrupt(path: string, offset: number, mask = 1): void {
    const file = this.tree.file(path, 'corrupt');
    assert(offset >= 0 && offset < file.length, `${path} has no byte ${offset}`);
    file.damage(offset, (byte) => byte ^ mask);
  }

  /** Puts other bytes where the file has some: a misdirected write, or a block of zeros. */
  overwrite(path: string, offset: number, bytes: Uint8Array): void {
    const file = this.tree.file(path, 'overwrite');
    assert(offset >= 0 && offset + bytes.length <= file.length, `${path} does not reach from ${offset} so far`);
    bytes.forEach((byte, i) => file.damage(offset + i, () => byte));
  }

  /** Reads of the sector around a byte of a file fail from now on, until it is written. */
  loseSector(path: string, offset: number): void {
    this.tree.file(path, 'loseSector').loseSector(offset);
  }

  /** A copy of what readers see now. */
  content(path: string): Uint8Array {
    return this.tree.file(path, 'content').content.slice();
  }

  /** Paths of all files, sorted, each with a leading slash. */
  paths(): string[] {
    return this.tree.paths();
  }

  usedBytes(): number {
    return this.tree.usedBytes();
  }

  /** An independent disk with the same content, durable and not; no faults are set there, and nothing is open. */
  clone(random: Prng): SimDisk {
    return new SimDisk({ random, latency: this.#latency }, this.tree.clone());
  }

  /** For mounted disks: calls back at once, or when the disk goes on. */
  whenNotStalled(callback: () => void): void {
    if (this.#stalled === undefined) callback();
    else this.#stalled.push(callback);
  }

  #delayMs(operation: DiskOperation): number {
    const latency = this.#latency;
    const [minMs, maxMs] =
      operation === 'read' || operation === 'write'
        ? latency[operation]
        : operation === 'sync' || operation === 'syncDirectory'
          ? latency.sync
          : latency.other;
    return (minMs + this.#random.float() * (maxMs - minMs)) * this.slowness;
  }

  /** Until it has written so much more. */
  #writingMs(bytes: number, nowMs: number): number {
    this.#writesUntilMs = Math.max(this.#writesUntilMs, nowMs) + (1000 * bytes) / this.bytesPerSecond;
    return bytes === 0 ? 0 : this.#writesUntilMs - nowMs;
  }

  #maybe(happen: () => unknown): void {
    if (!this.#random.chance(0.5)) return;
    try {
      happen();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
    }
  }
}
