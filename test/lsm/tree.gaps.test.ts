/** Iterators begin behind what others have found to be empty: they must see all the same what a model does. */
import { expect, it } from 'vitest';
import { compareBytes, utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, settled, text, treeDirectory, treeResources } from './harness.js';

const keys = 600;
const keyOf = (i: number): string => `key-${String(i).padStart(4, '0')}`;

async function scan(tree: Tree, lower: string, upper: string | undefined, at: number, reverse: boolean, count: number) {
  const bounds = { lower: utf8(lower), upper: upper === undefined ? undefined : utf8(upper) };
  const iterator = tree.openIterator({ ...bounds, at: Timestamp(at), reverse });
  const found: string[] = [];
  for (let next = await iterator.next(); next !== undefined; next = await iterator.next()) {
    found.push(`${text(next.key)}=${text(next.value)}`);
    if (found.length === count) break;
  }
  iterator.close();
  return found;
}

it.each([1, 2, 3, 4])('sees what a model does, seed %i', async (seed) => {
  const random = new Prng(seed);
  const options = { memtableBytesMax: 20_000, blockBytes: 300 };
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk(seed)), options);
  /** What is visible at each version: few of the oldest are kept. */
  let now = new Map<string, string>();
  const before = new Map<number, Map<string, string>>();
  let version = 0;
  const write = async (batch: TreeBatch): Promise<void> => {
    await tree.writeStall();
    tree.write(batch, LogIndex(version));
    before.set(version, now);
    before.delete(version - 4);
    tree.setSafePoint(Timestamp(Math.max(0, version - 4)));
  };
  for (let round = 0; round < 250; round++) {
    now = new Map(now);
    version++;
    const batch = new TreeBatch();
    const from = random.int(0, keys);
    const isDeletion = random.chance(0.6);
    const count = isDeletion ? random.int(60, 300) : random.int(1, random.chance(0.2) ? 200 : 3);
    for (let i = from; i < Math.min(keys, from + count); i++) {
      if (isDeletion) {
        batch.delete(utf8(keyOf(i)), Timestamp(version));
        now.delete(keyOf(i));
      } else {
        batch.put(utf8(keyOf(i)), Timestamp(version), utf8(String(version)));
        now.set(keyOf(i), String(version));
      }
    }
    if (random.chance(0.1)) {
      batch.deleteRange(utf8(keyOf(0)), utf8(keyOf(from)), Timestamp(version));
      for (const key of [...now.keys()]) if (key < keyOf(from) && now.get(key) !== String(version)) now.delete(key);
    }
    await write(batch);
    if (random.chance(0.1)) await tree.flush();
    for (let i = 0; i < 4; i++) {
      const at = random.pick([...before.keys()].filter((one) => one > version - 3));
      const [lower, end] = [random.int(0, keys), random.int(0, keys)].sort((a, b) => a - b).map(keyOf);
      const upper = random.chance(0.3) ? undefined : end;
      const reverse = random.chance(0.5);
      const limit = random.pick([1, 5, keys]);
      const expected = [...(before.get(at) ?? [])]
        .filter(([key]) => key >= lower && (upper === undefined || key < upper))
        .sort(([a], [b]) => compareBytes(utf8(a), utf8(b)))
        .map(([key, value]) => `${key}=${value}`);
      if (reverse) expected.reverse();
      expect(await scan(tree, lower, upper, at, reverse, limit)).toEqual(expected.slice(0, limit));
    }
  }
});

it('does not take what was written during a scan for empty', async () => {
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
  const all = new TreeBatch();
  for (let i = 0; i < 200; i++) all.delete(utf8(keyOf(i)), Timestamp(1));
  tree.write(all.put(utf8(keyOf(300)), Timestamp(1), utf8('end')), LogIndex(1));
  const iterator = tree.openIterator({ lower: utf8(''), upper: undefined, at: Timestamp(9), reverse: false });
  tree.write(new TreeBatch().put(utf8(keyOf(100)), Timestamp(2), utf8('late')), LogIndex(2));
  expect(text((await iterator.next())?.key ?? utf8(''))).toBe(keyOf(300));
  iterator.close();
  expect(await scan(tree, '', undefined, 9, false, 9)).toEqual([`${keyOf(100)}=late`, `${keyOf(300)}=end`]);
});

it('does not take for empty what is to be seen at later versions', async () => {
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
  const all = new TreeBatch();
  for (let i = 0; i < 200; i++) all.delete(utf8(keyOf(i)), Timestamp(1));
  tree.write(all.put(utf8(keyOf(100)), Timestamp(5), utf8('later')), LogIndex(1));
  expect(await scan(tree, '', undefined, 4, false, 9)).toEqual([]);
  expect(await scan(tree, '', undefined, 5, false, 9)).toEqual([`${keyOf(100)}=later`]);
});

it('sees what was ingested where it was empty', async () => {
  const disk = newDisk();
  const resources = treeResources(disk);
  await using other = await Tree.create('node/other', resources);
  other.write(new TreeBatch().put(utf8(keyOf(100)), Timestamp(2), utf8('new')), LogIndex(1));
  await other.flush();
  await settled(other);
  await using tree = await Tree.create(treeDirectory, resources);
  const all = new TreeBatch();
  for (let i = 0; i < 200; i++) all.delete(utf8(keyOf(i)), Timestamp(1));
  tree.write(all, LogIndex(1));
  expect(await scan(tree, '', undefined, 9, false, 9)).toEqual([]);
  const table = (await disk.list('node/other')).find((name) => name.endsWith('.sst')) ?? '';
  await tree.ingest([`node/other/${table}`], LogIndex(2));
  expect(await scan(tree, '', undefined, 9, false, 9)).toEqual([`${keyOf(100)}=new`]);
});
