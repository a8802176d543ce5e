import { utf8 } from '../../src/base/bytes.js';
import { Timestamp } from '../../src/base/ids.js';
import type { RangeStream } from '../../src/lsm/range/merge-ranges.js';
import type { RangeFragments } from '../../src/lsm/range/range-tombstones.js';
import { text } from './harness.js';

/** `a-c@5,3 d-e@1`: a range from a up to c with two versions, and one with one. */
export function fragments(line: string): RangeFragments {
  const parts = line.split(' ').filter(Boolean);
  return parts.map((part) => {
    const [lower, upper, versions] = part.split(/[-@]/);
    return {
      lower: utf8(lower),
      upper: utf8(upper),
      versions: versions.split(',').map((each) => Timestamp(Number(each))),
    };
  });
}

export function show(all: RangeFragments): string {
  return all.map(({ lower, upper, versions }) => `${text(lower)}-${text(upper)}@${versions.join()}`).join(' ');
}

// eslint-disable-next-line @typescript-eslint/require-await -- what is in memory, as what must be read
export async function* streamOf(all: RangeFragments): RangeStream {
  yield* all;
}
