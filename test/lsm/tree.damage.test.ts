/** Damage to any byte or file of a small tree is found and named, or does not matter: never a wrong answer. */
import { beforeAll, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { CorruptionError } from '../../src/base/errors.js';
import { LogIndex, Timestamp, timestampMax } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import type { TreeOptions } from '../../src/lsm/tree-options.js';
import { Tree } from '../../src/lsm/tree.js';
import { TreeInspection } from '../../src/lsm/tree-inspection.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { newDisk, put, scan, text, treeDirectory, treeResources, type ShownRecord } from './harness.js';

// No compaction, whose failure would come before the answer.
let options: Partial<TreeOptions> = { blockBytes: 100, level0TablesCompact: 50, level0TablesStall: 50 };
const keys = ['a', 'ab', 'abc', 'b', 'key-1', 'key-2', 'key-3', 'nothing here'];

let intact: SimDisk;
let answers: Answers;

interface Answers {
  readonly forward: readonly ShownRecord[];
  readonly reverse: readonly ShownRecord[];
  readonly gets: readonly (string | undefined)[];
}

async function makeIntact(): Promise<void> {
  intact = newDisk();
  const tree = await Tree.create(treeDirectory, treeResources(intact), options);
  for (let index = 1; index <= 4; index++) {
    const batch = new TreeBatch();
    keys.slice(index, -1).forEach((key, i) => batch.put(utf8(key), Timestamp(index), utf8(`value ${index} ${i}`)));
    batch.delete(utf8(keys[index - 1]), Timestamp(index));
    if (index === 3) batch.deleteRange(utf8('key-1'), utf8('key-2\0'), Timestamp(3));
    tree.write(batch, LogIndex(index));
    if (index % 2 === 0) await tree.flush();
  }
  answers = await ask(tree);
  await tree.close();
}

async function ask(tree: Tree): Promise<Answers> {
  const gets: (string | undefined)[] = [];
  for (const key of keys) {
    const found = await tree.get(utf8(key), timestampMax);
    gets.push(found && `${found.kind} ${found.version} ${text(found.value)}`);
  }
  return { gets, forward: await scan(tree), reverse: await scan(tree, { reverse: true }) };
}

function damaged(change: (disk: SimDisk) => void): SimDisk {
  const disk = intact.clone(new Prng(1));
  change(disk);
  return disk;
}

async function corruptionOf(work: Promise<unknown>): Promise<CorruptionError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof CorruptionError) return error;
    throw error;
  }
}

/** What `quorate storage verify` finds first. */
async function inspected(disk: SimDisk): Promise<CorruptionError | undefined> {
  try {
    await using inspection = await TreeInspection.open(disk, treeDirectory);
    return (await inspection.verify()).at(0);
  } catch (error) {
    if (error instanceof CorruptionError) return error;
    throw error;
  }
}

/**
 * Asks everything, then verifies. Checks the answers, if there are any; returns what `verify` or `open` found, which
 * `storage verify` must find as well.
 */
async function examine(disk: SimDisk): Promise<CorruptionError | undefined> {
  const before = await inspected(disk);
  const found = await examineOpened(disk);
  if (found === undefined) expect(before).toBeUndefined();
  else expect(before).toBeInstanceOf(CorruptionError);
  return found;
}

async function examineOpened(disk: SimDisk): Promise<CorruptionError | undefined> {
  let found: CorruptionError | undefined;
  const opening = Tree.open(treeDirectory, treeResources(disk), options);
  found = await corruptionOf(opening);
  if (found !== undefined) return found;
  const tree = await opening;
  expect(tree.durableAppliedIndex).toBe(4);
  const asked = await corruptionOf(ask(tree).then((given) => expect(given).toEqual(answers)));
  found = await corruptionOf(tree.verify());
  // What a question ran into, a verification finds as well.
  if (asked !== undefined) expect(found).toBeDefined();
  await tree.close();
  return found;
}

function files(): string[] {
  return intact.paths().map((path) => path.replace(/^\//, ''));
}

function valueFiles(): string[] {
  return files().filter((path) => path.endsWith('.val'));
}

/** With its length and checksum, each. */
function recordsOf(path: string): { readonly offset: number; readonly bytes: Uint8Array }[] {
  const content = intact.content(path);
  const records: { offset: number; bytes: Uint8Array }[] = [];
  for (let offset = 12; offset < content.length - 36;) {
    const bytes = content.slice(
      offset,
      offset + 8 + new DataView(content.buffer, content.byteOffset).getUint32(offset, true),
    );
    records.push({ offset, bytes });
    offset += bytes.length;
  }
  return records;
}

function tableFiles(): string[] {
  return files().filter((path) => path.endsWith('.sst'));
}

describe.each([Number.MAX_SAFE_INTEGER, 7])(
  'a damaged tree, values beside it from %d bytes on',
  (largeValueBytesMin) => {
    beforeAll(async () => {
      options = { ...options, largeValueBytesMin };
      await makeIntact();
    });

    it('is made of two tables, their values, a manifest and CURRENT, and sound as it is', async () => {
      expect(files().map((path) => path.slice(treeDirectory.length + 1))).toEqual([
        ...(largeValueBytesMin === 7
          ? ['000002.sst', '000003.val', '000004.sst', '000005.val']
          : ['000002.sst', '000003.sst']),
        'CURRENT',
        'manifest-000001',
      ]);
      expect(await examine(intact.clone(new Prng(1)))).toBeUndefined();
      expect(answers.forward.length).toBeGreaterThan(2);
    });

    it('is found, whichever byte of whichever file has flipped', async () => {
      for (const path of files()) {
        const { length } = intact.content(path);
        for (let offset = 0; offset < length; offset++) {
          const found = await examine(damaged((disk) => disk.corrupt(path, offset, 1 << (offset % 8))));
          expect(found, `${path} byte ${offset}`).toBeInstanceOf(CorruptionError);
          expect(found?.file).toBe(path);
          expect(found?.offset).toBeLessThanOrEqual(Math.max(offset, length - (path.endsWith('.val') ? 36 : 64)));
        }
      }
    });

    it('is found when a file is shorter, whatever is left of it', async () => {
      for (const path of files()) {
        const content = intact.content(path);
        for (let length = 0; length < content.length; length += length < content.length - 9 ? 9 : 1) {
          const disk = damaged(() => undefined);
          const file = await disk.open(path, 'readWrite');
          await file.truncate(length);
          const found = await examine(disk);
          expect(found, `${path} cut to ${length}`).toBeInstanceOf(CorruptionError);
          expect(found?.file).toBe(path);
        }
      }
    });

    it('is found when a file is longer, but for a manifest: there it is a record that never counted', async () => {
      for (const path of files()) {
        const disk = damaged(() => undefined);
        const file = await disk.open(path, 'readWrite');
        await file.write(new Uint8Array(7), intact.content(path).length);
        const found = await examine(disk);
        if (path.includes('manifest')) expect(found).toBeUndefined();
        else expect(found?.file).toBe(path);
      }
    });

    it('is found when a file is missing', async () => {
      for (const path of files()) {
        const disk = damaged(() => undefined);
        await disk.remove(path);
        expect((await examine(disk))?.file).toBe(path);
      }
    });

    it('is not mistaken for none when CURRENT is missing', async () => {
      const disk = damaged(() => undefined);
      await disk.remove(`${treeDirectory}/CURRENT`);
      await expect(Tree.create(treeDirectory, treeResources(disk))).rejects.toThrow(CorruptionError);
      expect(disk.paths()).toHaveLength(files().length - 1);
    });

    it('is found when two tables, or two value files, have changed places', async () => {
      for (const [first, second] of [tableFiles(), valueFiles()]) {
        if (first === undefined) continue;
        const disk = damaged(() => undefined);
        await disk.rename(first, 'aside');
        await disk.rename(second, first);
        await disk.rename('aside', second);
        expect([first, second]).toContain((await examine(disk))?.file);
      }
    });

    it('is found when two sound records of equal size have changed places, in a value file and between two', async () => {
      const records = valueFiles().flatMap((path) => recordsOf(path).map((record) => ({ path, ...record })));
      expect(records.length).toBe(largeValueBytesMin === 7 ? 18 : 0);
      let changed = 0;
      for (const [i, a] of records.entries()) {
        for (const b of records.slice(0, i)) {
          if (a.bytes.length !== b.bytes.length || Buffer.compare(a.bytes, b.bytes) === 0) continue;
          const disk = damaged((copy) => {
            copy.overwrite(a.path, a.offset, b.bytes);
            copy.overwrite(b.path, b.offset, a.bytes);
          });
          expect([a.path, b.path]).toContain((await examine(disk))?.file);
          changed++;
        }
      }
      expect(changed > 100).toBe(largeValueBytesMin === 7);
    });

    it('is found when a table holds a sound block twice', async () => {
      const [path] = tableFiles();
      const content = intact.content(path);
      // Blocks of a hundred bytes: any shifted copy within the data puts sound bytes in the wrong place.
      for (let offset = 0; offset + 200 < content.length; offset += 50) {
        const moved = content.slice(offset, offset + 100);
        if (Buffer.compare(moved, content.subarray(offset + 100, offset + 200)) === 0) continue;
        const found = await examine(damaged((disk) => disk.overwrite(path, offset + 100, moved)));
        expect(found?.file).toBe(path);
      }
    });

    it('is found when blocks of equal size have changed places, between tables too', async () => {
      const tables = tableFiles();
      for (const path of tables) {
        for (const other of tables) {
          const [content, there] = [intact.content(path), intact.content(other)];
          for (let from = 0; from + 60 <= content.length; from += 20) {
            const [a, b] = [content.slice(from, from + 60), there.slice(100, 160)];
            if (Buffer.compare(a, b) === 0 || (path === other && Math.abs(from - 100) < 60)) continue;
            const disk = damaged((copy) => {
              copy.overwrite(path, from, b);
              copy.overwrite(other, 100, a);
            });
            const found = await examine(disk);
            expect([path, other], `${from} of ${path} and 100 of ${other}`).toContain(found?.file);
          }
        }
      }
    });

    it('is found when part of a file is zeros', async () => {
      for (const path of files()) {
        const content = intact.content(path);
        for (let offset = 0; offset < content.length; offset += 8) {
          const part = content.subarray(offset, offset + 64);
          if (part.every((byte) => byte === 0)) continue;
          const found = await examine(damaged((disk) => disk.overwrite(path, offset, new Uint8Array(part.length))));
          expect(found?.file, `${path} from ${offset} on`).toBe(path);
        }
      }
    });

    it('is found when a table or a manifest is an older version of itself, or of another', async () => {
      const older = intact.clone(new Prng(2));
      const tree = await Tree.open(treeDirectory, treeResources(older), options);
      await tree.close();
      // Opened again it has another manifest; the old root names one that is gone, and the new root one that is not there.
      const [oldRoot, newRoot] = [intact, older].map((disk) => disk.content(`${treeDirectory}/CURRENT`));
      const [rolledBack, ahead] = [older.clone(new Prng(3)), damaged(() => undefined)];
      rolledBack.overwrite(`${treeDirectory}/CURRENT`, 0, oldRoot);
      ahead.overwrite(`${treeDirectory}/CURRENT`, 0, newRoot);
      for (const disk of [rolledBack, ahead]) expect(await examine(disk)).toBeInstanceOf(CorruptionError);
      const [first, second] = tableFiles();
      const copied = damaged(() => undefined);
      await copied.remove(first);
      await copied.link(second, first);
      expect((await examine(copied))?.file).toBe(first);
    });

    it('is not collected: a merge that meets a damaged value fails the tree', async () => {
      // Of what the first one has nothing is left.
      const [, path] = valueFiles();
      if (path === undefined) return;
      const disk = damaged((copy) => {
        for (const { offset } of recordsOf(path)) copy.corrupt(path, offset + 8);
      });
      const collecting = { ...options, level0TablesCompact: 3, valueSpaceAmplificationMax: 1 };
      const tree = await Tree.open(treeDirectory, treeResources(disk), collecting);
      tree.setSafePoint(Timestamp(4));
      put(tree, 'zzz', 9, 'another value');
      await tree.flush();
      const failure = await new Promise<Error>((resolve) => tree.onFailure(resolve));
      expect(failure).toBeInstanceOf(CorruptionError);
      expect(recordsOf(path).map(({ offset }) => ({ file: path, offset: offset + 8 }))).toContainEqual({
        file: (failure as CorruptionError).file,
        offset: (failure as CorruptionError).offset,
      });
      await tree.close();
    });

    it('is not compacted: the tree fails instead', async () => {
      const [path] = tableFiles();
      const disk = damaged((copy) => copy.corrupt(path, 30));
      const tree = await Tree.open(treeDirectory, treeResources(disk), {
        level0TablesCompact: 2,
        level0TablesStall: 9,
      });
      const failure = await new Promise<Error>((resolve) => tree.onFailure(resolve));
      expect(failure).toBeInstanceOf(CorruptionError);
      expect(failure).toMatchObject({ file: path, offset: 0 });
      expect(tree.failure).toBe(failure);
      await tree.close();
    });
  },
);
