import { expect, it } from 'vitest';
import { emptyBytes, utf8 } from '../../src/base/bytes.js';
import type { CorruptionError } from '../../src/base/errors.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { TreeInspection } from '../../src/lsm/tree-inspection.js';
import { Tree } from '../../src/lsm/tree.js';
import { newDisk, put, text, treeDirectory, treeResources } from './harness.js';

it('shows the entries of a damaged table up to the damage, and all of the others, once and in order', async () => {
  const disk = newDisk();
  const tree = await Tree.create(treeDirectory, treeResources(disk), {
    blockBytes: 200,
    compressionLevelMin: 7,
    level0TablesCompact: 9,
  });
  for (const version of [1, 2]) {
    for (let i = 10; i < 90; i++) put(tree, `key-${i}`, version, `value ${version} of ${i}`);
    await tree.flush();
  }
  tree.write(new TreeBatch().deleteRange(utf8('a'), utf8('b'), Timestamp(3)), LogIndex(1000));
  await tree.flush();
  await tree.close();
  const tables = disk.paths().filter((path) => path.endsWith('.sst'));
  expect(tables).toHaveLength(3);
  disk.corrupt(tables[0], 1000, 1);
  disk.corrupt(tables[2], 1, 1);

  await using inspection = await TreeInspection.open(disk, treeDirectory);
  const bounds = { lower: emptyBytes, upper: undefined };
  const damaged: string[] = [];
  const onDamage = ({ file }: CorruptionError): void => void damaged.push(`/${file}`);
  for await (const range of inspection.rangeTombstones(bounds, onDamage)) expect(range).toBeUndefined();
  const shown: Record<number, string[]> = { 1: [], 2: [] };
  const order: string[] = [];
  for await (const { key, version } of inspection.entries(bounds, onDamage)) {
    shown[version].push(text(key));
    order.push(`${text(key)} ${9 - version}`);
  }
  expect(damaged).toEqual([tables[2], tables[0]]);
  const all = Array.from({ length: 80 }, (_, i) => `key-${i + 10}`);
  expect(shown[2]).toEqual(all);
  expect(shown[1].length).toBeGreaterThan(10);
  expect(shown[1].length).toBeLessThan(70);
  expect(shown[1]).toEqual(all.slice(0, shown[1].length));
  expect(order).toEqual([...order].sort());
});

it('shows deleted ranges table by table, and reads none that is not asked for', async () => {
  const disk = newDisk();
  const tree = await Tree.create(treeDirectory, treeResources(disk), { level0TablesCompact: 9 });
  tree.write(new TreeBatch().deleteRange(utf8('a'), utf8('h'), Timestamp(3)), LogIndex(1));
  await tree.flush();
  const newer = new TreeBatch().deleteRange(utf8('b'), utf8('d'), Timestamp(4));
  tree.write(newer.deleteRange(utf8('c'), utf8('f'), Timestamp(5)), LogIndex(2));
  await tree.flush();
  await tree.close();
  const [oldest] = disk.paths().filter((path) => path.endsWith('.sst'));
  disk.corrupt(oldest, 1, 1);

  await using inspection = await TreeInspection.open(disk, treeDirectory);
  const damaged: string[] = [];
  const onDamage = ({ file }: CorruptionError): void => void damaged.push(`/${file}`);
  const ranges = inspection.rangeTombstones({ lower: emptyBytes, upper: utf8('e') }, onDamage);
  const shown: string[] = [];
  for (let left = 4; left > 0; left--) {
    const { value } = await ranges.next();
    if (value !== undefined) shown.push(`${text(value.lower)}-${text(value.upper)}@${value.version}`);
  }
  expect(shown).toEqual(['b-c@4', 'c-d@5', 'c-d@4', 'd-e@5']);
  expect(damaged).toEqual([]);
  expect((await ranges.next()).done).toBe(true);
  expect(damaged).toEqual([oldest]);
});
