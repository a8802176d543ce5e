import type { DiskTree } from './disk-tree.js';
import type { SimProcess } from './process.js';
import type { Scheduler } from './scheduler.js';
import { TreeDisk, type DiskEffect, type DiskOperation } from './tree-disk.js';

/** What survives the process. */
interface MachineDisk {
  readonly generation: number;
  readonly freeBytes: number;
  begin<T>(operation: DiskOperation, path: string, effect: DiskEffect<T>): () => T;
  performNow<T>(operation: DiskOperation, path: string, effect: DiskEffect<T>): T | undefined;
  whenNotStalled(callback: () => void): void;
}

export interface Mount {
  readonly disk: MachineDisk;
  readonly tree: DiskTree;
  /** Operations of all mounted disks that have not happened yet. */
  readonly inFlight: Set<() => void>;
  readonly delayMs: (operation: DiskOperation, bytes: number) => number;
  readonly scheduler: Scheduler;
  readonly process: SimProcess;
}

/** A simulated disk as one incarnation of a process sees it: see {@link SimDisk.mount}. */
export class MountedDisk extends TreeDisk {
  protected override readonly tree: DiskTree;
  readonly #mount: Mount;

  constructor(mount: Mount) {
    super();
    this.tree = mount.tree;
    this.#mount = mount;
  }

  override get generation(): number {
    return this.#mount.disk.generation;
  }

  override get freeBytes(): number {
    return this.#mount.disk.freeBytes;
  }

  override performNow<T>(operation: DiskOperation, path: string, effect: DiskEffect<T>): T | undefined {
    const { disk, process } = this.#mount;
    return process.state === 'dead' ? undefined : disk.performNow(operation, path, effect);
  }

  override perform<T>(operation: DiskOperation, path: string, effect: DiskEffect<T>): Promise<T> {
    const { disk, inFlight, delayMs, scheduler, process } = this.#mount;
    if (process.state === 'dead') return new Promise(() => undefined);
    const happen = disk.begin(operation, path, effect);
    inFlight.add(happen);
    return new Promise((resolve, reject) => {
      scheduler.schedule(delayMs(operation, effect.bytes ?? 0), `${process.name} ${operation} ${path}`, () => {
        disk.whenNotStalled(() => {
          if (!inFlight.delete(happen)) return;
          let settle: () => void;
          try {
            const result = happen();
            settle = () => resolve(result);
          } catch (error) {
            // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- passed on as it was thrown
            settle = () => reject(error);
          }
          process.enter(settle);
        });
      });
    });
  }
}
