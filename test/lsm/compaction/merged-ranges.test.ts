import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { MergedRanges } from '../../../src/lsm/compaction/merged-ranges.js';
import { Retention, type RetentionOptions } from '../../../src/lsm/compaction/retention.js';
import type { RangeFragment } from '../../../src/lsm/range/range-tombstones.js';
import { fragments, show, streamOf } from '../fragments.js';

async function started(options: RetentionOptions, ...lines: string[]): Promise<MergedRanges> {
  const ranges = new MergedRanges(
    options,
    lines.map((line) => streamOf(fragments(line))),
  );
  await ranges.start();
  return ranges;
}

/** What outlives the merge of those that begin at `key` or before. */
async function beginBy(ranges: MergedRanges, key?: string): Promise<string> {
  const kept: RangeFragment[] = [];
  while (ranges.beginsBy(key === undefined ? undefined : utf8(key))) {
    const range = await ranges.begin();
    if (range !== undefined) kept.push(range);
  }
  return show(kept);
}

describe('range tombstones of a merge', () => {
  it.each([
    ['above the safe point', 4, -1, 'a-b@7,5', 'a-b@7,5'],
    ['the newest one below it', 6, -1, 'a-b@7,5,3', 'a-b@7,5'],
    ['that one too, but not at the bottom', 6, 6, 'a-b@7,5,3 b-c@5', 'a-b@7'],
    ['what may hide something above', 6, 4, 'a-b@5,3 b-c@4', 'a-b@5'],
    ['neighbours that have become alike as one', 6, -1, 'a-b@5,3 b-c@5', 'a-c@5'],
  ])('outlive it: %s', async (_, safePoint, tombstoneDropVersionMax, line, expected) => {
    expect(await beginBy(await started({ safePoint, tombstoneDropVersionMax }, line))).toBe(expected);
  });

  it('of several runs hide together, also what does not outlive it', async () => {
    const options = { safePoint: 7, tombstoneDropVersionMax: 5 };
    const ranges = await started(options, 'a-c@9,5,3 d-e@4', 'b-d@6,4 d-f@2');
    const retention = new Retention(options, ranges);
    expect(await beginBy(ranges, 'a')).toBe('a-b@9');
    expect([4, 5].map((version) => retention.keeps(utf8('a'), version, 'put'))).toEqual([false, true]);
    expect(await beginBy(ranges, 'b')).toBe('b-c@9,6');
    expect([5, 6].map((version) => retention.keeps(utf8('b'), version, 'put'))).toEqual([false, true]);
    expect(await beginBy(ranges, 'dd')).toBe('c-d@6');
    expect([3, 4].map((version) => retention.keeps(utf8('dd'), version, 'put'))).toEqual([false, true]);
    expect(await beginBy(ranges)).toBe('');
    expect(retention.keeps(utf8('f'), 1, 'put')).toBe(true);
  });
});
