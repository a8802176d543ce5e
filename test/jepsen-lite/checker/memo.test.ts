/** The compact set and the memo against the obvious: a Set of numbers, a Set of strings. */
import { expect, test } from 'vitest';
import { Memo } from '../../../jepsen-lite/checker/memo.js';
import { OperationSet } from '../../../jepsen-lite/checker/operation-set.js';
import { Prng } from '../../../src/base/prng.js';

test.each([
  { pendingCount: 0, returnedCount: 5, seed: 1 },
  { pendingCount: 3, returnedCount: 0, seed: 2 },
  { pendingCount: 3, returnedCount: 40, seed: 3 },
  { pendingCount: 40, returnedCount: 200, seed: 4 },
])('remembers exactly the sets it has seen: $pendingCount pending, $returnedCount returned', (sizes) => {
  const prng = new Prng(sizes.seed);
  const set = new OperationSet(sizes);
  const memo = new Memo({ entriesMax: 100_000 });
  const naiveSet = new Set<number>();
  const naiveMemo = new Set<string>();
  const total = sizes.pendingCount + sizes.returnedCount;
  const memberOf = (operation: number): number =>
    operation < sizes.pendingCount
      ? operation
      : OperationSet.firstReturned(sizes.pendingCount) + operation - sizes.pendingCount;

  let seen = 0;
  for (let round = 0; round < 6000; round++) {
    // Long runs of additions, then of removals, as a search does. Mostly the lowest is added, so that words fill up.
    const adding = round % 400 < 250;
    let operation = prng.int(0, total - 1);
    if (adding && prng.chance(0.7)) for (operation = 0; operation < total - 1 && naiveSet.has(operation);) operation++;
    if (adding && !naiveSet.has(operation)) {
      naiveSet.add(operation);
      set.add(memberOf(operation));
    } else if (naiveSet.delete(operation)) {
      set.remove(memberOf(operation));
    }
    const stateId = prng.int(0, 2);
    const naiveKey = `${[...naiveSet].sort((a, b) => a - b).join()}:${stateId}`;
    const expected = naiveMemo.has(naiveKey) ? 'seen' : 'new';
    naiveMemo.add(naiveKey);
    expect(memo.insert(set, stateId)).toBe(expected);
    if (expected === 'seen') seen++;
    // Looking ahead and back again leaves the same set.
    if (!naiveSet.has(total - 1)) {
      set.add(memberOf(total - 1));
      set.remove(memberOf(total - 1));
      expect(memo.insert(set, stateId)).toBe('seen');
    }
  }
  expect(memo.entries).toBe(naiveMemo.size);
  expect(seen).toBeGreaterThan(0);
});

test('refuses what is new beyond its cap, and still knows what it has', () => {
  const memo = new Memo({ entriesMax: 2 });
  const set = new OperationSet({ pendingCount: 0, returnedCount: 1 });
  expect([0, 1, 2, 1, 2].map((stateId) => memo.insert(set, stateId))).toEqual(['new', 'new', 'full', 'seen', 'full']);
});
