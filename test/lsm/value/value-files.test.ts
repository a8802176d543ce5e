import { describe, expect, it } from 'vitest';
import { noneSkipped, pickCompaction } from '../../../src/lsm/compaction/picker.js';
import type { NamedValueFile, TableMetadata } from '../../../src/lsm/sstable/sstable-format.js';
import type { ValueFileMetadata } from '../../../src/lsm/value/value-file-format.js';
import {
  filesToCollect,
  valueFileMetrics,
  valueFilesAfter,
  type ValueFiles,
} from '../../../src/lsm/value/value-files.js';
import { levels, table } from '../tables.js';

/** Bytes of header and footer. */
const overheadBytes = 48;

/** `7*100` is value file 7 with 100 bytes of records. */
function files(text: string): ValueFiles {
  const all = text.split(' ').map((one): ValueFileMetadata => {
    const [number, records] = one.split('*').map(Number);
    return { number, bytes: records + overheadBytes, fingerprint: 0, values: 1, valueBytes: 1 };
  });
  return new Map(all.map((file) => [file.number, file]));
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
    const all = [[a, b], [], [], [], [], [], []];
    expect([...valueFilesAfter(files('7*30'), [...files('8*10').values()], all).keys()]).toEqual([7, 8]);
    expect([...valueFilesAfter(files('7*30 8*10'), [], [[a]]).keys()]).toEqual([7]);
    expect([...valueFilesAfter(files('7*30 8*10'), [], [[]]).keys()]).toEqual([]);
    expect(() => valueFilesAfter(files('7*30'), [], all)).toThrow('value file 8, which is not there');
  });

  it('count as garbage what no table points to', () => {
    const all = [[naming('1:a-b', '7*10'), naming('2:c-d', '7*10 8*10')]];
    expect(valueFileMetrics(files('7*30 8*10'), all)).toEqual({ files: 2, fileBytes: 136, garbageBytes: 10 });
    expect(valueFileMetrics(new Map(), levels(''))).toEqual({ files: 0, fileBytes: 0, garbageBytes: 0 });
  });

  it('are to be emptied while they take too much, the emptiest first, and not for next to nothing', () => {
    const all = [[naming('1:a-b', '7*50 8*20 9*95')]];
    expect([...filesToCollect(files('7*100 8*100 9*100'), all, 2)]).toEqual([]);
    expect([...filesToCollect(files('7*100 8*100 9*100'), all, 1.8)]).toEqual([8]);
    expect([...filesToCollect(files('7*100 8*100 9*100'), all, 1.3)]).toEqual([8, 7]);
    expect([...filesToCollect(files('9*100'), [[naming('1:a-b', '9*95')]], 1.01)]).toEqual([]);
    expect([...filesToCollect(new Map(), levels(''), 1)]).toEqual([]);
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
    const due = pickCompaction(all, { ...picker, level0TablesCompact: 1 }, noneSkipped, new Set([7]));
    expect(due).toMatchObject({ type: 'compact', level: 0 });
  });
});
