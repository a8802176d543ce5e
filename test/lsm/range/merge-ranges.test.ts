import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { Timestamp } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { mapVersions, mergeRanges, type RangeStream } from '../../../src/lsm/range/merge-ranges.js';
import {
  fragmentsOf,
  mergeAllFragments,
  withVersions,
  type RangeFragment,
  type RangeFragments,
} from '../../../src/lsm/range/range-tombstones.js';
import { fragments, show, streamOf } from '../fragments.js';

async function all(stream: RangeStream): Promise<RangeFragments> {
  const given: RangeFragment[] = [];
  for await (const fragment of stream) given.push(fragment);
  return given;
}

function randomFragments(random: Prng): RangeFragments {
  const keyOf = (i: number): Uint8Array => utf8(String.fromCharCode(97 + i));
  return fragmentsOf(
    Array.from({ length: random.int(0, 6) }, () => {
      const lower = random.int(0, 24);
      return { lower: keyOf(lower), upper: keyOf(random.int(lower + 1, 26)), version: Timestamp(random.int(1, 9)) };
    }),
  );
}

describe('range tombstones of many places', () => {
  it.each(Array.from({ length: 50 }, (_, i) => i + 1))('are merged as lists are, seed %i', async (seed) => {
    const random = new Prng(seed);
    const lists = Array.from({ length: random.int(0, 5) }, () => randomFragments(random));
    const versionsOf = ({ versions }: RangeFragment): readonly Timestamp[] => versions.filter((one) => one > 3);
    const stream = mapVersions(mergeRanges(lists.map(streamOf)), versionsOf);
    expect(show(await all(stream))).toBe(show(withVersions(mergeAllFragments(lists), versionsOf)));
  });

  it('are asked for when their turn comes', async () => {
    const given = [0, 0];
    const lists = ['a-c@5 d-e@5 m-n@5', 'b-d@4 k-z@4'].map(fragments);
    const streams = lists.map(async function* (list, i): RangeStream {
      for await (const fragment of streamOf(list)) {
        given[i]++;
        yield fragment;
      }
    });
    const merged = mergeRanges(streams);
    const steps: string[] = [];
    for await (const fragment of merged) steps.push(`${show([fragment])} ${given.join('+')}`);
    expect(steps).toEqual([
      'a-b@5 1+1',
      'b-c@5,4 1+1',
      'c-d@4 2+1',
      'd-e@5 2+2',
      'k-m@4 3+2',
      'm-n@5,4 3+2',
      'n-z@4 3+2',
    ]);
  });
});
