import type { MaybePromise } from '../base/promises.js';
import type { Found } from './entry.js';

/**
 * What `get` finds for each key, in the order of `keys`. Blocks that must be waited for are read at the same time.
 * @param get takes its view of the tree before it returns
 */
export function getMany(
  keys: readonly Uint8Array[],
  get: (key: Uint8Array) => MaybePromise<Found | undefined>,
): MaybePromise<readonly (Found | undefined)[]> {
  const found: (Found | undefined)[] = [];
  const pending: Promise<void>[] = [];
  keys.forEach((key, i) => {
    const one = get(key);
    if (!(one instanceof Promise)) found[i] = one;
    else pending.push(one.then((later) => void (found[i] = later)));
  });
  return pending.length === 0 ? found : Promise.all(pending).then(() => found);
}
