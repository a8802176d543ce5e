/**
 * Range tombstones: "from version v on, the keys of this range are deleted". They hide entries by version alone, in
 * whatever order entries and tombstones were written, and wherever they are (docs/decisions/2026-11-21-range-tombstones.md).
 *
 * Those of one place (a memtable, a table) are kept as *fragments*: disjoint ranges in ascending order, each with the
 * versions of all tombstones that cover it. Fragments never change; who wants others makes them.
 */
import { compareBytes, equalBytes } from '../../base/bytes.js';
import type { Timestamp } from '../../base/ids.js';
import type { KeyBounds } from '../iterator/entry-iterator.js';

/** Hides entries of the keys from `lower` up to but without `upper`, of versions below its own. */
export interface RangeTombstone {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
  readonly version: Timestamp;
}

/** A range, which is not empty, and the versions of the tombstones that cover it: one at least, descending, each once. */
export interface RangeFragment {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
  readonly versions: readonly Timestamp[];
}

/** Disjoint, in ascending order. */
export type RangeFragments = readonly RangeFragment[];

export const noFragments: RangeFragments = [];

/** Of any tombstones. */
export function fragmentsOf(tombstones: readonly RangeTombstone[]): RangeFragments {
  return mergeAllFragments(tombstones.map(({ lower, upper, version }) => [{ lower, upper, versions: [version] }]));
}

/** What covers a key in any of the lists. Merges by halves, so that no fragment is looked at too often. */
export function mergeAllFragments(lists: readonly RangeFragments[]): RangeFragments {
  if (lists.length === 0) return noFragments;
  if (lists.length === 1) return lists[0];
  const middle = lists.length >>> 1;
  return mergeFragments(mergeAllFragments(lists.slice(0, middle)), mergeAllFragments(lists.slice(middle)));
}

export function mergeFragments(a: RangeFragments, b: RangeFragments): RangeFragments {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  // What comes before all of the other list stays as it is: mostly a few are merged into many.
  const merged = new FragmentList();
  let i = merged.takeBefore(a, b[0].lower);
  let j = merged.takeBefore(b, a[0].lower);
  let left = a.at(i);
  let right = b.at(j);
  while (left !== undefined && right !== undefined) {
    const order = compareBytes(left.lower, right.lower);
    if (order < 0) {
      // A part of `left` alone, or all of it.
      const isWhole = compareBytes(left.upper, right.lower) <= 0;
      merged.push(isWhole ? left : { ...left, upper: right.lower });
      left = isWhole ? a.at(++i) : { ...left, lower: right.lower };
    } else if (order > 0) {
      const isWhole = compareBytes(right.upper, left.lower) <= 0;
      merged.push(isWhole ? right : { ...right, upper: left.lower });
      right = isWhole ? b.at(++j) : { ...right, lower: left.lower };
    } else {
      const ends = compareBytes(left.upper, right.upper);
      const upper = ends < 0 ? left.upper : right.upper;
      merged.push({ lower: left.lower, upper, versions: mergeVersions(left.versions, right.versions) });
      left = ends <= 0 ? a.at(++i) : { ...left, lower: upper };
      right = ends >= 0 ? b.at(++j) : { ...right, lower: upper };
    }
  }
  if (left !== undefined) merged.pushRest(left, a, i);
  if (right !== undefined) merged.pushRest(right, b, j);
  return merged.fragments;
}

/** Descending, each once, as both are. */
export function mergeVersions(a: readonly Timestamp[], b: readonly Timestamp[]): readonly Timestamp[] {
  const merged: Timestamp[] = [];
  let j = 0;
  for (const version of a) {
    while (j < b.length && b[j] > version) merged.push(b[j++]);
    if (j < b.length && b[j] === version) j++;
    merged.push(version);
  }
  while (j < b.length) merged.push(b[j++]);
  return merged;
}

/** Fragments in order; neighbours with the same versions become one. */
class FragmentList {
  fragments: RangeFragment[] = [];

  push(fragment: RangeFragment): void {
    const last = this.fragments.at(-1);
    if (last === undefined || !equalBytes(last.upper, fragment.lower) || !equalVersions(last, fragment)) {
      this.fragments.push(fragment);
    } else {
      this.fragments[this.fragments.length - 1] = { ...last, upper: fragment.upper };
    }
  }

  /** Takes the fragments that end before `key`, while it has none, and returns how many. */
  takeBefore(fragments: RangeFragments, key: Uint8Array): number {
    let count = firstEndingAfter(fragments, key);
    if (count > 0 && equalBytes(fragments[count - 1].upper, key)) count--;
    if (count > 0) this.fragments = fragments.slice(0, count);
    return count;
  }

  /** `first`, and what comes after position `at` in the list that it is from. */
  pushRest(first: RangeFragment, list: RangeFragments, at: number): void {
    this.push(first);
    if (at + 1 < list.length) {
      this.push(list[at + 1]);
      this.fragments = this.fragments.concat(list.slice(at + 2));
    }
  }
}

export function equalVersions(a: RangeFragment, b: RangeFragment): boolean {
  return a.versions.length === b.versions.length && a.versions.every((version, i) => version === b.versions[i]);
}

/** With other versions of each fragment; those without a version are left out. */
export function withVersions(
  fragments: RangeFragments,
  versionsOf: (fragment: RangeFragment) => readonly Timestamp[],
): RangeFragments {
  const kept = new FragmentList();
  for (const fragment of fragments) {
    const versions = versionsOf(fragment);
    if (versions.length > 0) kept.push({ ...fragment, versions });
  }
  return kept.fragments;
}

/** What they cover of the keys within the bounds. */
export function clipFragments(fragments: RangeFragments, { lower, upper }: KeyBounds): RangeFragments {
  const clipped: RangeFragment[] = [];
  if (upper !== undefined && compareBytes(lower, upper) >= 0) return clipped;
  for (let i = firstEndingAfter(fragments, lower); i < fragments.length; i++) {
    const fragment = fragments[i];
    if (upper !== undefined && compareBytes(fragment.lower, upper) >= 0) break;
    clipped.push({
      lower: compareBytes(fragment.lower, lower) < 0 ? lower : fragment.lower,
      upper: upper !== undefined && compareBytes(fragment.upper, upper) > 0 ? upper : fragment.upper,
      versions: fragment.versions,
    });
  }
  return clipped;
}

/** Position of the first fragment that ends after `key`: the one that covers it, if any does. */
export function firstEndingAfter(fragments: RangeFragments, key: Uint8Array): number {
  let low = 0;
  let high = fragments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(fragments[middle].upper, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Entries of `key` of versions below this one are hidden from reads at `at`; 0, which hides nothing, if none are. */
export function hiddenBelow(fragments: RangeFragments, key: Uint8Array, at: number): number {
  const fragment = fragments.at(firstEndingAfter(fragments, key));
  return fragment !== undefined && compareBytes(fragment.lower, key) <= 0 ? newestAt(fragment, at) : 0;
}

/**
 * Position of the last fragment, in one direction from that at `position`, up to which they follow each other without a gap
 * and all hide from reads at `at` what is below `below`.
 */
export function neighboursHiding(
  fragments: RangeFragments,
  position: number,
  reverse: boolean,
  { at, below, neighboursMax }: { readonly at: number; readonly below: number; readonly neighboursMax: number },
): number {
  const step = reverse ? -1 : 1;
  const end = reverse
    ? Math.max(-1, position - 1 - neighboursMax)
    : Math.min(fragments.length, position + 1 + neighboursMax);
  let last = position;
  for (let i = position + step; i !== end; last = i, i += step) {
    const touches = reverse
      ? equalBytes(fragments[i].upper, fragments[last].lower)
      : equalBytes(fragments[last].upper, fragments[i].lower);
    if (!touches || newestAt(fragments[i], at) < below) break;
  }
  return last;
}

/** The newest version at or below `at`, 0 if there is none. */
export function newestAt({ versions }: RangeFragment, at: number): number {
  for (const version of versions) if (version <= at) return version;
  return 0;
}

/** How many versions they have together: what the properties of a table count. */
export function countVersions(fragments: RangeFragments): number {
  return fragments.reduce((sum, { versions }) => sum + versions.length, 0);
}
