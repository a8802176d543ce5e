/** Replays that begin in the middle of a group's history, because the oldest segments are gone. */
import { expect, test } from 'vitest';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import { CacheMeter } from '../../src/log/entry-cache.js';
import { GroupState } from '../../src/log/group-state.js';
import type { TruncationType } from '../../src/log/record.js';
import { entries } from './support.js';

function replay(): {
  group: GroupState;
  found: (first: number, count: number, term: number) => boolean;
  truncated: (type: TruncationType, index: number, term: number) => void;
} {
  const group = new GroupState(ShardId(1), { retain: () => undefined, release: () => undefined }, new CacheMeter());
  return {
    group,
    found: (first, count, term) =>
      group.replayEntries(entries(first, count, term), { segment: 1, offset: 100, bytes: 100 }),
    truncated: (type, index, term) => group.replayTruncation({ type, index: LogIndex(index), term: Term(term) }, 1),
  };
}

const baseTerm = (group: GroupState): number | undefined => group.term(LogIndex(group.firstIndex - 1));

test('a log that begins late is complete only with the truncation that says why', () => {
  const { group, found, truncated } = replay();
  expect(found(400, 10, 2)).toBe(true);
  expect(group.isComplete).toBe(false);
  truncated('truncatePrefix', 350, 2);
  expect(group.isComplete).toBe(false);
  truncated('truncatePrefix', 399, 2);
  expect(group.isComplete).toBe(true);
  expect(group).toMatchObject({ firstIndex: 400, lastIndex: 409 });
  expect(baseTerm(group)).toBe(2);
});

test('a gap counts when nothing later says that it was dropped', () => {
  const { group, found, truncated } = replay();
  truncated('truncatePrefix', 20, 3);
  expect(found(25, 2, 3)).toBe(true);
  expect(group.isComplete).toBe(false);
  truncated('truncatePrefix', 25, 3);
  expect(group.isComplete).toBe(true);
});

test('the term before the first entry is known even when entries come back down to it', () => {
  const { group, found, truncated } = replay();
  truncated('truncatePrefix', 26, 5);
  expect(found(30, 1, 6)).toBe(true);
  expect(found(27, 1, 7)).toBe(true);
  expect(group.isComplete).toBe(true);
  expect(baseTerm(group)).toBe(5);
});

test('a reset drops entries of which it is not known whether they fit', () => {
  const { group, found, truncated } = replay();
  expect(found(101, 5, 6)).toBe(true);
  truncated('reset', 100, 7);
  expect(group).toMatchObject({ firstIndex: 101, lastIndex: 100, isComplete: true });
  expect(baseTerm(group)).toBe(7);
});

test('entries that were dropped before, and terms that go back, contradict the log', () => {
  const { found, truncated } = replay();
  truncated('truncatePrefix', 20, 3);
  expect(found(20, 1, 3)).toBe(false);
  expect(found(21, 1, 3)).toBe(true);
  expect(found(22, 1, 2)).toBe(false);
});
