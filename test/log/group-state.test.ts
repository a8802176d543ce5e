/** What a group has in memory; and replays that begin in the middle of its history, because the oldest segments are gone. */
import { expect, test } from 'vitest';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import { CacheMeter } from '../../src/log/entry-cache.js';
import { GroupState } from '../../src/log/group-state.js';
import type { TruncationType } from '../../src/log/record.js';
import { entries } from './support.js';

function replay(): {
  group: GroupState;
  found: (first: number, count: number, term: number) => boolean;
  again: (first: number, count: number, term: number) => boolean;
  truncated: (type: TruncationType, index: number, term: number) => void;
} {
  const group = new GroupState(ShardId(1), { retain: () => undefined, release: () => undefined }, new CacheMeter());
  return {
    group,
    found: (first, count, term) =>
      group.replayEntries(entries(first, count, term), { segment: 1, offset: 100, bytes: 100 }),
    again: (first, count, term) =>
      group.replayRewritten(entries(first, count, term), { segment: 2, offset: 100, bytes: 100 }),
    truncated: (type, index, term) => group.replayTruncation({ type, index: LogIndex(index), term: Term(term) }, 1),
  };
}

const baseTerm = (group: GroupState): number | undefined => group.term(LogIndex(group.firstIndex - 1));

test('a log that begins late is complete only with the truncation that says why', () => {
  const { group, found, truncated } = replay();
  expect(found(400, 10, 2)).toBe(true);
  expect(group.firstMissing).toBe(1);
  truncated('truncatePrefix', 350, 2);
  expect(group.firstMissing).toBe(351);
  truncated('truncatePrefix', 399, 2);
  expect(group.firstMissing).toBeUndefined();
  expect(group).toMatchObject({ firstIndex: 400, lastIndex: 409 });
  expect(baseTerm(group)).toBe(2);
});

test('a gap counts when nothing later says that it was dropped', () => {
  const { group, found, truncated } = replay();
  truncated('truncatePrefix', 20, 3);
  expect(found(25, 2, 3)).toBe(true);
  expect(group.firstMissing).toBe(21);
  truncated('truncatePrefix', 25, 3);
  expect(group.firstMissing).toBeUndefined();
});

test('the term before the first entry is known even when entries come back down to it', () => {
  const { group, found, truncated } = replay();
  truncated('truncatePrefix', 26, 5);
  expect(found(30, 1, 6)).toBe(true);
  expect(found(27, 1, 7)).toBe(true);
  expect(group.firstMissing).toBeUndefined();
  expect(baseTerm(group)).toBe(5);
});

test('a reset drops entries of which it is not known whether they fit', () => {
  const { group, found, truncated } = replay();
  expect(found(101, 5, 6)).toBe(true);
  truncated('reset', 100, 7);
  expect(group).toMatchObject({ firstIndex: 101, lastIndex: 100, firstMissing: undefined });
  expect(baseTerm(group)).toBe(7);
});

test('entries that were dropped before, and terms that go back, contradict the log', () => {
  const { found, truncated } = replay();
  truncated('truncatePrefix', 20, 3);
  expect(found(20, 1, 3)).toBe(false);
  expect(found(21, 1, 3)).toBe(true);
  expect(found(22, 1, 2)).toBe(false);
});

test('entries that were written again fill gaps in any order, and replace nothing', () => {
  const { group, found, again, truncated } = replay();
  expect(found(21, 10, 3)).toBe(true);
  expect(again(6, 5, 2)).toBe(true);
  expect(group).toMatchObject({ lastIndex: 30, firstMissing: 1 });
  truncated('truncatePrefix', 5, 1);
  expect(group.firstMissing).toBe(11);
  expect(found(31, 1, 4)).toBe(true);
  expect(again(11, 10, 3)).toBe(true);
  expect(group).toMatchObject({ firstIndex: 6, lastIndex: 31, firstMissing: undefined });
  expect([10, 11, 30, 31].map((index) => group.term(LogIndex(index)))).toEqual([2, 3, 3, 4]);
});

test('what was written again is gone once other entries take its place', () => {
  const { group, found, again } = replay();
  expect(again(1, 10, 1)).toBe(true);
  expect(found(6, 1, 2)).toBe(true);
  expect(group).toMatchObject({ lastIndex: 6, firstMissing: undefined });
  expect(found(3, 1, 3)).toBe(true);
  expect(again(1, 2, 1)).toBe(true);
  expect(group).toMatchObject({ lastIndex: 3, firstMissing: undefined });
  expect(baseTerm(group)).toBe(0);
});

test('entries that were written again and contradict the log are refused', () => {
  const { found, again, truncated } = replay();
  truncated('truncatePrefix', 5, 1);
  expect(again(5, 2, 1)).toBe(false);
  expect(found(6, 5, 3)).toBe(true);
  expect(again(8, 1, 2)).toBe(false);
  expect(again(8, 1, 3)).toBe(true);
  expect(again(11, 1, 2)).toBe(false);
});

test('an entry that is not durable stays in memory, whatever the budget: it is nowhere else', () => {
  const { group } = replay();
  const first = group.append(entries(1, 2, 1));
  group.append(entries(3, 2, 1));
  group.entriesDurable(first, [{ segment: 1, offset: 100, bytes: 100, count: 2 }]);
  group.evict(0);
  expect(group.entries(LogIndex(2), LogIndex(4), 1000)).toBeUndefined();
  expect(group.entries(LogIndex(3), LogIndex(4), 1000)).toEqual(entries(3, 2, 1));
});
