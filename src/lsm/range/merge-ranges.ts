import { compareBytes, equalBytes } from '../../base/bytes.js';
import type { Timestamp } from '../../base/ids.js';
import { equalVersions, mergeVersions, type RangeFragment } from './range-tombstones.js';

/** Disjoint fragments in ascending order, made as they are asked for. */
export type RangeStream = AsyncGenerator<RangeFragment, void>;

interface Head {
  /** What is left of the fragment that the stream gave last. */
  fragment: RangeFragment;
  readonly stream: RangeStream;
}

/**
 * What covers a key in any of the streams, as mergeFragments has it, but one fragment at a time: of ranges that overlap there is
 * much more in all streams together than anybody could hold.
 */
export async function* mergeRanges(streams: readonly RangeStream[]): RangeStream {
  let heads: Head[] = [];
  for (const stream of streams) {
    const { value: fragment } = await stream.next();
    if (fragment !== undefined) heads.push({ fragment, stream });
  }
  while (heads.length > 0) {
    const first = firstOf(heads);
    yield first;
    for (const head of heads) {
      if (!equalBytes(head.fragment.lower, first.lower)) continue;
      if (!equalBytes(head.fragment.upper, first.upper)) {
        head.fragment = { ...head.fragment, lower: first.upper };
        continue;
      }
      const { value: next } = await head.stream.next();
      if (next === undefined) heads = heads.filter((other) => other !== head);
      else head.fragment = next;
    }
  }
}

/** From the first key that is covered to where another set of fragments covers the keys. */
function firstOf(heads: readonly Head[]): RangeFragment {
  let { lower, upper, versions } = heads[0].fragment;
  for (let i = 1; i < heads.length; i++) {
    const { fragment } = heads[i];
    const order = compareBytes(fragment.lower, lower);
    if (order > 0) {
      if (compareBytes(fragment.lower, upper) < 0) upper = fragment.lower;
    } else if (order < 0) {
      upper = compareBytes(fragment.upper, lower) < 0 ? fragment.upper : lower;
      ({ lower, versions } = fragment);
    } else {
      if (compareBytes(fragment.upper, upper) < 0) upper = fragment.upper;
      versions = mergeVersions(versions, fragment.versions);
    }
  }
  return { lower, upper, versions };
}

/** As withVersions: with other versions of each fragment, without those that have none, neighbours with the same ones as one. */
export async function* mapVersions(
  stream: RangeStream,
  versionsOf: (fragment: RangeFragment) => readonly Timestamp[],
): RangeStream {
  let last: RangeFragment | undefined;
  for await (const fragment of stream) {
    const next = { ...fragment, versions: versionsOf(fragment) };
    if (next.versions.length === 0) continue;
    if (last !== undefined && equalBytes(last.upper, next.lower) && equalVersions(last, next)) {
      last = { ...last, upper: next.upper };
    } else {
      if (last !== undefined) yield last;
      last = next;
    }
  }
  if (last !== undefined) yield last;
}
