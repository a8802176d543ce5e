import { describe, expect, it } from 'vitest';
import { noneSkipped, pickCompaction } from '../../../src/lsm/compaction/picker.js';
import type { NamedValueFile, TableMetadata } from '../../../src/lsm/sstable/sstable-format.js';
import type { ValueFileMetadata } from '../../../src/lsm/value/value-file-format.js';
import {
  filesToCollect,
  fullestOf,
  noValueFiles,
  valueFileMetrics,
  valueFilesAfter,
  type ValueFiles,
} from '../../../src/lsm/value/value-files.js';
import { emptyLevels } from '../../../src/lsm/version/levels.js';
import type { VersionEdit } from '../../../src/lsm/version/version-edit.js';
import { table } from '../tables.js';

/** Bytes of header and footer. */
const overheadBytes = 48;

/** `7*100` is value file 7 with 100 bytes of records. */
function values(text: string): readonly ValueFileMetadata[] {
  return text.split(' ').map((one): ValueFileMetadata => {
    const [number, records] = one.split('*').map(Number);
    return { number, bytes: records + overheadBytes, fingerprint: 0, values: 1, valueBytes: 1 };
  });
}

/** The files, of which these tables name every one. */
function files(text: string, ...tables: readonly TableMetadata[]): ValueFiles {
  return valueFilesAfter(noValueFiles, emptyLevels, { removed: [], added: on0(...tables), addedValues: values(text) });
}

function on0(...tables: readonly TableMetadata[]): VersionEdit['added'] {
  return tables.map((one) => ({ level: 0, table: one }));
}

/** The table, which points to so many bytes of files as `7*50 8*10` says. */
function naming(text: string, named: string): TableMetadata {
  const valueFiles = named.split(' ').map((one): NamedValueFile => {
    const [number, bytes] = one.split('*').map(Number);
    return { number, bytes };
  });
  return { ...table(text), valueFiles };
}

const picker = { level0TablesCompact: 4, levelBytesBase: 1000, levelBytesMultiplier: 10 };

describe('value files', () => {
  it('are those that tables name, after each edit', () => {
    const [a, b] = [naming('1:a-b', '7*10'), naming('2:c-d', '7*10 8*10')];
    const both = [[a, b], [], [], [], [], [], []];
    const first = files('7*30', a);
    const second = valueFilesAfter(first, [[a]], { removed: [], added: on0(b), addedValues: values('8*10') });
    expect([...second]).toEqual([
      [7, { metadata: values('7*30')[0], tables: 2, namedBytes: 20 }],
      [8, { metadata: values('8*10')[0], tables: 1, namedBytes: 10 }],
    ]);
    const moved = { removed: [{ level: 0, number: 1 }], added: [{ level: 6, table: a }] };
    expect(valueFilesAfter(second, both, moved)).toEqual(second);
    const without = valueFilesAfter(second, both, { removed: [{ level: 0, number: 1 }], added: [] });
    expect([...without]).toEqual([
      [7, { metadata: values('7*30')[0], tables: 1, namedBytes: 10 }],
      [8, { metadata: values('8*10')[0], tables: 1, namedBytes: 10 }],
    ]);
    const merged = { removed: [{ level: 0, number: 2 }], added: on0(naming('3:c-d', '7*5')) };
    expect([...valueFilesAfter(second, both, merged)]).toEqual([
      [7, { metadata: values('7*30')[0], tables: 2, namedBytes: 15 }],
    ]);
    const none = [1, 2].map((number) => ({ level: 0, number }));
    expect([...valueFilesAfter(second, both, { removed: none, added: [] })]).toEqual([]);
    expect(() => valueFilesAfter(first, [[a]], { removed: [], added: on0(b) })).toThrow('8, which is not there');
    expect(() => files('7*30 8*10', a)).toThrow('no table names value file 8');
  });

  it('count as garbage what no table points to', () => {
    const used = files('7*30 8*10', naming('1:a-b', '7*10'), naming('2:c-d', '7*10 8*10'));
    expect(valueFileMetrics(used)).toEqual({ files: 2, fileBytes: 136, garbageBytes: 10 });
    expect(valueFileMetrics(noValueFiles)).toEqual({ files: 0, fileBytes: 0, garbageBytes: 0 });
  });

  it('are to be emptied while they take too much, the emptiest first, and not for next to nothing', () => {
    const used = files('7*100 8*100 9*100', naming('1:a-b', '7*50 8*20 9*95'));
    expect([...filesToCollect(used, 2)]).toEqual([]);
    expect([...filesToCollect(used, 1.8)]).toEqual([8]);
    expect([...filesToCollect(used, 1.3)]).toEqual([8, 7]);
    expect([...filesToCollect(files('9*100', naming('1:a-b', '9*95')), 1.01)]).toEqual([]);
    expect([...filesToCollect(noValueFiles, 1)]).toEqual([]);
  });

  it('that are to be emptied have the table below level 0 merged by itself that points most into them for its size', () => {
    const few = naming('1:a-b*10', '7*50 8*900');
    const many = naming('2:c-d*10', '7*60');
    const large = naming('3:e-f*100', '7*70');
    const upper = naming('4:a-f*10', '7*500');
    const all = [[upper], [], [], [], [], [], [few, many, large]];
    expect(pickCompaction(all, picker, noneSkipped, new Set([7]))).toEqual({
      type: 'compact',
      level: 6,
      outputLevel: 6,
      upper: [many],
      lower: [],
    });
    expect(pickCompaction(all, picker, noneSkipped, new Set())).toEqual({ type: 'nothing' });
    expect(pickCompaction(all, picker, noneSkipped, new Set([9]))).toEqual({ type: 'nothing' });
    // Where a table names many of which few are to be emptied.
    const manyFiles = Array.from({ length: 50 }, (_, n) => `${2 * n}*${n}`).join(' ');
    const wide = [[], [], [], [], [], [], [naming('5:a-b*10', manyFiles), few]];
    expect(fullestOf(wide, new Set([80]))).toMatchObject({ table: { number: 5 } });
    expect(fullestOf(wide, new Set([8]))).toMatchObject({ table: { number: 1 } });
    expect(fullestOf(wide, new Set([81, 200]))).toBeUndefined();
    const due = pickCompaction(all, { ...picker, level0TablesCompact: 1 }, noneSkipped, new Set([7]));
    expect(due).toMatchObject({ type: 'compact', level: 0 });
  });
});
