import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp, timestampMax } from '../../src/base/ids.js';
import { deferred, type Deferred, type MaybePromise } from '../../src/base/promises.js';
import { BlockCache } from '../../src/lsm/block-cache.js';
import type { Found } from '../../src/lsm/entry.js';
import { getFromTables, type TableGet } from '../../src/lsm/get-many.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, settled, text, treeDirectory, treeResources } from './harness.js';

const keyOf = (i: number): string => `key-${String(i).padStart(4, '0')}`;
const found = (i: number): Found => ({ version: Timestamp(i + 1), kind: 'put', value: utf8(keyOf(i)) });

/** A get of `count` keys, last first. Of those in `waiting` each read waits for its `Deferred`. */
function start(count: number, isWaiting: (i: number) => boolean) {
  const asked: number[] = [];
  const reads = new Map<number, Deferred<Found>>();
  const pins = { retained: 0, released: 0 };
  const gets: TableGet[] = Array.from({ length: count }, (_, i) => {
    return { key: utf8(keyOf(count - 1 - i)), position: i, written: undefined, hiddenBelow: 0 };
  });
  const get = ({ key }: TableGet): MaybePromise<Found> => {
    const i = Number(text(key).slice(4));
    asked.push(i);
    if (!isWaiting(i)) return found(i);
    const read = deferred<Found>();
    reads.set(i, read);
    return read.promise;
  };
  const tables = { retain: () => void pins.retained++, release: () => void pins.released++ };
  const all = getFromTables(new Array<Found | undefined>(count).fill(undefined), gets, get, tables);
  const answer = async (i: number, outcome: Found | Error = found(i)): Promise<void> => {
    const read = reads.get(i);
    reads.delete(i);
    if (outcome instanceof Error) read?.reject(outcome);
    else read?.resolve(outcome);
    await new Promise(setImmediate);
  };
  return { all, asked, reads, pins, answer };
}

describe('gets of many keys', () => {
  it('are answered at once, in the order of keys, where nothing must be waited for', () => {
    const { all, asked, pins } = start(20, () => false);
    expect(all).toEqual(Array.from({ length: 20 }, (_, i) => found(19 - i)));
    expect(asked).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(pins).toEqual({ retained: 0, released: 0 });
  });

  it('wait for eight reads at a time, and go on at once where they can', async () => {
    const { all, asked, reads, pins, answer } = start(40, (i) => i >= 10 && i < 30);
    expect([...reads.keys()]).toEqual([10, 11, 12, 13, 14, 15, 16, 17]);
    expect(asked.at(-1)).toBe(17);
    await answer(12);
    expect(asked.at(-1)).toBe(18);
    for (const i of [10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21]) await answer(i);
    expect(asked.at(-1)).toBe(29);
    await answer(22);
    // From here on nothing waits.
    expect(asked.at(-1)).toBe(39);
    expect(pins).toEqual({ retained: 1, released: 0 });
    for (const i of [...reads.keys()]) await answer(i);
    expect(await all).toEqual(Array.from({ length: 40 }, (_, i) => found(39 - i)));
    expect(pins).toEqual({ retained: 1, released: 1 });
  });

  it('read no more after a failure, and give up the tables only when all reads have ended', async () => {
    const { all, asked, reads, pins, answer } = start(40, () => true);
    const failed = Promise.resolve(all).catch((error: unknown) => error);
    await answer(3, new Error('damaged'));
    for (const i of [0, 1, 2, 4, 5, 6]) await answer(i);
    expect(pins.released).toBe(0);
    await answer(7);
    expect(await failed).toEqual(new Error('damaged'));
    expect(reads.size).toBe(0);
    expect(asked).toHaveLength(8);
    expect(pins).toEqual({ retained: 1, released: 1 });
  });

  it('are of one time, whatever is written, flushed and merged meanwhile', async () => {
    const resources = treeResources(newDisk(3), { blockCache: new BlockCache(2000) });
    const options = { memtableBytesMax: 8000, blockBytes: 200, level0TablesCompact: 2, levelBytesBase: 20_000 };
    await using tree = await Tree.create(treeDirectory, resources, options);
    const keys = Array.from({ length: 300 }, (_, i) => utf8(keyOf(i)));
    const writeAll = async (version: number): Promise<void> => {
      const batch = new TreeBatch();
      for (const key of keys) batch.put(key, Timestamp(version), utf8(String(version)));
      await tree.writeStall();
      tree.write(batch, LogIndex(version));
      tree.setSafePoint(Timestamp(version));
    };
    let waited = 0;
    for (let version = 1; version <= 30; version++) {
      await writeAll(version);
      if (version % 3 !== 0) continue;
      await tree.flush();
      const many = tree.getMany(keys, timestampMax);
      if (many instanceof Promise) waited++;
      await writeAll(++version);
      await tree.flush();
      const values = (await many).map((one) => (one === undefined ? undefined : text(one.value)));
      expect(new Set(values)).toEqual(new Set([String(version - 1)]));
    }
    expect(waited).toBeGreaterThan(3);
    await settled(tree);
  });
});
