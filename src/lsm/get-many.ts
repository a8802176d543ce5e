import { compareBytes } from '../base/bytes.js';
import type { MaybePromise } from '../base/promises.js';
import type { Found } from './entry.js';

/** Reads that are waited for at a time: a device has some to choose from, and the thread pool is left some threads. */
const readsMax = 8;

/** What is to be looked up in tables, and what newer places have of it. */
export interface TableGet {
  readonly key: Uint8Array;
  /** In the result. */
  readonly position: number;
  readonly written: Found | undefined;
  /** See MemtableQueue.hiddenBelow. */
  readonly hiddenBelow: number;
}

/** Tables that stay until they are released. */
interface Pinned {
  retain(): void;
  release(): void;
}

/**
 * Completes `found` by what `get` finds, in the order of keys: where many are wanted, neighbours share blocks. It goes on at
 * once as long as nothing must be waited for. Where something must, up to 8 reads are under way, and after each that ends, in a turn of
 * its own, the next ones are tried at once again.
 */
export function getFromTables(
  found: (Found | undefined)[],
  gets: TableGet[],
  get: (one: TableGet) => MaybePromise<Found | undefined>,
  tables: Pinned,
): MaybePromise<readonly (Found | undefined)[]> {
  gets.sort((a, b) => compareBytes(a.key, b.key));
  let next = 0;
  /** Reads on; until a read that must be waited for, if there is one. */
  const goOn = (): Promise<void> | undefined => {
    while (next < gets.length) {
      const one = gets[next++];
      const got = get(one);
      if (got instanceof Promise) return got.then((read) => void (found[one.position] = read));
      found[one.position] = got;
    }
    return undefined;
  };
  const lane = async (first?: Promise<void>): Promise<void> => {
    try {
      for (let pending = first ?? goOn(); pending !== undefined; pending = goOn()) await pending;
    } catch (error) {
      next = gets.length;
      throw error;
    }
  };
  const first = goOn();
  if (first === undefined) return found;
  tables.retain();
  const lanes = [lane(first), ...Array.from({ length: readsMax - 1 }, () => lane())];
  return Promise.allSettled(lanes)
    .finally(() => tables.release())
    .then(() => Promise.all(lanes))
    .then(() => found);
}
