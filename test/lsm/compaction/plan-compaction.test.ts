import { describe, expect, it } from 'vitest';
import { noneSkipped, pickCompaction } from '../../../src/lsm/compaction/picker.js';
import { planMerge } from '../../../src/lsm/compaction/plan-compaction.js';
import { defined } from '../../../src/base/assert.js';
import { levels, table } from '../tables.js';

const pickerOptions = { level0TablesCompact: 2, levelBytesBase: 100, levelBytesMultiplier: 10 };

function plan(lines: string[], options: { safePoint?: number; memtableVersionMin?: number; target?: number } = {}) {
  const shape = levels(...lines);
  const decision = pickCompaction(shape, pickerOptions, noneSkipped);
  if (decision.type !== 'compact') throw new Error(`the picker said ${decision.type}`);
  const merge = planMerge(shape, decision, {
    safePoint: options.safePoint ?? 50,
    memtableVersionMin: options.memtableVersionMin ?? 1000,
    sstableBytesTarget: options.target ?? 10,
  });
  return { ...merge, runs: merge.runs.map((run) => run.map(({ number }) => number).join(' ')) };
}

describe('planMerge', () => {
  it('makes a run of each table of level 0, and one of each other level', () => {
    expect(plan(['5:a-z 4:a-z', '1:a-c 2:d-e']).runs).toEqual(['5', '4', '1 2']);
    expect(plan(['5:a-z 4:a-z']).runs).toEqual(['5', '4']);
    expect(plan(['', '5:a-c*101', '1:a-a 2:b-b']).runs).toEqual(['5', '1 2']);
  });

  it.each([
    ['at the bottom up to the safe point', ['5:a-c 4:a-c', '1:a-c'], 1000, 50],
    ['not while a deeper level overlaps', ['5:a-c 4:a-c', '1:a-c', '', '2:b-z'], 1000, -1],
    ['when deeper levels have other keys', ['5:a-c 4:a-c', '1:a-c', '', '2:d-z'], 1000, 50],
    ['only older than all in memtables', ['5:a-c 4:a-c', '1:a-c'], 20, 19],
    ['only older than what upper levels overlap', ['9:b-b@8', '5:a-c*101', '1:a-c'], 1000, 7],
    ['whatever upper levels have of other keys', ['9:x-z@8', '5:a-c*101', '1:a-c'], 1000, 50],
  ])('lets tombstones go %s', (_, lines, memtableVersionMin, expected) => {
    expect(plan(lines, { memtableVersionMin }).tombstoneDropVersionMax).toBe(expected);
  });

  it('asks for numbers enough', () => {
    const inputs = ['5:a-z*95', '4:a-z*4'].map(table);
    const shape = levels('5:a-z*95 4:a-z*4');
    const decision = pickCompaction(shape, pickerOptions, noneSkipped);
    expect(decision).toMatchObject({ type: 'compact', level: 0, upper: inputs, lower: [] });
    expect(plan(['5:a-z*95 4:a-z*4'], { target: 10 }).outputsMax).toBe(21);
    expect(defined(plan(['5:a-z*95~3 4:a-z*4~1'], { target: 10 }).outputsMax, 'a number')).toBe(29);
    expect(defined(plan(['5:a-z*95 4:a-z*4'], { target: 1000 }).outputsMax, 'a number')).toBe(3);
  });
});
